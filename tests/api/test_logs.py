"""The lines of the log: one a request and one a job, with the fields that docs/logs.md lists, and no prompt."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.handlers.batch import handled
from lambdas.observability import EmfMeter
from lambdas.usecases.jobs.handle_message import fail_dead_lettered_job
from tests.api.client import AnyClient
from tests.support.fakes import FakeProvider, FakeProviders, deps_on_fakes
from tests.support.log_lines import lines, written

DOCS = Path(__file__).parents[2] / "docs"
PROMPT = "an unmistakable heron"
BY_LAMBDA = {"xray_trace_id"}  # written where Lambda traces


def client(*failing: str) -> AnyClient:
    """Of a service that measures as the deployed one does; the providers of these names refuse each call."""
    deps = replace(deps_on_fakes(), meter=EmfMeter())
    if failing:
        failure = ProviderFailure(Failure.NOT_AUTHORIZED, "no such key")
        providers = FakeProviders(**{name: FakeProvider([failure]) for name in failing})
        deps = replace(deps, providers=providers)
    return AnyClient(deps)


def everything() -> None:
    """A request of each kind, and jobs that end in each way."""
    ask = client()
    ask("GET", "/health")
    ask("GET", "/unified/jobs/unknown")
    ask("POST", "/unified/generate", {"prompt": PROMPT, "seed": 7})
    ask("POST", "/unified/generate", {"prompt": PROMPT, "seed": 7})  # from the cache
    ask("POST", "/unified/generate", {"prompt": PROMPT, "n": 1000})
    ask("POST", "/unified/generate", {"prompt": PROMPT, "wrong": PROMPT})
    ask("POST", "/unified/generate", f'{{"prompt": "{PROMPT}"'.encode())
    ask("POST", "/unified/generate", {"prompt": f"{PROMPT}, " * 200})  # is shortened
    ask("POST", "/unified/validate-prompt", {"prompt": f"{PROMPT}, " * 200})
    ask("POST", "/generate", {"prompt": PROMPT})
    ask("POST", "/unified/batch", {"requests": [{"prompt": PROMPT}, {"prompt": PROMPT, "model": "none"}]})
    later = ask("POST", "/unified/generate", {"prompt": PROMPT}, {"Prefer": "respond-async"}).json()["generation_id"]
    ask("DELETE", f"/unified/jobs/{later}")
    lost = ask("POST", "/unified/generate", {"prompt": PROMPT}, {"Prefer": "respond-async"}).json()["generation_id"]
    fail_dead_lettered_job("acme", lost, ask.deps)
    client("demo")("POST", "/unified/generate", {"prompt": PROMPT})
    handled({"Records": [{"messageId": "m", "body": '{"job_id": "j"}'}]}, lambda message: bool(1 / 0))


def test_no_prompt_is_logged_at_info() -> None:
    with written() as log:
        everything()
    said = log.getvalue()
    assert "job ended" in said
    assert "JobsCompleted" in said
    assert "heron" not in said


def test_there_is_one_line_a_request_and_one_a_job() -> None:
    with written() as log:
        job = client()("POST", "/unified/generate", {"prompt": PROMPT}).json()["generation_id"]
    [request] = [line for line in lines(log) if line.get("message") == "request"]
    [ended] = [line for line in lines(log) if line.get("message") == "job ended"]
    assert {"method", "path", "endpoint", "tenant", "status", "ms", "job_id", "provider", "model", "cost_usd"} <= set(
        request
    )
    for line in (request, ended):
        assert (line["request_id"], line["tenant"], line["job_id"]) == ("req-1", "acme", job)
    assert (request["status"], ended["status"]) == (200, "completed")


def test_a_job_that_no_run_ends_has_its_line_too() -> None:
    with written() as log:
        everything()
    ended = [line for line in lines(log) if line.get("message") == "job ended"]
    assert {line["status"] for line in ended} == {"completed", "failed", "cancelled"}
    assert len({line["job_id"] for line in ended}) == len(ended)


def test_the_docs_list_every_field() -> None:
    with written() as log:
        everything()
    metrics = set(re.findall(r"^\| `(\w+)` \|", (DOCS / "cloudwatch.md").read_text("utf-8"), re.MULTILINE))
    seen = {name for line in lines(log) for name in line} - {"_aws"}
    table = re.findall(r"^\| (`[a-z_`, ]+`) \|[^|]*\|[^|]*\|$", (DOCS / "logs.md").read_text("utf-8"), re.MULTILINE)
    listed = {name for row in table for name in re.findall(r"`(\w+)`", row)}
    assert seen - metrics == listed - BY_LAMBDA
