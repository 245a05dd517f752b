"""A real browser against the local stack: what a page of another origin can do to the developer who opens it."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from local.stack import Stack
from tests.e2e.http import Client
from tests.support.browser import Browser
from tests.support.quiet_handler import QuietHandler

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform == "win32", reason="speaks to the browser over inherited descriptors"),
]
PATHS = {"list": "/", "create": "", "invoke": "/image-api-service-ApiFunction/invocations"}
EVIL, REBOUND = "evil.example", "rebound.example"

# Each attack is one that a browser sends; what becomes of it is looked up behind the service, not in the page.
TRY = """
async function all(front, emulator, job, signed) {
  const body = '{"prompt": "stolen"}', told = {}
  const tried = async (name, address, options) => {
    try {
      const answer = await fetch(address, options)
      told[name] = answer.type === "opaque" ? "opaque" : answer.status
    } catch (error) { told[name] = "refused" }
  }
  const types = ["text/plain", "application/x-www-form-urlencoded", "application/json"]
  for (const path of ["/generate", "/unified/generate", "/generate-image", "/v1/generate"]) {
    for (const type of types)
      await tried(path + " " + type, front + path, {method: "POST", headers: {"Content-Type": type}, body})
    await tried(path + " no-cors", front + path, {method: "POST", mode: "no-cors", body})
  }
  await tried("delete", front + "/unified/jobs/" + job, {method: "DELETE"})
  await tried("project", front + "/unified/projects", {method: "POST", body: '{"project_id": "stolen", "name": "x"}'})
  await tried("put", front + "/unified/jobs/" + job, {method: "PUT"})
  navigator.sendBeacon(front + "/generate", new Blob([body], {type: "text/plain"}))
  for (const address of [front + "/generate", emulator + "/2015-03-31/functions"]) {
    const frame = document.createElement("iframe"), form = document.createElement("form")
    frame.name = "f" + Math.random()
    Object.assign(form, {method: "POST", action: address, enctype: "text/plain", target: frame.name})
    const field = Object.assign(document.createElement("input"), {name: '{"prompt": "stolen", "negative_prompt": "'})
    field.value = '"}'
    form.append(field)
    document.body.append(frame, form)
    const done = new Promise(end => frame.onload = end)
    form.submit()
    await done
  }
  for (const [name, address] of Object.entries(signed)) {
    await tried("emulator GET " + name, address)
    await tried("emulator POST " + name, address, {method: "POST", body: signed.body})
    await tried("emulator no-cors " + name, address, {method: "POST", mode: "no-cors", body: signed.body})
    await tried("emulator DELETE " + name, address, {method: "DELETE"})
  }
  for (const path of ["/", "/_ministack/health", "/_ministack/reset", "/_local/workers", "/000000000000/x"])
    for (const method of ["GET", "POST"]) await tried("emulator " + method + path, emulator + path, {method})
  for (const address of [front, emulator])
    told["socket " + address] = await new Promise(end => {
      const socket = new WebSocket(address.replace("http", "ws") + "/health")
      socket.onopen = () => end("open")
      socket.onerror = () => end("refused")
    })
  return told
}
"""
SHOWN = """
address => new Promise(end => {
  const image = new Image()
  image.onload = () => end([image.naturalWidth, image.naturalHeight])
  image.onerror = () => end("not shown")
  image.src = address
})
"""
SENT = """
async (address, fields) => {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.append(name, value)
  form.append("file", new Blob(["from a page"], {type: "image/png"}))
  return (await fetch(address, {method: "POST", body: form})).status
}
"""


class Nothing(QuietHandler):
    """An empty page of whatever name it is asked by."""

    def do_GET(self) -> None:
        body = b"<!DOCTYPE html><title>a page</title><body>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile"), EVIL, REBOUND) as browser:
        yield browser


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[int]:
    """The port of a site that is not ours."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Nothing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def made(client: Client) -> Any:
    """An image that was asked for by a program, and its job."""
    answer = client.post("/generate", json={"prompt": "two red stars on white", "width": 256, "height": 256})
    assert answer.status_code == 200, answer.text
    return answer.json()


def call(script: str, *arguments: Any) -> str:
    return f"({script})({', '.join(map(json.dumps, arguments))})"


def known(url: str, service: str, path: str) -> str:
    """An address signed with the key that emulators take, as a page can sign it."""
    request = AWSRequest("POST", f"{url}{path}")
    SigV4QueryAuth(Credentials("test", "test"), service, "us-east-1").add_auth(request)
    return str(request.url)


