"""The whole local run with a minimal service: limits, errors, signed links, metrics, kills and restarts."""

import contextlib
import datetime
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local import settings
from local.emulator.emulator import EmulatorError
from local.emulator.template import DeployError, clients
from local.front.front import CONCURRENCY
from local.front.gateway import MAX_BODY
from local.settings import ROOT
from local.stack import Stack
from tests.e2e import http
from tests.e2e.http import Client
from tests.local import standin

pytestmark = pytest.mark.e2e
HOSTILE = {
    "AWS_PROFILE": "nobody",
    "AWS_ACCESS_KEY_ID": "AKIAUSER",
    "AWS_SESSION_TOKEN": "secret",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "HTTP_PROXY": "http://127.0.0.1:1",
    "http_proxy": "http://127.0.0.1:1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "GEMINI_API_KEY": "k",
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> standin.Folders:
    return standin.write(tmp_path_factory.mktemp("service"))


@pytest.fixture(scope="module")
def stack(service: standin.Folders, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    environment = {**os.environ, **HOSTILE, "APP_PORT": "0", "DATA_DIR": str(tmp_path_factory.mktemp("data"))}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in HOSTILE.items():
            patch.setenv(name, value)
        with Stack(settings.load(environment, ROOT / "none"), **service) as stack:
            yield stack


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack.url) as client:
        yield client


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


def test_functions_get_settings_and_their_own_role_but_nothing_of_the_user(client: Client, stack: Stack) -> None:
    environment = client.get("/env").json()
    assert environment["DEPLOYED"] == "0"
    assert environment["GEMINI_API_KEY"] == "k"
    assert environment["WEBHOOK_SECRET"] == (stack.settings.data_dir / "webhook.secrets").read_text("utf-8").strip()
    assert environment["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert environment["AWS_ENDPOINT_URL"] == stack.emulator_url
    assert environment.keys().isdisjoint({"AWS_PROFILE", "PYTHONDONTWRITEBYTECODE", "APP_PORT", "DATA_DIR"})
    assert environment["AWS_SESSION_TOKEN"] != "secret"


def test_what_a_function_is_given_of_a_request(client: Client) -> None:
    event = client.post("/a%20b%2Fc%25?q=1&q=2&x=%C3%A9", data=b"\xff\x00").json()
    assert event["path"] == "/a%20b%2Fc%25"
    assert event["multiValueQueryStringParameters"] == {"q": ["1", "2"], "x": ["é"]}
    assert (event["body"], event["isBase64Encoded"]) == ("/wA=", True)
    assert event["requestContext"]["authorizer"]["tenant"] == "t"
    assert event["requestContext"]["identity"]["sourceIp"] == "127.0.0.1"
    assert event["headers"]["content-type"] == "application/json"


def test_bytes_and_heads_and_locations_pass(client: Client) -> None:
    answer = client.get("/bytes?n=1000")
    assert answer.content == b"\x89" * 1000
    assert answer.headers["content-type"] == "image/png"
    head = client.head("/bytes?n=1000")
    assert (head.content, head.headers["content-length"]) == (b"", "1000")
    moved = client.get("/location").headers
    assert (moved["location"], moved["link"]) == ("/unified/jobs/1", "</x>; rel=y")
    assert client.request("OPTIONS", "/x").json()["httpMethod"] == "OPTIONS"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/crash", 502, "integration_failure"),
        ("/die", 502, "integration_failure"),
        ("/malformed", 502, "integration_failure"),
        ("/forbidden", 502, "integration_failure"),  # the function's role may not do that
        ("/bytes?n=4800000", 502, "integration_failure"),
    ],
)
def test_a_failing_function_tells_the_client_nothing(client: Client, path: str, status: int, code: str) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"]
    assert answer.json() == {
        "title": code,
        "status": status,
        "detail": f"It was {code}.",
        "instance": path.partition("?")[0],
        "code": code,
        "error": {"code": code},
    }


def test_headers_of_a_functions_answer_are_renamed_and_dropped_as_api_gateway_does(client: Client) -> None:
    answer = client.get("/headers")
    assert (answer.status_code, answer.text) == (401, "$context.path")
    assert answer.headers["x-amzn-remapped-www-authenticate"] == "Bearer"
    assert answer.headers["x-amzn-remapped-user-agent"] == "f"
    assert {name.lower() for name in answer.headers}.isdisjoint({"www-authenticate", "user-agent", "via"})
    assert (answer.headers["allow"], answer.headers["retry-after"]) == ("GET", "1")


