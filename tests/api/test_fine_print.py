"""Contract 1.4, 1.6, 1.7, 5.3, 5.6 and 12.1 in detail, in process with in-memory ports."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.iso_time import iso
from lambdas.usecases.jobs.run_job import run_job
from tests.api.client import Client
from tests.api.test_unified import CORE, house
from tests.support.fakes import FakeProvider, FakeProviders, Fakes


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"model": "nope"}, "unknown_model", "model"),
        ({"model": "stability.stable-diffusion-xl-v1"}, "model_retired", "model"),
        ({"provider": "gemini"}, "provider_unconfigured", "provider"),
        ({"provider": "nope"}, "invalid_request", "provider"),
        ({"fallback": "x"}, "invalid_request", "fallback"),
        ({"fallback": ["nope"]}, "invalid_request", "fallback"),
        ({"fallback": []}, "invalid_request", "fallback"),
        ({"reference_image": "###"}, "malformed_body", "reference_image"),
        ({"provider": "bedrock", "fallback": ["gemini"]}, "provider_unconfigured", "fallback"),
        ({"model": "gemini-3-pro-image"}, "provider_unconfigured", "model"),
        ({"model": CORE, "provider": "gemini"}, "provider_unconfigured", "provider"),
        ({"model": CORE, "provider": "leonardo_ai"}, "invalid_request", "model"),
        ({"model": CORE, "reference_image": "aGk="}, "invalid_request", "reference_image"),
        ({"model": "flux-dev", "prompt": "x" * 2_001}, "invalid_request", "prompt"),
        ({"provider": "leonardo_ai", "fallback": False, "prompt": "x" * 2_001}, "invalid_request", "prompt"),
        ({"model": "phoenix-v1.0", "negative_prompt": "x" * 1_001}, "invalid_request", "negative_prompt"),
    ],
)
def test_1_4_an_invalid_request_names_its_field_once_and_in_the_clients_words(
    body: dict[str, object], code: str, field: str
) -> None:
    client, _ = house(bedrock=[], leonardo_ai=[])
    answer = client("POST", "/unified/generate", {"prompt": "A fox", **body})
    problem = answer.json()
    assert (answer.status, problem["code"]) == (400, code)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert "iteral" not in answer.body.decode()


def test_1_4_a_body_that_is_no_json_is_named_too() -> None:
    [error] = Client()("POST", "/generate", b"{").json()["errors"]
    message = "the body is not valid JSON in UTF-8: EOF while parsing an object at line 1 column 1"
    assert error == {"field": "body", "message": message}


def test_1_4_the_error_of_a_job_that_had_begun_says_who_was_asked_and_what_it_cost() -> None:
    refusal = ProviderFailure(Failure.CONTENT_POLICY, "no foxes", paid="unknown")
    client, _ = house(bedrock=[refusal])
    answer = client("POST", "/unified/generate", {"prompt": "A fox", "provider": "bedrock"})
    told = answer.json()
    job = client("GET", f"/unified/jobs/{told['generation_id']}").json()
    assert (answer.status, job["status"]) == (422, "failed")
    [attempt] = told["attempts"]
    assert (attempt["provider"], attempt["outcome"], attempt["error_code"]) == ("bedrock", "refused", "content_policy")
    assert told["attempts"] == job["metadata"]["attempts"]
    assert told["cost_usd"] == job["metadata"]["cost_usd"]


def test_1_4_an_error_before_any_job_tells_of_none() -> None:
    told = Client()("POST", "/unified/generate", {"prompt": ""}).json()
    assert not {"generation_id", "attempts", "cost_usd"} & set(told)


def test_1_4_a_wrong_idempotency_key_is_named() -> None:
    [error] = Client()("POST", "/generate", {"prompt": "x"}, {"Idempotency-Key": "a b"}).json()["errors"]
    assert error["field"] == "Idempotency-Key"


def test_1_6_and_5_4_what_was_queued_is_answered_again_as_queued() -> None:
    client, _ = house(bedrock=[])
    headers = {"Prefer": "respond-async", "Idempotency-Key": "k"}
    first = client("POST", "/unified/generate", {"prompt": "A fox"}, headers)
    done = run_job("acme", first.json()["generation_id"], client.deps.clock.now() + 800, client.deps)
    assert done is not None and done.final
    again = client("POST", "/unified/generate", {"prompt": "A fox"}, headers)
    assert (again.status, again.json()) == (202, first.json())


def test_1_7_a_job_knows_the_request_that_made_it() -> None:
    client = Client()
    made = client("POST", "/unified/generate", {"prompt": "A fox"})
    job = client("GET", f"/unified/jobs/{made.json()['generation_id']}").json()
    assert job["request_id"] == made.headers["X-Request-Id"]


def test_5_3_a_bad_item_fails_alone_whatever_it_is_and_stays_in_its_project() -> None:
    client, _ = house(bedrock=[])
    items = [1, "x", None, {"prompt": "A fox", "project_id": "p1", "n": 99}, {"prompt": 7, "project_id": "a/b"}]
    accepted = client("POST", "/unified/generate/batch", {"requests": items})
    assert accepted.status == 202
    jobs = client("GET", f"/unified/batches/{accepted.json()['batch_id']}").json()["jobs"]
    assert {job["status"] for job in jobs} == {"failed"}
    assert [job["error"]["message"] for job in jobs[:3]] == ["body: must be an object"] * 3
    assert [(job["prompt"], job["project_id"]) for job in jobs[3:]] == [("A fox", "p1"), ("", "default")]


def test_5_6_an_empty_filter_is_none() -> None:
    client = Client()
    client("POST", "/unified/generate", {"prompt": "A fox"})
    listed = client("GET", "/unified/jobs?project_id=&status=&provider=&from=&to=&limit=&cursor=")
    assert (listed.status, len(listed.json()["jobs"])) == (200, 1)


@pytest.mark.parametrize(
    ("query", "field"), [("from=2026-02-01&to=2026-01-01", "to"), ("provider=nope", "provider"), ("x=1", "x")]
)
def test_5_6_and_12_6_a_wrong_filter_is_named(query: str, field: str) -> None:
    answer = Client()("GET", f"/unified/jobs?{query}")
    assert (answer.status, [error["field"] for error in answer.json()["errors"]]) == (400, [field])


@pytest.mark.parametrize("moment", ["2020-01-01t00:00:00z", "2020-01-01T02:00:00+02:00", "20200101T000000Z"])
def test_5_6_forms_of_a_moment(moment: str) -> None:
    assert Client()("GET", f"/unified/jobs?from={moment}").status == 200


def test_5_6_a_date_alone_as_the_end_covers_its_day() -> None:
    client = Client()
    client.deps.clock.time = datetime(2026, 11, 30, tzinfo=UTC).timestamp() - 0.0015
    client("POST", "/unified/generate", {"prompt": "A fox"})
    client.deps.clock.time += 0.002  # 2026-11-30T00:00:00.000Z
    client("POST", "/unified/generate", {"prompt": "A hare"})

    def listed(query: str) -> list[str]:
        return [job["prompt"] for job in client("GET", f"/unified/jobs?{query}").json()["jobs"]]

    assert listed("from=2026-11-29&to=2026-11-29") == ["A fox"]
    assert listed("to=20261129") == ["A fox"]
    assert listed("from=2026-11-30&to=2026-11-30") == ["A hare"]
    assert listed("to=2026-11-29T00:00:00Z") == []
    assert Client()("GET", "/unified/jobs?from=2026-11-30&to=2026-11-29").status == 400


def test_5_6_what_a_job_says_of_its_creation_finds_it_and_orders_it() -> None:
    client = Client()
    items = [{"prompt": f"fox {number}"} for number in range(100)]
    client("POST", "/unified/generate/batch", {"requests": items})
    jobs = client("GET", "/unified/jobs?limit=100").json()["jobs"]
    assert [job["prompt"] for job in jobs] == [item["prompt"] for item in reversed(items)]
    made = [job["created_at"] for job in jobs]
    assert made == sorted(made, reverse=True)
    assert set(made) == {iso(client.deps.clock.now())}
    at = made[0]
    assert len(client("GET", f"/unified/jobs?limit=100&from={at}&to={at}").json()["jobs"]) == 100


def test_11_the_demo_answers_also_where_only_some_models_are_allowed() -> None:
    """Contract 12.2."""
    client = Client(Fakes(allowed_models=("stabilityai/sdxl-turbo",)))
    answer = client("POST", "/generate", {"prompt": "A fox"})
    assert (answer.status, answer.headers.get("X-Image-Provider")) == (200, "demo")


UNSEEN = [" ", "\u200b", "\n\u2060\ufeff", "\u3164", "\U000e0041", "\u2800 \u00a0"]


@pytest.mark.parametrize("blank", UNSEEN)
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/generate", {}),
        ("/generate-image", {}),
        ("/v1/generate", {}),
        ("/unified/generate", {}),
        ("/unified/generate/quick", {}),
        ("/unified/validate-prompt", {}),
        ("/v1/backgrounds", {"image": "AAAA"}),
        ("/generate", {"image": "AAAA", "task": "background"}),
    ],
)
def test_a_prompt_that_nobody_sees_is_blank(path: str, body: dict[str, str], blank: str) -> None:
    answer = Client()("POST", path, {"prompt": blank, **body})
    assert answer.status == 400
    assert {"field": "prompt", "message": "must not be blank"} in answer.json()["errors"]


@pytest.mark.parametrize("blank", UNSEEN)
def test_a_project_needs_a_name_that_is_seen(blank: str) -> None:
    assert Client()("POST", "/unified/projects", {"project_id": "p", "name": blank}).status == 400


@pytest.mark.parametrize("blank", ["", *UNSEEN])
def test_a_negative_prompt_that_nobody_sees_is_none(blank: str) -> None:
    """The safe default holds, and nothing is named as dropped."""
    provider = FakeProvider()
    client = Client(Fakes(providers=FakeProviders(bedrock=provider)))
    for path in ("/generate", "/generate-image", "/v1/generate", "/unified/generate"):
        body = client("POST", path, {"prompt": "A fox", "negative_prompt": blank}).json()
        assert body["metadata"]["dropped_params"] == []
        assert "nsfw" in (provider.orders[-1].negative_prompt or "")
