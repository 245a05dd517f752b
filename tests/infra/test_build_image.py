"""The function between CloudFormation and CodeBuild: every request gets exactly one answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.functions import build_image

EVENT = {
    "RequestType": "Create",
    "ResponseURL": "https://cloudformation.example/answer?X-Amz-Signature=1",
    "StackId": "arn:stack",
    "RequestId": "1-2-3",
    "LogicalResourceId": "Built",
    "ResourceProperties": {"ServiceToken": "arn:f", "Variables": {"IMAGE_TAG": "abc", "MODELS": "a b"}},
}


BUILD = "worker-image:8745a7a9-c340-456a-9166-edf953571bee"


class Builds:
    """CodeBuild, as far as it is asked."""

    def __init__(self) -> None:
        self.started: list[dict[str, Any]] = []
        self.fails: Exception | None = None

    def start_build(self, **given: Any) -> None:
        if self.fails:
            raise self.fails
        self.started.append(given)

    def batch_get_builds(self, ids: list[str]) -> dict[str, Any]:
        assert ids == [BUILD], "an id, which the event's ARN is not"
        if self.fails:
            raise self.fails
        variables = self.started[-1]["environmentVariablesOverride"] if self.started else []
        build = {"id": ids[0], "environment": {"environmentVariables": variables}, "logs": {"deepLink": "https://log"}}
        return {"builds": [build]}


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> Builds:
    made = Builds()
    monkeypatch.setattr("boto3.client", lambda _service: made)
    monkeypatch.setenv("PROJECT", "worker-image")
    return made


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    class Closed:
        def close(self) -> None: ...

    def put(request: Any, timeout: float) -> Closed:
        assert (request.method, request.full_url) == ("PUT", EVENT["ResponseURL"])
        sent.append(json.loads(request.data))
        return Closed()

    monkeypatch.setattr("urllib.request.urlopen", put)
    return sent


def ended(status: str, **more: Any) -> dict[str, Any]:
    arn = f"arn:aws:codebuild:eu-central-1:111122223333:build/{BUILD}"
    return {"detail": {"build-id": arn, "build-status": status, "project-name": "worker-image", **more}}


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_a_request_starts_a_build_and_is_not_answered_yet(
    kind: str, builds: Builds, answers: list[dict[str, Any]]
) -> None:
    build_image.handler({**EVENT, "RequestType": kind}, None)
    [started] = builds.started
    assert (started["projectName"], started["idempotencyToken"]) == ("worker-image", "1-2-3")
    variables = {v["name"]: v["value"] for v in started["environmentVariablesOverride"]}
    assert (variables["IMAGE_TAG"], variables["MODELS"]) == ("abc", "a b")
    assert answers == []


@pytest.mark.parametrize(
    ("status", "told"), [("SUCCEEDED", "SUCCESS"), ("FAILED", "FAILED"), ("STOPPED", "FAILED"), ("TIMED_OUT", "FAILED")]
)
def test_the_end_of_the_build_answers_the_request(
    status: str, told: str, builds: Builds, answers: list[dict[str, Any]]
) -> None:
    build_image.handler(EVENT, None)
    build_image.handler(ended(status), None)
    [answer] = answers
    assert answer["Status"] == told
    assert "https://log" in answer["Reason"]
    assert {k: answer[k] for k in ("StackId", "RequestId", "LogicalResourceId")} == {
        k: EVENT[k] for k in ("StackId", "RequestId", "LogicalResourceId")
    }


def test_an_event_that_shows_the_builds_variables_is_enough(builds: Builds, answers: list[dict[str, Any]]) -> None:
    build_image.handler(EVENT, None)
    builds.fails = RuntimeError("CodeBuild does not answer")
    variables = builds.started[-1]["environmentVariablesOverride"]
    about = {"environment": {"environment-variables": variables}, "logs": {"deep-link": "https://event-log"}}
    build_image.handler(ended("FAILED", **{"additional-information": about}), None)
    [answer] = answers
    assert answer["Status"] == "FAILED"
    assert "https://event-log" in answer["Reason"]


def test_an_end_that_cannot_be_looked_at_is_tried_again(builds: Builds, answers: list[dict[str, Any]]) -> None:
    """By Lambda, twice, which an exception asks for."""
    build_image.handler(EVENT, None)
    builds.fails = RuntimeError("CodeBuild does not answer")
    with pytest.raises(RuntimeError):
        build_image.handler(ended("SUCCEEDED"), None)
    assert answers == []
    builds.fails = None
    build_image.handler(ended("SUCCEEDED"), None)
    assert [a["Status"] for a in answers] == ["SUCCESS"]


def test_a_request_without_what_a_build_needs_is_told_at_once(builds: Builds, answers: list[dict[str, Any]]) -> None:
    build_image.handler({**EVENT, "ResourceProperties": {}}, None)
    assert [a["Status"] for a in answers] == ["FAILED"]


def test_a_build_started_by_hand_answers_nobody(builds: Builds, answers: list[dict[str, Any]]) -> None:
    build_image.handler(ended("SUCCEEDED"), None)
    assert answers == []


def test_a_build_that_cannot_be_started_is_told_at_once(builds: Builds, answers: list[dict[str, Any]]) -> None:
    builds.fails = RuntimeError("no machine")
    build_image.handler(EVENT, None)
    [answer] = answers
    assert answer["Status"] == "FAILED"
    assert "no machine" in answer["Reason"]


def test_a_deletion_builds_nothing(builds: Builds, answers: list[dict[str, Any]]) -> None:
    build_image.handler({**EVENT, "RequestType": "Delete"}, None)
    assert builds.started == []
    assert [a["Status"] for a in answers] == ["SUCCESS"]


def test_the_replacement_of_nothing_is_told_by_one_name(builds: Builds, answers: list[dict[str, Any]]) -> None:
    build_image.handler({**EVENT, "RequestType": "Delete"}, None)
    build_image.handler(EVENT, None)
    build_image.handler(ended("SUCCEEDED"), None)
    assert {a["PhysicalResourceId"] for a in answers} == {"worker-image"}


def test_it_fits_into_a_template() -> None:
    assert len(Path(build_image.__file__).read_bytes()) < 4096
