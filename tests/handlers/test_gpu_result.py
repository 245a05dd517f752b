"""SageMaker's notifications: those of the service's work requeue its job, all others are ignored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambdas import wiring
from lambdas.domain import ids
from lambdas.handlers import gpu_result
from lambdas.settings import Settings
from tests.support.fakes import Fakes
from tests.usecases.jobs.test_requeue import OPEN, job_with

CALL = "01994c6e-0000-4000-8000-000000000001"


def event(*messages: object) -> dict[str, Any]:
    texts = [m if isinstance(m, str) else json.dumps(m) for m in messages]
    return {"Records": [{"EventSource": "aws:sns", "Sns": {"MessageId": "n", "Message": text}} for text in texts]}


def notice(place: object, **more: object) -> dict[str, Any]:
    """As SageMaker sends it; https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-check-predictions.html"""
    return {
        "awsRegion": "us-east-1",
        "eventTime": "2026-11-20T22:46:00.720Z",
        "receivedTime": "2026-11-20T22:46:00.455Z",
        "invocationStatus": "Completed",
        "requestParameters": {"endpointName": "image-api-dev-async", "inputLocation": place},
        "responseParameters": {"contentType": "application/json", "outputLocation": "s3://images/async/out/x.out"},
        "inferenceId": CALL,
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
        **more,
    }


@pytest.fixture
def deps(monkeypatch: pytest.MonkeyPatch) -> Fakes:
    made = Fakes()
    monkeypatch.setattr(wiring, "live", lambda: made)
    monkeypatch.setattr(wiring, "settings", lambda: Settings(images_bucket="images"))
    return made


@pytest.mark.parametrize("status", ["Completed", "Failed"])
def test_a_notice_brings_its_job(deps: Fakes, status: str) -> None:
    job = job_with(deps, OPEN)
    place = f"s3://images/{ids.async_key(f'acme/{job.id}', CALL)}"
    gpu_result.handler(event(notice(place, invocationStatus=status)), None)
    assert [(m["tenant"], m["job_id"]) for m in deps.queue.sent] == [("acme", job.id)]


def _hostile() -> list[object]:
    good = f"async/in/acme/01994c6e-0000-7000-8000-000000000000/{CALL}.json"
    return [
        "",
        "{",
        "null",
        "[]",
        "7",
        '"text"',
        "[" * 100_000,
        {},
        {"requestParameters": None},
        {"requestParameters": []},
        {"requestParameters": {}},
        notice(None),
        notice(7),
        notice(["s3://images/" + good]),
        notice(good),
        notice(f"s3://other/{good}"),
        notice(f"s3://images.evil/{good}"),
        notice(f"https://images/{good}"),
        notice(f"s3://images//{good}"),
        notice(f"s3://images/{good}\n"),
        notice(f"s3://images/{good}.json"),
        notice(f"s3://images/async/in/{CALL}.json"),
        notice(f"s3://images/async/in/../acme/{CALL}/{CALL}.json"),
        notice(f"s3://images/async/in/ACME/{CALL}/{CALL}.json"),
        notice(f"s3://images/async/in/acme#usage/{CALL}/{CALL}.json"),
        notice(f"s3://images/async/out/acme/{CALL}/{CALL}.json"),
    ]


@pytest.mark.parametrize("message", _hostile(), ids=lambda m: str(m)[-60:])
def test_what_is_no_notice_of_ours_is_let_go(deps: Fakes, message: object, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(deps.jobs, "get", lambda tenant, job: asked.append((tenant, job)))
    gpu_result.handler(event(message), None)
    assert asked == []
    assert deps.queue.sent == []


def test_without_a_bucket_no_place_is_ours(deps: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "settings", Settings)
    job = job_with(deps, OPEN)
    gpu_result.handler(event(notice(f"s3:///{ids.async_key(f'acme/{job.id}', CALL)}")), None)
    assert deps.queue.sent == []


def test_a_store_out_of_reach_makes_sns_try_again(deps: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    from lambdas.domain.errors import Unavailable

    def down(*_: object) -> None:
        raise Unavailable("x")

    job = job_with(deps, OPEN)
    monkeypatch.setattr(deps.jobs, "get", down)
    with pytest.raises(Unavailable):
        gpu_result.handler(event(notice(f"s3://images/{ids.async_key(f'acme/{job.id}', CALL)}")), None)