def behind(stack: Stack, client: Client) -> tuple[Any, ...]:
    """What there is, as the owner sees it."""
    aws = {"endpoint_url": stack.emulator_url, **stack.credentials}
    functions = boto3.client("lambda", **aws).list_functions()["Functions"]
    buckets = boto3.client("s3", **aws).list_buckets()["Buckets"]
    jobs = client.get("/unified/jobs", params={"limit": 100}).json()["jobs"]
    projects = client.get("/unified/projects").json()["projects"]
    return (
        [f["FunctionName"] for f in functions],
        [b["Name"] for b in buckets],
        {j["generation_id"]: (j["status"], j["prompt"]) for j in jobs},
        len(projects),
    )


@pytest.mark.parametrize("site", ["127.0.0.1", "localhost", EVIL])
def test_a_page_of_another_origin_makes_spends_and_deletes_nothing(
    browser: Browser, elsewhere: int, stack: Stack, client: Client, made: dict[str, Any], site: str
) -> None:
    before = behind(stack, client)
    page = browser.open(f"http://{site}:{elsewhere}/")
    emulator = stack.emulator_url
    signed = {name: known(emulator, "lambda", f"/2015-03-31/functions{path}") for name, path in PATHS.items()}
    signed["s3"] = known(emulator, "s3", "/stolen")
    signed["sqs"] = known(emulator, "sqs", "/?Action=CreateQueue&QueueName=stolen")
    page.run(TRY.replace("async function all", "window.all = async function"))
    told = page.run(call("all", stack.url, emulator, made["generation_id"], signed))
    assert len(told) > 35
    assert {name: what for name, what in told.items() if what not in (403, "refused", "opaque")} == {}
    time.sleep(1)  # a beacon has no answer to wait for
    assert behind(stack, client) == before


@pytest.mark.parametrize("site", ["127.0.0.1", EVIL])
def test_what_was_signed_for_a_page_works_in_it(
    browser: Browser, elsewhere: int, stack: Stack, made: dict[str, Any], site: str
) -> None:
    page = browser.open(f"http://{site}:{elsewhere}/")
    assert page.run(call(SHOWN, made["image_url"])) == [256, 256]
    assert page.run(call(SHOWN, made["image_url"].partition("?")[0])) == "not shown"
    # S3 names the origins that may read only where it is asked with one, so the answer kept for <img> is of no use here
    read = "async address => (await (await fetch(address, {cache: 'no-store'})).blob()).size"
    assert page.run(call(read, made["image_url"])) > 1000
    aws = {"endpoint_url": stack.emulator_url, **stack.credentials}
    s3 = boto3.client("s3", **aws, config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
    bucket = made["image_url"].split("/")[3]
    post = s3.generate_presigned_post(bucket, f"uploads/{site}", ExpiresIn=60)
    assert page.run(call(SENT, post["url"], post["fields"])) == 204
    assert s3.get_object(Bucket=bucket, Key=f"uploads/{site}")["Body"].read() == b"from a page"
    forged = post["fields"] | {"x-amz-signature": "0" * 64, "key": "uploads/forged"}
    assert page.run(call(f"(a, f) => ({SENT})(a, f).catch(() => 'refused')", post["url"], forged)) in (403, "refused")


def test_any_page_may_read_what_is_public(browser: Browser, elsewhere: int, stack: Stack) -> None:
    page = browser.open(f"http://{EVIL}:{elsewhere}/")
    assert page.run(call("async a => (await (await fetch(a)).json()).status", f"{stack.url}/health")) == "ok"


def test_another_name_for_this_machine_opens_nothing(browser: Browser, stack: Stack) -> None:
    page = browser.open(f"http://{REBOUND}:{stack.port}/health")
    assert '"status": 421' in page.run("document.body.innerText")
    emulator = browser.open(f"http://{REBOUND}:{stack.emulator.port}/_ministack/health")
    assert "AccessDenied" in emulator.run("document.body.innerText")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_the_documentation_works_under_its_policy_and_may_ask(browser: Browser, stack: Stack, host: str) -> None:
    page = browser.open(f"http://{host}:{stack.port}/docs")
    for _ in range(100):
        if page.run('document.querySelectorAll(".opblock").length'):
            break
        time.sleep(0.1)
    assert page.run('document.querySelectorAll(".opblock").length') > 10
    assert [line for line in page.complaints() if "Content Security Policy" in line] == []
    ask = "async (body, headers) => (await fetch('/unified/validate-prompt', {method: 'POST', body, headers})).status"
    assert page.run(call(ask, '{"prompt": "a fox"}', {"Content-Type": "application/json"})) == 200


def test_the_documentation_is_shown_in_no_frame(browser: Browser, elsewhere: int, stack: Stack) -> None:
    page = browser.open(f"http://{EVIL}:{elsewhere}/")
    framed = """async address => {
      const frame = document.createElement("iframe")
      const done = new Promise(end => frame.onload = end)
      frame.src = address
      document.body.append(frame)
      await done
    }"""
    page.run(call(framed, f"{stack.url}/docs"))
    assert [line for line in page.complaints() if "frame" in line]