def test_headers_of_the_gateways_own_answer_are_not(client: Client) -> None:
    answer = client.get("/denied")
    assert (answer.status_code, answer.json()["instance"]) == (401, "/denied")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["x-request-id"]


def test_headers_that_a_function_never_sees(client: Client) -> None:
    given = {"Content-MD5": "x", "Max-Forwards": "1", "Server": "s", "TE": "trailers", "WWW-Authenticate": "b"}
    seen = {name.lower() for name in client.get("/x", headers={**given, "Via": "v", "X-Custom": "c"}).json()["headers"]}
    assert seen.isdisjoint(name.lower() for name in given)
    assert seen >= {"via", "x-custom", "host", "user-agent"}


def test_a_function_that_may_not_run_once_more_is_503_with_retry_after(client: Client, stack: Stack) -> None:
    [functions] = clients(stack.emulator_url, stack.emulator.keys, "lambda")
    named = {f["Handler"]: f["FunctionName"] for f in functions.list_functions()["Functions"]}
    api = {"FunctionName": named["lambdas.handlers.api.handler"]}
    functions.put_function_concurrency(**api, ReservedConcurrentExecutions=0)
    try:
        answer = client.get("/x")
    finally:
        functions.delete_function_concurrency(**api)
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "busy", "5")
    assert answer.headers["x-request-id"]
    assert client.get("/x").status_code == 200


def test_the_head_of_a_request_has_a_limit(client: Client) -> None:
    assert client.get("/x", headers={"X-Long": "a" * 9_000}).status_code == 200
    assert client.get("/x", headers={"X-Long": "a" * 10_240}).status_code == 431
    assert client.get(f"/x?q={'a' * 10_240}").status_code == 414


def test_the_reason_of_a_failure_is_in_the_log(client: Client, stack: Stack) -> None:
    client.get("/forbidden")
    until(lambda: "AccessDenied" in (stack.settings.data_dir / "logs" / "api.log").read_text("utf-8"))


