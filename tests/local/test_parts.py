"""The small parts of the local run: metrics, package, template, gateway answers and banner."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from local import verbs
from local.banner import Console, banner
from local.emulator import package
from local.emulator.metrics import Metric, metrics
from local.emulator.template import fit
from local.front.gateway import DROPPED, LOST, RENAMED, Answer, Gateway, failure, payload_size
from local.settings import ROOT, load
from local.verbs import OPERATORS, VERBS, missing
from tests.local import standin


def test_metrics_of_a_log() -> None:
    directive = {
        "Namespace": "N",
        "Dimensions": [["service"], ["service", "provider"]],
        "Metrics": [{"Name": "A", "Unit": "Count"}, {"Name": "B"}],
    }
    line = json.dumps(
        {"_aws": {"CloudWatchMetrics": [directive]}, "service": "s", "provider": "p", "A": [1, 2], "B": 0.5}
    )
    log = f'plain "_aws"\n{{"_aws": broken\n{{"_aws": {{}}}}\n{line}\n'
    one, both = {"service": "s"}, {"service": "s", "provider": "p"}
    assert list(metrics(log)) == [
        Metric("N", "A", 1.0, "Count", one),
        Metric("N", "A", 2.0, "Count", one),
        Metric("N", "B", 0.5, "None", one),
        Metric("N", "A", 1.0, "Count", both),
        Metric("N", "A", 2.0, "Count", both),
        Metric("N", "B", 0.5, "None", both),
    ]


def test_the_zip_holds_bytecode_that_is_used_and_is_built_once(tmp_path: Path) -> None:
    source = tmp_path / "lambdas"
    source.mkdir()
    (source / "__init__.py").write_text("X = 1\n", "utf-8")
    (source / "page.html").write_text("<p>", "utf-8")
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "old.pyc").touch()
    built = package.build(source, tmp_path / "code")
    stamp = built.stat().st_mtime_ns
    assert package.build(source, tmp_path / "code") == built
    assert built.stat().st_mtime_ns == stamp
    names = zipfile.ZipFile(built).namelist()
    assert sorted(n.split(".")[0] for n in names) == [
        "lambdas/__init__",
        "lambdas/__pycache__/__init__",
        "lambdas/page",
    ]
    zipfile.ZipFile(built).extractall(tmp_path / "unzipped")
    asked = [sys.executable, "-v", "-c", "import lambdas; print(lambdas.X)"]
    told = subprocess.run(asked, cwd=tmp_path / "unzipped", capture_output=True, text=True, check=True)
    assert told.stdout == "1\n"
    assert "wrote" not in told.stderr.split("lambdas/__init__.py", 1)[1].split("\n", 3)[1]
    (source / "__init__.py").write_text("X = 2\n", "utf-8")
    assert package.build(source, tmp_path / "code") != built
    assert not built.exists()


def test_a_template_is_fitted() -> None:
    data, left_out = fit(standin.data(), "code.zip", {})
    assert list(data["Resources"]) == ["Bucket"]
    assert left_out == []
    assert not data["Parameters"]
    template = standin.service()
    service, left_out = fit(template, "code.zip", {"DEPLOYED": "0"})
    assert left_out == ["Model (SageMaker (GPU_WORKER_URL takes its place))"]
    assert "Model" not in service["Resources"]["Deployment"]["DependsOn"]
    function = service["Resources"]["ApiFunction"]["Properties"]
    assert function["Code"] == {"S3Bucket": "local-assets", "S3Key": "code.zip"}
    assert function["Environment"]["Variables"]["DEPLOYED"] == "0"
    assert "JOBS_QUEUE_URL" in function["Environment"]["Variables"]
    assert "Model" in template["Resources"], "the template read is left as it was"


def test_gateway_answers_are_worded_by_the_template() -> None:
    answer = Gateway(standin.service()).error("INTEGRATION_TIMEOUT", "/generate")
    headers = {k.decode(): v.decode() for k, v in answer.headers}
    problem = json.loads(answer.body)
    assert answer.status == problem["status"] == 504
    assert headers["content-type"] == "application/problem+json"
    assert len(headers["x-request-id"]) == 36
    assert problem["instance"] == "/generate"
    assert headers["access-control-allow-origin"] == "*"


def test_gateway_answers_are_the_same_on_every_path_as_api_gateways_are() -> None:
    answers = [Gateway(standin.service()).error("REQUEST_TOO_LARGE", path) for path in ("/x", "/v1/images/edits")]
    assert len({answer.body.replace(b"/v1/images/edits", b"/x") for answer in answers}) == 1


def test_gateway_answers_without_a_template() -> None:
    bare = Gateway({"Resources": {}}).error("INTEGRATION_FAILURE", "/x")
    assert (bare.status, json.loads(bare.body)) == (504, {"message": "Internal server error"})
    busy = Gateway({"Resources": {}}).error("API_CONFIGURATION_ERROR", "/x")
    assert (busy.status, json.loads(busy.body)) == (500, {"message": "Internal server error"})


def test_a_function_without_room_is_what_aws_calls_a_configuration_error() -> None:
    kind = failure(Answer(429, [], b'{"Type": "User", "message": "Rate Exceeded."}'))
    answer = Gateway(standin.service()).error(str(kind), "/x")
    headers = {k.decode().lower(): v.decode() for k, v in answer.headers}
    assert (kind, answer.status, headers["retry-after"]) == ("API_CONFIGURATION_ERROR", 503, "5")


# AWS's table of a Lambda proxy integration, name by name: what a request's header and what an answer's comes to.
# P: passed on, D: dropped, R: renamed. Date, Server and Content-Length of an answer are the emulator's own here.
TABLE = (
    "age PP,accept PP,accept-charset PP,accept-encoding PP,authorization PR,connection DR,content-encoding PP,"
    "content-md5 DR,content-type PP,expect DD,host PD,max-forwards DR,pragma PP,proxy-authenticate DD,range PP,"
    "referer PP,te DD,transfer-encoding DD,trailer DD,upgrade DD,user-agent PR,via PD,warn PP,www-authenticate DR"
)


@pytest.mark.parametrize(("name", "fate"), [row.split() for row in TABLE.split(",")])
def test_headers_go_the_way_of_aws_table(name: str, fate: str) -> None:
    gateway = Gateway(standin.service())
    [*names] = [k.decode() for k, _ in gateway.passed(Answer(200, [(name.encode(), b"x")], b""), "/x").headers]
    assert fate[1] == ("D" if not names else "P" if names == [name] else "R")
    assert names in ([], [name], [f"x-amzn-Remapped-{name}"])
    assert fate[0] == ("D" if name.encode() in DROPPED else "P")
    assert not RENAMED & LOST


def test_an_answer_of_the_emulator_is_told_from_one_of_ours() -> None:
    assert failure(Answer(200, [(b"X-Request-Id", b"1")], b"")) is None
    assert failure(Answer(200, [], b"nonsense")) == "INTEGRATION_FAILURE"
    assert failure(Answer(502, [], b'{"message": "... Sandbox.Timedout ..."}')) == "INTEGRATION_TIMEOUT"


def test_payload_size() -> None:
    assert payload_size(b"12345", [(b"content-type", b"application/json")]) == 5
    assert payload_size(b"12345", [(b"content-type", b"image/png")]) == 8
    assert payload_size(b'"a"\n', [(b"content-type", b"application/json")]) == 7, "as it is written in the event"


def test_the_banner_says_what_is_on_and_what_is_not() -> None:
    text = banner(load({}, ROOT / "none"), "http://localhost:8000", ["Model (SageMaker)"])
    assert "http://localhost:8000/docs" in text
    assert "demo provider answers" in text
    assert "by demo/procedural-1" in text
    assert "gemini (GEMINI_API_KEY)" in text
    assert "not served Model (SageMaker)" in text
    text = banner(load({"GEMINI_API_KEY": "k", "AWS_ENDPOINT_URL": "http://x"}, ROOT / "none"), "http://x", [])
    assert "providers  gemini" in text
    assert "AWS_ENDPOINT_URL is yours" in text


def test_the_banner_says_which_model_of_the_demo_answers(tmp_path: Path) -> None:
    def said() -> Any:
        return banner(load({}, ROOT / "none", tmp_path), "http://x", [])

    assert "demo/scenes-1" not in said()
    (tmp_path / "unet.onnx").touch()
    assert "scenes of shapes by demo/scenes-1, the rest by demo/procedural-1" in said()


def test_the_banner_says_where_the_secrets_of_webhooks_are(tmp_path: Path) -> None:
    def said(**given: str) -> Any:
        lines = banner(load({"DATA_DIR": str(tmp_path), **given}, ROOT / "none"), "http://x", []).splitlines()
        return [line for line in lines if line.startswith("  webhooks")]

    assert said() == []
    assert said(WEBHOOK_SECRET="c2VjcmV0") == ["  webhooks   signed with the tenant's secret in WEBHOOK_SECRET"]
    (tmp_path / "webhook.secrets").write_text("default:whsec_c2VjcmV0\n", "utf-8")
    assert said() == [f"  webhooks   signed with the tenant's secret in {tmp_path / 'webhook.secrets'}"]
    both = f"in WEBHOOK_SECRET or {tmp_path / 'webhook.secrets'}"
    assert said(WEBHOOK_SECRET="acme:c2VjcmV0")[0].endswith(both)


def test_missing_packages_are_seen(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# c\n-r b.txt\nuvicorn==0.54.0 --hash=sha256:0\n", "utf-8")
    (tmp_path / "b.txt").write_text("aws-lambda-powertools[parser]==3.37.0\n", "utf-8")
    assert not missing(tmp_path / "a.txt")
    (tmp_path / "b.txt").write_text("uvicorn==0.0.1\n", "utf-8")
    assert missing(tmp_path / "a.txt")
    (tmp_path / "b.txt").write_text("no-such-package==1\n", "utf-8")
    assert missing(tmp_path / "a.txt")


def test_every_verb_of_the_makefile_is_here() -> None:
    verbs = set(re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert verbs - {"help", "clean"} == set(VERBS)


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"run", "test", *OPERATORS}))
def test_a_verb_runs_what_the_makefile_runs(verb: str) -> None:
    make = ["make", "--dry-run", "VENV=none", verb]
    printed = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    commands = [line.removeprefix("none/bin/") for line in printed if line.startswith("none/bin/")]
    commands = [command for command in commands if not command.startswith("python -m pip")]
    assert [shlex.split(command) for command in commands] == [shlex.split(command) for command in VERBS[verb]]


def test_the_tests_go_on_after_a_failure_and_fail_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(command[0])
        return subprocess.CompletedProcess(command, 1 if command[0].endswith(("ruff", "mypy")) else 0)

    monkeypatch.setattr("local.verbs.subprocess.run", run)
    assert verbs.do("test", []) == 1
    assert len(asked) == len(VERBS["test"])
    asked.clear()
    assert verbs.do("check", []) == 1
    assert len(asked) == 1


def test_make_test_goes_on_after_a_failure_and_fails_at_the_end(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    tools = tmp_path / ".venv" / "bin"
    tools.mkdir(parents=True)
    for name in ("ruff", "mypy", "lint-imports", "python"):
        tool = tools / name
        tool.write_text(f'#!/bin/sh\necho "{name} $@" >> asked\ntest "{name}" != ruff\n', "utf-8")
        tool.chmod(0o755)
    for line in (ROOT / "Makefile").read_text("utf-8").splitlines():
        if line.startswith("$(VENV)/.dev:"):
            for file in line.split(":", 1)[1].split():
                (tmp_path / file).parent.mkdir(exist_ok=True)
                (tmp_path / file).touch()
    (tmp_path / ".venv" / ".dev").touch()
    environment = {**os.environ, "CHROME": "sh"}  # so that no browser is installed
    make = ["make", "test"]
    done = subprocess.run(make, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    asked = (tmp_path / "asked").read_text("utf-8")
    assert done.returncode != 0
    assert "failed in: check" in done.stderr
    assert "-m not e2e and not cdk and not gpu" in asked
    assert "-m (e2e or cdk) and not gpu" in asked
    assert "-m alone and e2e and not gpu" in asked


def test_the_console_tells_requests_and_jobs_and_keeps_quiet_of_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.request("POST", "/generate", 200, 0.0834, "r-1")
    event = {"request_id": "r-2", "ms": 12, "error": False, "job_id": "j-1"}
    console.event({**event, "function": "worker"})
    console.event({**event, "function": "worker", "job_id": None})
    console.event({**event, "function": "api"})
    console.event({**event, "function": "api", "error": True, "job_id": None})
    lines = [line.partition(" ")[2] for line in capsys.readouterr().out.splitlines()]
    assert lines == ["POST   /generate 200 83 ms r-1", "worker job j-1 done 12 ms r-2", "api failed 12 ms r-2"]
