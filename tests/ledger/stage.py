"""The environment of the lanes: an emulator process with the template's tables, and the providers' doubles per lane."""

from __future__ import annotations

import gc
import json
import os
import re
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from local.emulator.emulator import REGION, Emulator
from local.settings import ROOT
from tests.doubles import comfyui, gemini, gpu, leonardo, runware
from tests.doubles.bedrock import models
from tests.doubles.bedrock.service import FakeBedrock

DOUBLES: dict[str, Any] = {
    "bedrock": FakeBedrock,
    "comfyui": comfyui.FakeComfyUI,
    "gemini": gemini.FakeGemini,
    "leonardo_ai": leonardo.FakeLeonardo,
    "runware_ai": runware.FakeRunware,
    "sagemaker": gpu.FakeGpu,
}
BUCKET = "ledger-images"


class Fleeting(Emulator):
    """An emulator that keeps nothing on disk. It handles one request after the other, so that each is atomic."""

    def _environment(self) -> dict[str, str]:
        return super()._environment() | {"PERSIST_STATE": "0", "S3_PERSIST": "0"}


@contextmanager
def emulator() -> Iterator[Emulator]:
    """A fresh emulator with nothing in it."""
    with tempfile.TemporaryDirectory() as folder:
        child = Fleeting(Path(folder), os.environ, lambda event: None)
        child.start()
        try:
            child.wait()
            yield child
        finally:
            child.stop()


def clean_environment(emulator: Emulator) -> None:
    """No AWS setting of the caller's, and the emulator for every service."""
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        del os.environ[name]
    keys = {"AWS_ACCESS_KEY_ID": emulator.keys.access_key_id, "AWS_SECRET_ACCESS_KEY": emulator.keys.secret}
    os.environ |= keys | {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": emulator.url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "LOG_LEVEL": "CRITICAL",
    }
    os.environ |= {"NO_PROXY": "127.0.0.1", "POWERTOOLS_SERVICE_NAME": "ledger"}


def client(service: str) -> Any:
    """The harness's own client: none of its connections is known to the processes that are killed."""
    import boto3

    return boto3.session.Session().client(service)


def build(lanes: int) -> None:
    """The bucket and the tables of the template; each lane has providers of its own, and so their health."""
    db = client("dynamodb")
    client("s3").create_bucket(Bucket=BUCKET)
    template = json.loads((ROOT / "local" / "templates" / "data.json").read_text("utf-8"))
    for logical, resource in sorted(template["Resources"].items()):
        if resource["Type"] != "AWS::DynamoDB::Table":
            continue
        kept = ("AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "KeySchema")
        layout = {name: resource["Properties"][name] for name in kept if name in resource["Properties"]}
        name = re.sub(r"Table[0-9A-F]{8}$", "", logical).lower()
        names = [f"{name}-{lane}" for lane in range(lanes)] if name == "providers" else [name]
        for table in names:
            db.create_table(TableName=table, **layout)


def settings_of(lane: int, doubles: dict[str, str]) -> dict[str, str]:
    """The environment of a lane's functions."""
    sqs = client("sqs")
    queues = {name: sqs.create_queue(QueueName=f"{name}-{lane}")["QueueUrl"] for name in ("jobs", "webhooks")}
    return {
        "JOBS_TABLE": "jobs",
        "IMAGES_TABLE": "images",
        "PROJECTS_TABLE": "projects",
        "KEYS_TABLE": "keys",
        "PROVIDERS_TABLE": f"providers-{lane}",
        "IMAGES_BUCKET": BUCKET,
        "JOBS_QUEUE_URL": queues["jobs"],
        "WEBHOOKS_QUEUE_URL": queues["webhooks"],
        "BUDGET_USD_PER_MONTH": "100000",
        "BUDGET_IMAGES_PER_MONTH": "100000",
        "BEDROCK": "1",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": doubles["bedrock"],
        "COMFYUI_URL": doubles["comfyui"],
        "GEMINI_API_KEY": gemini.KEY,
        "GEMINI_BASE_URL": f"{doubles['gemini']}/v1beta",
        "LEONARDO_API_KEY": leonardo.KEY,
        "LEONARDO_BASE_URL": f"{doubles['leonardo_ai']}/api/rest",
        "RUNWARE_API_KEY": runware.KEY,
        "RUNWARE_BASE_URL": f"{doubles['runware_ai']}/v1",
        "GPU_WORKER_URL": doubles["sagemaker"],
        "PROVIDER_CONCURRENCY": "leonardo_ai:1,comfyui:1",
        "ALLOW_PRIVATE_URLS": "1",
        "METRICS_ENABLED": "1",
    }


@contextmanager
def doubles() -> Iterator[dict[str, str]]:
    """The address of each provider's double; they share a process."""
    with aside(_serve) as addresses:
        yield addresses


@contextmanager
def aside(serve: Callable[[int, int], None]) -> Iterator[Any]:
    """What `serve` tells of itself in a line of JSON, from a process of its own, which ends with its parent."""
    told, tell = os.pipe()
    wait, held = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(told)
        os.close(held)
        serve(tell, wait)
    os.close(tell)
    os.close(wait)
    with os.fdopen(told) as answer:
        line = json.loads(answer.readline())
    try:
        yield line
    finally:
        os.close(held)
        os.waitpid(pid, 0)


def _serve(tell: int, wait: int) -> None:
    gc.enable()
    for module in (comfyui, gemini, gpu, leonardo, runware):
        module.paint = plain  # type: ignore[attr-defined]
    shapes = models.RATIOS
    from tests.doubles.bedrock import service as bedrock

    bedrock.paint = lambda body: plain(repr(body), shapes[body.get("aspect_ratio", "1:1")])  # type: ignore[attr-defined]
    with ExitStack() as stack:
        fakes = {name: stack.enter_context(kind()) for name, kind in DOUBLES.items()}
        os.write(tell, json.dumps({name: fake.url for name, fake in fakes.items()}).encode() + b"\n")
        while os.read(wait, 1):
            pass
    os._exit(0)


def plain(said: str, size: tuple[int, int], fmt: str = "PNG") -> bytes:
    """A picture of one colour: the providers' drawing is not what is measured."""
    import hashlib
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", size, tuple(hashlib.sha256(said.encode()).digest()[:3])).save(out, fmt)
    return out.getvalue()


def control(url: str, method: str, path: str, body: Any = None) -> Any:
    """Ask a double for its ledger, or give it a fault."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        return json.load(answer)