def test_29_seconds_is_all(client: Client, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.front.front.INTEGRATION_SECONDS", 0.5)
    answer = client.get("/sleep?s=2")
    assert (answer.status_code, answer.json()["code"]) == (504, "timeout")


def test_large_requests(client: Client) -> None:
    over = client.post("/x", data=b"a" * (MAX_BODY + 1))
    assert (over.status_code, over.json()["code"]) == (413, "too_large")
    chunked = client.post("/v1/images/edits", data=(b"a" * 1_000_000 for _ in range(12)))
    assert (chunked.status_code, chunked.json()["error"]["code"]) == (413, "too_large")
    assert client.post("/x", data=b"a" * 6_000_000).status_code == 413, "as base64 it is over what Lambda takes"
    assert client.post("/bytes?n=1", data=b"a" * 4_000_000).status_code == 200


def test_a_declared_giant_is_refused_before_it_is_sent(stack: Stack) -> None:
    with socket.create_connection(("127.0.0.1", stack.port)) as connection:
        connection.sendall(b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_strange_bytes_in_the_address(stack: Stack) -> None:
    with socket.create_connection(("127.0.0.1", stack.port)) as connection:
        connection.sendall(
            b'GET /\xff"{|}\\^`<>?q=\xff\xfe<>" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
        )
        assert connection.recv(100).split()[1] in (b"200", b"400")


@pytest.mark.parametrize(
    "path", ["/../../../_local/workers", "/%2e%2e/%2e%2e/%2e%2e/_local/workers", "/x/../..", "/.."]
)
def test_no_address_leads_out_of_the_api(stack: Stack, path: str) -> None:
    with socket.create_connection(("127.0.0.1", stack.port)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head, _, body = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")
    assert b"x-request-id" in head.lower()
    assert json.loads(body)["path"].lower() == path.replace("..", "%2e%2e")


def test_signed_links_expire_and_are_checked(client: Client) -> None:
    url = client.get("/presign?key=images/a.png").json()["url"]

    def get(link: str) -> int:
        return http.get(link).status_code

    assert get(url) == 200
    assert get(url.replace("a.png", "b.png")) == 403
    assert get(url.replace("X-Amz-Expires=300", "X-Amz-Expires=9999")) == 403
    assert get(url[:-1] + ("0" if url[-1] != "0" else "1")) == 403
    assert get(url.partition("?")[0]) == 403
    short = client.get("/presign?key=images/a.png&ttl=5").json()["url"]
    assert get(short) == 200
    until(lambda: get(short) == 403)


def test_metrics_of_the_log_reach_cloudwatch(client: Client, stack: Stack) -> None:
    (cloudwatch,) = clients(stack.emulator_url, stack.emulator.keys, "cloudwatch")

    def requests() -> Any:
        now = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        points = cloudwatch.get_metric_statistics(
            Namespace="ImageApi",
            MetricName="Requests",
            Dimensions=[{"Name": "service", "Value": "image-api"}],
            StartTime=now - day,
            EndTime=now + day,
            Period=86400,
            Statistics=["Sum"],
        )["Datapoints"]
        return sum(point["Sum"] for point in points)

    before = requests()
    client.get("/health")
    client.get("/health")
    until(lambda: requests() == before + 2)


def test_many_at_once_need_few_processes(client: Client, stack: Stack) -> None:
    with ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(lambda n: client.get(f"/sleep?s=0.05&n={n}"), range(200)))
    assert {a.status_code for a in answers} == {200}
    assert sorted(int(a.json()["queryStringParameters"]["n"]) for a in answers) == list(range(200))
    assert len(stack.function_pids("api")) <= CONCURRENCY


def test_a_message_outlives_the_process_that_worked_on_it(client: Client, stack: Stack, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    client.get("/enqueue", params={"mark": str(mark), "s": "60"})
    until(mark.exists)
    for pid in stack.function_pids("worker"):
        os.kill(pid, signal.SIGKILL)
    until(lambda: mark.read_text("utf-8").split() == ["begun", "begun", "ended"])


def test_everything_is_there_after_a_restart(client: Client, stack: Stack, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    url = client.get("/presign?key=images/kept.png").json()["url"]
    client.get("/enqueue", params={"mark": str(mark), "s": "60"})
    until(mark.exists)
    before = stack.emulator_url
    stack.restart()
    assert stack.emulator_url == before
    until(lambda: mark.read_text("utf-8").split() == ["begun", "begun", "ended"])
    assert http.get(url).content == b"x" * 10
    assert client.get("/health").status_code == 200


def test_a_data_folder_that_cannot_be_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmulatorError, match="DATA_DIR must be a folder"):
        Stack(settings.load({"APP_PORT": "0", "DATA_DIR": str(tmp_path / "file" / "x")}, ROOT / "none")).start()


def test_two_runs_do_not_share_a_folder_nor_a_port(service: standin.Folders, stack: Stack, tmp_path: Path) -> None:
    taken = {"APP_PORT": str(stack.port), "DATA_DIR": str(tmp_path)}
    with pytest.raises(EmulatorError, match=f"Port {stack.port} is taken"):
        Stack(settings.load(taken, ROOT / "none"), **service).start()
    shared = {"APP_PORT": "0", "DATA_DIR": str(stack.settings.data_dir)}
    with pytest.raises(EmulatorError, match="Another run is using"):
        Stack(settings.load(shared, ROOT / "none"), **service).start()
    assert http.get(f"{stack.url}/health").status_code == 200


LAUNCHER = """
import json, sys, time
from pathlib import Path
from local import settings
from local.stack import Stack
given = json.loads(sys.argv[1])
folders = {name: Path(given[name]) for name in ("templates", "source")}
stack = Stack(settings.load(given["env"], Path("none")), **folders)
stack.start()
print(stack.url, stack.emulator.process.pid, stack.emulator_url, flush=True)
time.sleep(600)
"""


def alive(pid: int | str) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("victim", ["launcher", "emulator"])
def test_a_hard_kill_leaves_no_process_and_keeps_the_state(
    service: standin.Folders, tmp_path: Path, victim: str
) -> None:
    environment = {"APP_PORT": "0", "DATA_DIR": str(tmp_path / "data")}
    given = json.dumps({"env": environment, **{name: str(path) for name, path in service.items()}})
    with subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, given], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as launcher:
        try:
            assert launcher.stdout
            url, pid, _ = launcher.stdout.readline().split()
            with Client(url, timeout=30) as client:
                link = client.get("/presign?key=images/a.png").json()["url"]
                with Client() as reader:
                    assert reader.get(link).status_code == 200
                workers = [p.name for p in Path("/proc").iterdir() if p.name.isdigit() and parent(p.name) == pid]
                assert workers
            if victim == "emulator":
                time.sleep(5.5)  # longer than the pause between two saves
                os.kill(int(pid), signal.SIGKILL)
            else:
                launcher.kill()
            until(lambda: not any(alive(p) for p in (pid, *workers)))
        finally:
            launcher.kill()
    with Stack(settings.load(environment, ROOT / "none"), **service) as again:
        assert http.get(link).content == b"x" * 10
        assert http.get(f"{again.url}/presign?key=images/b.png").status_code == 200


def parent(pid: int | str) -> str | None:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[1]
    return None


def test_changed_code_and_settings_are_taken_up_on_the_same_data(tmp_path: Path) -> None:
    service = standin.write(tmp_path / "service")
    environment = {"APP_PORT": "0", "DATA_DIR": str(tmp_path / "data")}
    with Stack(settings.load(environment, ROOT / "none"), **service) as stack:
        link = http.get(f"{stack.url}/presign?key=images/a.png").json()["url"]
    source = service["source"] / "handlers" / "api.py"
    source.write_text(source.read_text("utf-8").replace('"/location"', '"/moved"'), "utf-8")
    with Stack(settings.load({**environment, "GEMINI_API_KEY": "k"}, ROOT / "none"), **service) as stack:
        assert http.get(f"{stack.url}/moved").status_code == 202
        assert http.get(f"{stack.url}/env").json()["GEMINI_API_KEY"] == "k"
        assert http.get(link).status_code == 200


def test_a_refused_template_is_told_with_resource_and_reason(tmp_path: Path) -> None:
    service = standin.write(tmp_path / "service")
    template = standin.service()
    template["Resources"]["Odd"] = standin.resource("CloudWatch::Alarm", AlarmName="no threshold")
    (tmp_path / "service" / "service.json").write_text(json.dumps(template), "utf-8")
    environment = {"APP_PORT": "0", "DATA_DIR": str(tmp_path / "data")}
    with pytest.raises(
        DeployError, match=r"image-api-service could not be deployed[\s\S]*Odd .AWS::CloudWatch::Alarm.: \w+"
    ):
        Stack(settings.load(environment, ROOT / "none"), **service).start()


def test_a_running_request_does_not_hold_up_the_end(service: standin.Folders, tmp_path: Path) -> None:
    environment = {"APP_PORT": "0", "DATA_DIR": str(tmp_path / "data")}
    stack = Stack(settings.load(environment, ROOT / "none"), **service)
    with ThreadPoolExecutor() as pool:
        with stack:
            http.get(f"{stack.url}/health")
            running = pool.submit(http.get, f"{stack.url}/sleep?s=20", timeout=60)
            until(lambda: stack.function_pids("authorizer"))
            time.sleep(1)
        assert running.result().status_code == 502, "it was not waited for"
    assert not (tmp_path / "data" / "tmp").exists()


def test_a_request_arrives_before_its_authorizer_runs(client: Client) -> None:
    sent = time.time()
    context = client.post("/x").json()["requestContext"]
    assert int(1000 * sent) <= context["requestTimeEpoch"] <= 1000 * float(context["authorizer"]["began"])


def test_a_request_that_was_given_up_keeps_its_place_until_its_process_is_free(
    service: standin.Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.front.front.INTEGRATION_SECONDS", 0.5)
    monkeypatch.setattr("local.front.front.CONCURRENCY", 1)
    monkeypatch.setattr("local.front.room.PATIENCE", 1.0)
    environment = {"APP_PORT": "0", "DATA_DIR": str(tmp_path / "data")}
    with Stack(settings.load(environment, ROOT / "none"), **service) as stack, Client(stack.url) as client:
        until(lambda: client.get("/health").status_code == 200)
        assert client.get("/sleep?s=4").status_code == 504
        busy = client.get("/health")
        assert (busy.status_code, busy.json()["code"], busy.headers["retry-after"]) == (503, "overloaded", "3")
        until(lambda: client.get("/health").status_code == 200)
