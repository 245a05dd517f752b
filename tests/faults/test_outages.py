"""An AWS service is unreachable for longer than all retries: no job is accepted that cannot be finished."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import boto3
import pytest

from lambdas.adapters.dynamodb.batches import DynamoBatches
from lambdas.adapters.dynamodb.counters import DynamoCounters
from lambdas.adapters.secret import CACHE_SECONDS, RETRY_SECONDS, ProviderSecret
from lambdas.api.table import every_route
from lambdas.domain.errors import Unavailable
from lambdas.domain.jobs.job import COMPLETED, FAILED
from lambdas.handlers import worker
from lambdas.usecases import retry
from tests.api.client import AnyClient
from tests.faults.checks import check_all
from tests.faults.flow import KEY, Flow
from tests.faults.flows import BATCH, CACHED, FLOWS, REFERENCE
from tests.faults.injector import FAULTS, Injector, Plan
from tests.faults.test_every_call import is_clean
from tests.faults.world import EVENTS, PAID_SHOT, Context, World

Open = Callable[[Flow], World]
GONE = ("/v1/jobs/{job_id}", "/v1/images/variations")  # whatever else is there
OUTAGES = ("broken", "refused", "throttle", "timeout")


def down(service: str, fault: str = "refused", table: str = "") -> Plan:
    return Plan(f"{service}-*", fault, True, table)


@pytest.mark.parametrize("fault", OUTAGES)
@pytest.mark.parametrize("name", ["batch", "inline", "paid_shot", "respond_async"])
def test_without_a_queue_nothing_is_accepted(name: str, fault: str, world_of: Open, injector: Injector) -> None:
    """There would be no watchdog for it."""
    flow = FLOWS[name]
    world = world_of(flow)
    with injector.watched(down("sqs", fault)):
        answer = flow.act(world)
    assert answer is not None
    is_clean(answer)
    assert all(job.final for job in world.jobs())  # those of a batch that were refused, which need no watchdog
    assert world.rows("#budget") == []
    assert world.messages == []
    again = flow.act(world)
    assert again is not None
    assert again.status in flow.right
    world.settle()
    check_all(world)
    assert len(world.jobs()) == flow.jobs


def test_a_job_accepted_goes_on_without_its_message(world_of: Open, injector: Injector) -> None:
    """The watchdog was sent, then the queue went away."""
    flow = FLOWS["respond_async"]
    world = world_of(flow)
    with injector.watched(Plan("sqs-SendMessage-2", "refused", True)):
        answer = flow.act(world)
    assert answer is not None
    assert answer.status == 202
    assert [json.loads(m["body"])["watchdog"] for m in world.messages] == [True]
    world.settle()
    assert [job.status for job in world.jobs()] == [COMPLETED]


@pytest.mark.parametrize("call", ["dynamodb-PutItem-1", "s3-PutObject-1"])
def test_a_job_accepted_is_no_error_because_its_first_run_failed(call: str, world_of: Open, injector: Injector) -> None:
    """A client that was told of an error would ask, and may be charged, for another."""
    world = world_of(FLOWS["inline"])
    with injector.watched(Plan(call, "refused", True)):
        answer = FLOWS["inline"].act(world)
    assert answer is not None
    assert (answer.status, answer.json()["status"]) == (202, "queued")
    world.settle()
    assert [job.status for job in world.jobs()] == [COMPLETED]


def test_an_image_is_answered_also_where_it_is_not_remembered(world_of: Open, injector: Injector) -> None:
    world = world_of(FLOWS["inline"])
    with injector.watched(Plan("dynamodb-PutItem-2", "refused", True)):
        answer = world.client("POST", "/unified/generate", CACHED)
    assert answer.status == 200
    assert world.rows("#cache") == []


def test_no_item_of_a_batch_is_refused_for_a_bucket_out_of_reach(world_of: Open, injector: Injector) -> None:
    world = world_of(FLOWS["reference"])
    with injector.watched(down("s3")):
        is_clean(world.client("POST", "/unified/generate/batch", {"requests": [REFERENCE]}, KEY))
    assert world.jobs() == []
    assert world.rows("#batch") == []


def test_a_watchdog_without_a_successor_runs_its_job_and_comes_again(world_of: Open, injector: Injector) -> None:
    world = world_of(FLOWS["watchdog"])
    with injector.watched(down("sqs")):
        FLOWS["watchdog"].act(world)
    assert [job.status for job in world.jobs()] == [COMPLETED]
    assert len(world.of_jobs()) == 1
    world.settle()
    check_all(world)


@pytest.mark.parametrize("fault", OUTAGES)
@pytest.mark.parametrize(
    "route", sorted({f"{r.method} {r.path}" for r in every_route() if not r.open and r.path not in GONE})
)
def test_without_its_database_every_route_says_so(route: str, fault: str, world_of: Open, injector: Injector) -> None:
    """Those that need none answer as always."""
    world = world_of(FLOWS["list"])
    [job] = world.jobs()
    method, path = route.split()
    path = path.replace("{job_id}", job.id).replace("{batch_id}", job.id).replace("{image_id}", job.images[0].id)
    path = path.replace("{name}", job.images[0].name).replace("{project_id}", "default").replace("{provider}", "demo")
    path = path.replace("{owner}/{model_id}", "stabilityai/sdxl-turbo").replace("{model_id}", "runware:101@1")
    bodies = {"/unified/generate/batch": BATCH, "/unified/projects": {"project_id": "p"}}
    body = bodies.get(path, {"prompt": "a fox"}) if method == "POST" else None
    client = world.client
    if path == "/metrics":
        counting = replace(world.deps, counters=DynamoCounters("jobs"))
        client = AnyClient(counting, identity={"tenant": "operator", "auth": "ok"})
    with injector.watched(down("dynamodb", fault)):
        answer = client(method, path, body)
    if answer.status != 503:
        assert answer.status in (200, 400), answer.body
        asked = [c for c in injector.calls if "dynamodb" in c]
        # nobody knows whether it was counted in the rate, and so it is let through
        rated = path in ("/unified/validate-prompt", "/unified/prompt-validator/health") and len(asked) == 1
        assert (
            not asked or rated or path.startswith(("/v1/models", "/v1/uploads", "/unified/plan", "/unified/providers"))
        )
    elif path.startswith("/v1/images"):
        assert answer.json()["error"]["code"] == "temporarily_unavailable"
    else:
        is_clean(answer)
    world.settle()
    check_all(world)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_providers_table_never_stands_between_a_client_and_its_image(
    fault: str, world_of: Open, injector: Injector
) -> None:
    for name in ("inline", "ticket_of_theirs"):
        world = world_of(FLOWS[name])
        plan = down("dynamodb", fault, "providers")
        with injector.watched(plan):
            answer = FLOWS[name].act(world)
        assert answer is not None
        assert answer.status == 200
        assert plan.met
        world.settle()
        check_all(world)


def submit(world: World) -> None:
    assert FLOWS["respond_async"].act(world).status == 202  # type: ignore[union-attr]


def test_a_bucket_that_is_away_for_a_moment_costs_no_paid_image(world_of: Open, injector: Injector) -> None:
    world = world_of(FLOWS["respond_async"])
    submit(world)
    [job] = world.jobs()
    with injector.watched(Plan("s3-PutObject-1", "broken", True)):
        worker.handler({"tenant": world.tenant, "job_id": job.id}, Context())
    [job] = world.jobs()
    assert (job.status, len(world.providers.all[PAID_SHOT].charged)) == (COMPLETED, 1)
    assert world.clock.slept[0] == retry.WAITS[0]
    world.settle()
    check_all(world)


@pytest.mark.parametrize("fault", OUTAGES)
def test_a_bucket_that_stays_away_costs_one_image_which_the_receipt_names(
    fault: str, world_of: Open, injector: Injector
) -> None:
    """The bytes are in no other hands; nobody pays for them again, and the tenant does not pay at all."""
    world = world_of(FLOWS["respond_async"])
    submit(world)
    [job] = world.jobs()
    with injector.watched(down("s3", fault)), pytest.raises(Unavailable):
        worker.handler({"tenant": world.tenant, "job_id": job.id}, Context())
    world.settle()
    [job] = world.jobs()
    assert (job.status, job.error and job.error.code) == (FAILED, "outcome_unknown")
    assert len(world.providers.all[PAID_SHOT].charged) == 1
    [books] = world.rows("#budget")
    assert int(books["lost_microusd"]["N"]) > 0
    assert "spent_microusd" not in books
    check_all(world)


@pytest.fixture
def secret(world_of: Open, monkeypatch: pytest.MonkeyPatch) -> tuple[ProviderSecret, list[float]]:
    world_of(FLOWS["make_project"])
    client, clock = boto3.client("secretsmanager"), [1000.0]
    made = client.create_secret(Name=f"keys-{id(clock)}", SecretString=json.dumps({"GEMINI_API_KEY": "one"}))
    monkeypatch.setattr("lambdas.adapters.secret.time.monotonic", lambda: clock[0])
    return ProviderSecret(made["ARN"]), clock


@pytest.mark.parametrize("fault", OUTAGES)
def test_keys_that_were_read_serve_while_the_secret_is_out_of_reach(
    fault: str, secret: tuple[ProviderSecret, list[float]], injector: Injector
) -> None:
    keys, clock = secret
    with injector.watched(down("secrets-manager", fault)), pytest.raises(Unavailable):
        keys.values()
    assert keys.values() == {"GEMINI_API_KEY": "one"}
    clock[0] += CACHE_SECONDS + 1
    with injector.watched(down("secrets-manager", fault)):
        for _ in range(3):
            assert keys.values() == {"GEMINI_API_KEY": "one"}
        assert len(injector.calls) == 1  # nobody waits for it at each request
        clock[0] += RETRY_SECONDS + 1
        keys.values()
        assert len(injector.calls) == 2


def test_without_any_keys_a_request_is_told_to_come_again(
    secret: tuple[ProviderSecret, list[float]], world_of: Open, injector: Injector
) -> None:
    keys, _clock = secret

    class Secretive:
        def configured(self) -> frozenset[str]:
            return frozenset(keys.values())

    world = world_of(FLOWS["inline"])
    world.client.deps = replace(world.deps, providers=Secretive())  # type: ignore[arg-type]
    with injector.watched(down("secrets-manager")):
        is_clean(world.client("POST", "/generate", {"prompt": "a fox"}, KEY))
    assert world.jobs() == []


@pytest.mark.parametrize("fault", OUTAGES)
def test_a_key_that_cannot_be_looked_up_opens_nothing(fault: str, world_of: Open, injector: Injector) -> None:
    flow = FLOWS["authorizer"]
    world = world_of(flow)
    with injector.watched(down("dynamodb", fault, "keys")):
        answer = flow.act(world)
    assert world.client.identity == {"tenant": "", "auth": "unavailable"}
    assert answer is not None
    is_clean(answer)
    world.client.settings = replace(world.client.settings, require_api_key=False)
    is_clean(world.client("GET", "/unified/projects"))  # also where keys are not required: whose it is is not known


def test_two_requests_that_finish_the_same_batch_answer_the_same(
    world_of: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first looked for the batch's jobs before the second had made the missing ones."""
    flow = FLOWS["cut_off_batch"]
    world = world_of(flow)
    answers: list[Any] = []
    real = DynamoBatches.jobs

    def looked(batches: DynamoBatches, batch: Any) -> Any:
        found = real(batches, batch)
        if not answers:
            answers.append(None)
            answers[0] = flow.act(world)
            world.clock.sleep(0.5)
        return found

    monkeypatch.setattr(DynamoBatches, "jobs", looked)
    answers.append(flow.act(world))
    assert [answer.status for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    world.settle()
    check_all(world)


def test_an_event_whose_message_was_lost_is_handed_over_by_the_watchdog(world_of: Open, injector: Injector) -> None:
    world = world_of(replace(FLOWS["respond_async"], limited=False))
    body = {"prompt": "a fox", "provider": PAID_SHOT, "webhook_url": "https://hooks.example/x"}
    assert world.client("POST", "/unified/generate", body, {"Prefer": "respond-async"}).status == 202
    [job] = world.jobs()
    with injector.watched(down("sqs")):
        worker.handler({"tenant": world.tenant, "job_id": job.id}, Context())
    assert [job.status for job in world.jobs()] == [COMPLETED]
    assert [row["state"]["S"] for row in world.rows("#webhooks")] == ["pending"]
    world.settle()
    assert [json.loads(m["body"])["job_id"] for m in world.messages if m["queue"] == EVENTS] == [job.id]
