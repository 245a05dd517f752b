"""The bucket, the queue, the keys and the worker call over boto3."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import ThreadingHTTPServer
from urllib.parse import urlsplit

import boto3
import pytest

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.keys import DynamoKeys
from lambdas.adapters.lambda_workers import LambdaWorkers
from lambdas.adapters.queues import SqsQueue
from lambdas.adapters.s3_blobs import S3Blobs
from tests.support.quiet_handler import QuietHandler


@pytest.mark.usefixtures("cloud")
def test_the_bucket() -> None:
    blobs = S3Blobs("images", ttl=300)
    assert blobs.get("images/a/b.png") is None
    blobs.put("images/a/b.png", b"png", "image/png")
    assert blobs.get("images/a/b.png") == b"png"
    assert blobs.get_noted("images/a/b.png") == (b"png", {})
    blobs.put("raw/a", b"png", "application/octet-stream", {"cost-usd": "0.0038", "paid": "unknown"})
    assert blobs.get_noted("raw/a") == (b"png", {"cost-usd": "0.0038", "paid": "unknown"})
    assert blobs.get_noted("raw/b") is None
    head = boto3.client("s3").head_object(Bucket="images", Key="images/a/b.png")
    assert head["ContentType"] == "image/png"
    url = blobs.presign("images/a/b.png")
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
    assert "X-Amz-Expires=300" in url
    blobs.delete("images/a/b.png")
    assert blobs.get("images/a/b.png") is None


@pytest.mark.usefixtures("cloud")
def test_objects_by_the_beginning_of_their_keys() -> None:
    blobs = S3Blobs("images", ttl=300)
    for name in ("variants/a/im_1/z", "variants/a/im_1/a", "variants/a/im_10/a", "variants/b/im_1/a"):
        blobs.put(name, b"x", "image/png")
    assert set(blobs.names("variants/a/im_1/")) == {"variants/a/im_1/z", "variants/a/im_1/a"}
    blobs.delete_all("variants/a/im_1/")
    blobs.delete_all("variants/a/im_1/")
    assert blobs.names("variants/a/im_1/") == []
    assert len(blobs.names("variants/")) == 2


@pytest.mark.usefixtures("cloud")
def test_more_objects_than_one_request_can_delete() -> None:
    blobs, s3 = S3Blobs("images", ttl=300), boto3.client("s3")
    for number in range(1003):
        s3.put_object(Bucket="images", Key=f"variants/a/{number}", Body=b"")
    assert len(blobs.names("variants/")) == 1000
    blobs.delete_all("variants/a/")
    assert blobs.names("variants/") == []


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("region", ["us-west-2", "eu-central-1", "me-south-1", "af-south-1"])
def test_a_link_names_the_host_of_the_buckets_own_region(monkeypatch: pytest.MonkeyPatch, region: str) -> None:
    """The global name answers a new bucket's links with a redirect, and those of newer regions with 400, for ever."""
    monkeypatch.setenv("AWS_REGION", region)
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    aws.client.cache_clear()
    link = urlsplit(S3Blobs("images", ttl=300).presign("images/a/b.png"))
    assert (link.hostname, link.path) == (f"images.s3.{region}.amazonaws.com", "/images/a/b.png")


@pytest.mark.usefixtures("cloud")
def test_a_link_to_the_local_stack_keeps_the_bucket_in_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    aws.client.cache_clear()
    link = urlsplit(S3Blobs("images", ttl=300).presign("images/a/b.png"))
    assert (link.netloc, link.path) == ("127.0.0.1:9000", "/images/images/a/b.png")


@pytest.mark.usefixtures("cloud")
def test_the_queue() -> None:
    url = boto3.client("sqs").create_queue(QueueName="jobs")["QueueUrl"]
    SqsQueue(url).send("acme", "j1", watchdog=True, delay=0)
    [message] = boto3.client("sqs").receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"]
    assert message["Attributes"]["MessageGroupId"] == "acme"  # fair among tenants
    assert json.loads(message["Body"]) == {"tenant": "acme", "job_id": "j1", "watchdog": True}


@pytest.mark.usefixtures("cloud")
def test_keys_by_hash_and_revocation(monkeypatch: pytest.MonkeyPatch) -> None:
    def put(key: str, **more: dict[str, str]) -> None:
        item = {"pk": {"S": hashlib.sha256(key.encode()).hexdigest()}, "sk": {"S": "key"}, "tenant": {"S": "acme"}}
        boto3.client("dynamodb").put_item(TableName="keys", Item=item | more)

    def of(key: str) -> str | None:
        return keys.tenant_of(hashlib.sha256(key.encode()).hexdigest())

    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    keys = DynamoKeys("keys")
    put("living")
    put("dead", revoked_at={"S": "2026-01-01"})
    assert (of("living"), of("dead"), of("unknown")) == ("acme", None, None)
    put("living", revoked_at={"S": "2026-01-01"})
    assert of("living") == "acme"
    clock[0] += 31
    assert of("living") is None


class _Slow(QuietHandler):
    hits = ended = 0
    held: threading.Event | None = None
    status = 200

    def do_POST(self) -> None:
        type(self).hits += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.held:
            self.held.wait(60)
        type(self).ended += 1
        self.send_response(self.status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


@pytest.fixture
def fake_lambda(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Slow]]:
    handler = type("Handler", (_Slow,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that has gone is no news
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", f"http://127.0.0.1:{server.server_port}")
    aws.client.cache_clear()
    yield handler
    aws.client.cache_clear()
    server.shutdown()
    server.server_close()


class _Queue:
    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, tenant: str, job_id: str, *, watchdog: bool, delay: int) -> None:
        self.sent.append(job_id)


def test_a_worker_is_waited_for_and_not_longer(fake_lambda: type[_Slow]) -> None:
    queue = _Queue()
    workers = LambdaWorkers("worker", queue)  # type: ignore[arg-type]
    workers.run("acme", "j1", 20)
    fake_lambda.held = threading.Event()
    workers.run("acme", "j2", 1)
    assert (fake_lambda.hits, fake_lambda.ended, queue.sent) == (2, 1, [])
    fake_lambda.held.set()


@pytest.mark.parametrize("status", [429, 500])
def test_a_worker_that_cannot_be_called_is_replaced_by_a_message(fake_lambda: type[_Slow], status: int) -> None:
    queue = _Queue()
    fake_lambda.status = status
    LambdaWorkers("worker", queue).run("acme", "j1", 20)  # type: ignore[arg-type]
    assert (fake_lambda.hits, queue.sent) == (1, ["j1"])


def test_6_3_a_form_is_for_one_key_type_and_size(cloud: None) -> None:
    url, fields = S3Blobs("images", 60).presign_post("uploads/acme/up_1", "image/png", 12, 600)
    policy = json.loads(base64.b64decode(fields["policy"]))
    stated = [c if isinstance(c, list) else next(iter(c.items())) for c in policy["conditions"]]
    assert ["content-length-range", 12, 12] in stated
    assert {("Content-Type", "image/png"), ("key", "uploads/acme/up_1"), ("bucket", "images")} <= {
        c for c in stated if isinstance(c, tuple)
    }
    ends = datetime.fromisoformat(policy["expiration"]) - datetime.now(UTC)
    assert timedelta(seconds=590) < ends <= timedelta(seconds=600)
    assert url == "https://images.s3.eu-central-1.amazonaws.com/"
    assert fields["key"] == "uploads/acme/up_1"
