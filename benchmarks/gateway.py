"""What the service adds to a provider's own time: in the handler, and over HTTP on the local stack.

`python -m benchmarks.gateway [--json] [--only handler|http] [--rounds N]`; about a minute. Targets take turns. In the
handler: `fakes` are the in-memory ports of the tests, so the figure is routing, validation, logs and metrics;
`adapters` are the real ones over an AWS that answers at once, so the figure includes the work of the SDK and on the
picture. Over HTTP the provider is the strict Bedrock double: `added` is the client's time less the double's own time,
for a generation through the service and for the same call made directly.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks import hello_json
from benchmarks.cold import machine
from lambdas import USER_AGENT

Row = dict[str, Any]


@contextmanager
def silence() -> Iterator[None]:
    """Discard logs and metrics after they are written."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def in_handler(rounds: int) -> list[Row]:
    """Measure milliseconds per request in this process, with API Gateway's event and answer."""
    from benchmarks.zero_delay import picture, zero_delay
    from lambdas import wiring
    from lambdas.domain.jobs.request import GeneratedImage, ImageTask
    from lambdas.observability import EmfMeter
    from tests.api.client import AnyClient as Client
    from tests.support.fakes import FakeProvider, FakeProviders, FakeWorkers, deps_on_fakes

    data = picture()

    class Instant(FakeProvider):
        def paint(self, order: ImageTask, timeout: float) -> GeneratedImage:  # noqa: ARG002
            return GeneratedImage(data, order.seed)

    provider = Instant()
    workers = FakeWorkers()
    real = workers.deps = replace(wiring.live(), providers=FakeProviders(bedrock=provider), workers=workers)
    fakes, adapters = Client(replace(deps_on_fakes(), meter=EmfMeter())), Client(real)
    same_size = {"prompt": "A fox in the snow", "width": 1024, "height": 1024, "seed": 1}
    other_size = {"prompt": "A fox in the snow", "width": 512, "height": 512, "seed": 1}

    def generates(client: Client, body: Row) -> Callable[[], object]:
        def call() -> str:
            answer = client("POST", "/generate", body)
            assert answer.status == 200, answer.body
            return str(answer.json()["generation_id"])

        return call

    def gets(client: Client, path: str) -> Callable[[], object]:
        def call() -> None:
            answer = client("GET", path)
            assert answer.status == 200, answer.body

        return call

    with zero_delay() as aws, silence():
        jobs = [generates(client, same_size)() for client in (fakes, adapters)]
        begun = aws.calls
        generates(adapters, same_size)()
        per_generation = aws.calls - begun
        targets: dict[str, tuple[int, Callable[[], object]]] = {
            "json hello": (100, lambda: json.dumps(hello_json.handler({"path": "/"}, None))),
            "GET /health": (60, gets(fakes, "/health")),
            "GET /v1/models": (60, gets(fakes, "/v1/models")),
            "GET a job, fakes": (60, gets(fakes, f"/unified/jobs/{jobs[0]}")),
            "POST /generate, fakes": (30, generates(fakes, same_size)),
            "GET a job, adapters": (30, gets(adapters, f"/unified/jobs/{jobs[1]}")),
            "POST /generate, adapters": (4, generates(adapters, same_size)),
            "POST /generate, adapters, scaled": (2, generates(adapters, other_size)),
        }
        rows = _timed(targets, rounds)
    for row in rows:
        if row["target"].startswith("POST /generate, adapters"):
            row["note"] = f"{per_generation} calls of AWS, PNG of {len(data) / 1e6:.1f} MB"
    return rows


def _timed(targets: dict[str, tuple[int, Callable[[], object]]], rounds: int) -> list[Row]:
    walls: dict[str, list[float]] = {name: [] for name in targets}
    cpus: dict[str, list[float]] = {name: [] for name in targets}
    for _ in range(rounds):
        for name in random.sample(list(targets), len(targets)):
            count, call = targets[name]
            call()
            cpu = time.process_time()
            for _ in range(count):
                began = time.perf_counter()
                call()
                walls[name].append((time.perf_counter() - began) * 1000)
            cpus[name].append((time.process_time() - cpu) * 1000 / count)
    return [
        {"target": name, "n": len(wall), **_spread(wall), "cpu": median(cpus[name]), "cpu_min": min(cpus[name])}
        for name, wall in walls.items()
    ]


def _spread(values: list[float]) -> dict[str, float]:
    return {"p50": median(values), "p99": quantiles(values, n=100, method="inclusive")[98]}


