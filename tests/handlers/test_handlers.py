"""The handlers: events in, the right use case called, failed messages reported by id."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lambdas import wiring
from lambdas.adapters.webhooks import receiver as webhook_post
from lambdas.adapters.webhooks import signer
from lambdas.api.route import Route
from lambdas.api.table import every_route
from lambdas.domain.jobs.request import ImageRequest
from lambdas.domain.open_routes import closed
from lambdas.handlers import api, authorizer, dead_letter, webhooks, worker
from lambdas.settings import Settings
from lambdas.usecases.jobs.handle_message import fail_dead_lettered_job
from lambdas.usecases.jobs.submit_job import Caller, submit_job
from tests.support.fake_events import FakeReceiver, FakeSigner
from tests.support.fakes import FakeClock, Fakes

ROOT = Path(__file__).parents[2]


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 29_000


@pytest.fixture
def deps(monkeypatch: pytest.MonkeyPatch) -> Fakes:
    made = Fakes()
    monkeypatch.setattr(wiring, "live", lambda: made)
    monkeypatch.setattr(wiring, "settings", Settings)
    return made


def job_of(deps: Fakes) -> str:
    return submit_job(ImageRequest("x"), Caller("acme", "r"), deps)[0].id


def record(body: Any, message_id: str = "m1") -> dict[str, Any]:
    return {"messageId": message_id, "body": body if isinstance(body, str) else json.dumps(body)}


def test_the_api_answers(deps: Fakes) -> None:
    assert api.handler({"path": "/health", "httpMethod": "GET"}, Context())["statusCode"] == 200


def test_the_worker_runs_a_job_called_directly(deps: Fakes) -> None:
    job_id = job_of(deps)
    assert worker.handler({"tenant": "acme", "job_id": job_id}, Context()) == {}
    assert deps.jobs.get("acme", job_id).final  # type: ignore[union-attr]


def test_the_worker_names_the_messages_it_could_not_handle(deps: Fakes) -> None:
    job_id = job_of(deps)
    good = record({"tenant": "acme", "job_id": job_id, "watchdog": False}, "good")
    answer = worker.handler({"Records": [record("{", "bad"), good]}, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "bad"}]}
    assert deps.jobs.get("acme", job_id).final  # type: ignore[union-attr]


def test_dead_letters_end_their_jobs(deps: Fakes) -> None:
    job_id = job_of(deps)
    message = record({"tenant": "acme", "job_id": job_id, "watchdog": False})
    assert dead_letter.handler({"Records": [message]}, None) == {"batchItemFailures": []}
    job = deps.jobs.get("acme", job_id)
    assert job and job.status == "failed"


def test_a_dead_letter_of_a_job_still_held_stays(deps: Fakes) -> None:
    job_id = job_of(deps)
    clock: FakeClock = deps.clock
    deps.jobs.claim("acme", job_id, clock.now(), clock.now() + 20)
    message = record({"tenant": "acme", "job_id": job_id, "watchdog": False})
    assert dead_letter.handler({"Records": [message]}, None) == {"batchItemFailures": [{"itemIdentifier": "m1"}]}


def test_the_webhooks_function_delivers_and_names_what_it_could_not(
    deps: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = FakeReceiver()
    webhooks._delivery.cache_clear()
    monkeypatch.setattr(webhook_post, "HttpReceiver", lambda **_: receiver)
    monkeypatch.setattr(signer, "StandardSigner", lambda *_: FakeSigner())
    request = ImageRequest("x", webhook_url="https://a.example/h")
    job_id = submit_job(request, Caller("acme", "r"), deps)[0].id
    fail_dead_lettered_job("acme", job_id, deps)
    due = deps.outbox.get("acme", job_id).due  # type: ignore[union-attr]
    good = record({"tenant": "acme", "job_id": job_id, "due": due}, "good")
    answer = webhooks.handler({"Records": [record("{", "bad"), good]}, Context())
    webhooks._delivery.cache_clear()
    assert answer == {"batchItemFailures": [{"itemIdentifier": "bad"}]}
    [post] = receiver.posts
    assert json.loads(post.body)["data"]["generation_id"] == job_id
    assert deps.outbox.get("acme", job_id).state == "delivered"  # type: ignore[union-attr]


@pytest.mark.parametrize("module", ["api", "authorizer", "dead_letter", "gpu_result", "worker"])
def test_who_sends_no_webhooks_does_not_import_how(module: str) -> None:
    names = ("standardwebhooks", "lambdas.egress.guard", "lambdas.egress.wire", "lambdas.usecases.webhooks.deliver")
    code = f"import sys, lambdas.handlers.{module}; print([n for n in {names} if n in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"


def test_the_authorizer_lets_through_with_its_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authorizer, "_settings", lambda: Settings(api_keys=("acme:k",), require_api_key=True))
    event = {"methodArn": METHOD, "path": "/x", "headers": {"X-Api-Key": "k"}}
    answer = authorizer.handler(event, None)
    assert answer["context"] == {"tenant": "acme", "auth": "ok"}
    assert answer["policyDocument"]["Statement"][0]["Effect"] == "Allow"
    assert authorizer.handler({**event, "headers": None}, None)["context"]["auth"] == "missing"
    monkeypatch.setattr(authorizer, "_keys", lambda: SimpleNamespace(tenant_of=lambda _hash: None))
    unknown = authorizer.handler({**event, "headers": {"X-Api-Key": "no"}}, None)
    assert (unknown["context"]["auth"], effect_of(unknown)) == ("unknown", "Allow")


METHOD = "arn:aws:execute-api:eu-central-1:1:api/prod/GET/x"


def effect_of(answer: dict[str, Any]) -> str:
    effect: str = answer["policyDocument"]["Statement"][0]["Effect"]
    return effect


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("route", every_route(), ids=lambda route: f"{route.method} {route.path}")
def test_the_authorizer_knows_which_routes_open_without_a_key(
    monkeypatch: pytest.MonkeyPatch, route: Route, required: bool
) -> None:
    """Who is refused here gets the gateway's own answer, whose WWW-Authenticate is not renamed."""
    monkeypatch.setattr(authorizer, "_settings", lambda: Settings(require_api_key=required))
    answer = authorizer.handler({"methodArn": METHOD, "path": route.path, "headers": {}}, None)
    needed = route.keyed or (required and not route.open)
    assert effect_of(answer) == ("Deny" if needed else "Allow")


@pytest.mark.parametrize("path", ["/", "/health", "/docs", "/openapi.json", "/postman.json"])
def test_what_the_contract_opens_is_open(path: str) -> None:
    assert not closed(path, required=True)
    assert not closed(f"{path}/", required=True)


def test_a_slash_at_the_end_opens_no_route_that_needs_a_key() -> None:
    assert closed("/v1/models/purge/", required=False)
    assert closed("/healthy", required=True)


LINK = {"kid": ["lk_0123456789abcdef"], "expires": ["1"], "sig": ["x"]}
STABLE = "/storage/images/default/demo/im_0123456789abcdef.png"


@pytest.mark.parametrize(
    ("method", "path", "query", "effect"),
    [
        ("GET", STABLE, LINK, "Allow"),
        ("HEAD", STABLE, LINK, "Allow"),
        ("GET", STABLE, {"sig": ["x"]}, "Allow"),  # the api function answers 404
        ("GET", STABLE, {"w": ["1"]}, "Deny"),
        ("GET", STABLE, None, "Deny"),
        ("POST", STABLE, LINK, "Deny"),
        ("GET", "/unified/jobs", LINK, "Deny"),
        ("GET", "/download/im_0123456789abcdef.png", LINK, "Deny"),
        ("GET", "/unified/jobs/storage/images/", LINK, "Deny"),
    ],
)
def test_6_6_the_authorizer_lets_signed_links_pass_without_a_tenant(
    monkeypatch: pytest.MonkeyPatch, method: str, path: str, query: dict[str, list[str]] | None, effect: str
) -> None:
    monkeypatch.setattr(authorizer, "_settings", lambda: Settings(require_api_key=True))
    event = {"methodArn": METHOD, "path": path, "httpMethod": method, "headers": {}}
    answer = authorizer.handler({**event, "multiValueQueryStringParameters": query}, None)
    assert effect_of(answer) == effect
    assert answer["context"] == {"tenant": "", "auth": "missing"}


@pytest.mark.parametrize("module", ["api", "authorizer", "worker"])
def test_nobody_imports_the_transforms_before_they_are_needed(module: str) -> None:
    names = ("PIL", "lambdas.adapters.images.transforms", "lambdas.adapters.images.lettering", "lambdas.usecases.links")
    code = f"import sys, lambdas.handlers.{module}; print([n for n in {names} if n in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"