def over_http(counts: dict[float, int]) -> list[Row]:
    """Measure milliseconds of a client on this machine; `counts` gives the rounds for each delay of the double."""
    import boto3
    from botocore.config import Config

    from tests.doubles.bedrock import service
    from tests.e2e.conftest import make_stack
    from tests.e2e.http import Client

    own: list[float] = []

    class Timed(service._Handler):
        def do_POST(self) -> None:
            self.began = time.perf_counter()
            super().do_POST()

        def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            own.append((time.perf_counter() - self.began) * 1000)  # before the client can receive the answer
            super()._send(status, body, headers)

    with service.FakeBedrock() as fake, tempfile.TemporaryDirectory() as folder:
        fake._server.RequestHandlerClass = Timed
        config = Config(proxies={}, user_agent_extra=USER_AGENT)
        direct = boto3.session.Session(aws_access_key_id="test", aws_secret_access_key="test").client(
            "bedrock-runtime", region_name="us-west-2", endpoint_url=fake.url, config=config
        )
        settings = {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": fake.url, "RATE_LIMIT_PER_MINUTE": "0"}
        with (
            make_stack(Path(folder), **settings) as stack,
            Client(stack.url) as client,
        ):

            def ask(method: str, path: str, body: Row | None = None) -> None:
                answer = client.request(method, path, json=body)
                assert answer.status_code == 200, answer.text

            def invoke() -> None:
                body = {"prompt": "A fox in the snow", "seed": 1, "output_format": "png", "aspect_ratio": "1:1"}
                answer = direct.invoke_model(
                    modelId="stability.stable-image-core-v1:1",
                    contentType="application/json",
                    accept="application/json",
                    body=json.dumps(body),
                )
                assert json.loads(answer["body"].read())["images"]

            wish = {"prompt": "A fox in the snow", "width": 1024, "height": 1024, "seed": 1}
            light: dict[str, Callable[[], None]] = {
                "GET /health": lambda: ask("GET", "/health"),
                "GET /v1/models": lambda: ask("GET", "/v1/models"),
            }
            paid: dict[str, Callable[[], None]] = {
                "the double, directly": invoke,
                "POST /generate": lambda: ask("POST", "/generate", wish),
            }
            for call in [*light.values(), *paid.values()] * 3:
                call()
            rows = []
            for delay, count in counts.items():
                fake.seconds = delay
                rows += _rounds(light | paid if delay == 0 else paid, delay, count, own)
    return rows


def _rounds(targets: dict[str, Callable[[], None]], delay: float, count: int, own: list[float]) -> list[Row]:
    took: dict[str, list[float]] = {name: [] for name in targets}
    added: dict[str, list[float]] = {name: [] for name in targets}
    for _ in range(count):
        for name in random.sample(list(targets), len(targets)):
            own.clear()
            began = time.perf_counter()
            targets[name]()
            wall = (time.perf_counter() - began) * 1000
            took[name].append(wall)
            added[name].append(wall - sum(own))
    return [
        {"target": name, "delay_s": delay, "n": count, "client": median(wall), "added": median(added[name])}
        | {"added_p99": _spread(added[name])["p99"], "added_min": min(added[name])}
        for name, wall in took.items()
    ]


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--only", choices=("handler", "http"))
    options.add_argument("--rounds", type=int, default=12)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "POWERTOOLS_SERVICE_NAME": "image-api",
        "POWERTOOLS_METRICS_NAMESPACE": "ImageApi",
        **{f"{name}_TABLE": name.lower() for name in ("JOBS", "IMAGES", "PROJECTS", "PROVIDERS", "KEYS")},
        **{f"{name}_QUEUE_URL": f"https://sqs.eu-central-1.amazonaws.com/1/{name}" for name in ("JOBS", "WEBHOOKS")},
        "IMAGES_BUCKET": "bucket",
    }
    handler = [] if given.only == "http" else in_handler(given.rounds)
    http = [] if given.only == "handler" else over_http({0.0: 2 * given.rounds, 1.0: -(-given.rounds * 2 // 3)})
    if given.json:
        print(json.dumps({"machine": machine(), "handler": handler, "http": http}, indent=1))
        return
    print(f"{machine()}. Milliseconds, one request at a time.")
    if handler:
        print(f"\nIn the handler{'':20}{'n':>6}{'p50':>9}{'p99':>9}{'cpu':>9}{'min':>9}")
    for r in handler:
        figures = f"{r['p50']:9.3f}{r['p99']:9.3f}{r['cpu']:9.3f}{r['cpu_min']:9.3f}"
        print(f"{r['target']:34}{r['n']:6}{figures}  {r.get('note', '')}".rstrip())
    if http:
        print(f"\nOver HTTP on the local stack{'':6}{'n':>6}{'client':>9}{'added':>9}{'p99':>9}{'min':>9}")
    for r in http:
        name = f"{r['target']}, {r['delay_s']:g} s" if "/health" not in r["target"] else r["target"]
        print(f"{name:34}{r['n']:6}{r['client']:9.1f}{r['added']:9.1f}{r['added_p99']:9.1f}{r['added_min']:9.1f}")


if __name__ == "__main__":
    main()
