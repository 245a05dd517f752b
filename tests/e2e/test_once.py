"""Twenty concurrent equal requests with one Idempotency-Key: one job, and one payment."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.doubles.bedrock.service import FakeBedrock
from tests.e2e.conftest import make_stack
from tests.e2e.http import Client
from tests.e2e.test_contract import ended

pytestmark = pytest.mark.e2e
CALLERS = 20
BODY = {"prompt": "A fox", "fallback": False}


@pytest.fixture(scope="module")
def bedrock() -> Iterator[FakeBedrock]:
    with FakeBedrock() as fake:
        yield fake


@pytest.fixture(scope="module")
def client(bedrock: FakeBedrock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("once")
    with (
        make_stack(folder, AWS_ENDPOINT_URL_BEDROCK_RUNTIME=bedrock.url) as stack,
        Client(stack.url, timeout=100) as client,
    ):
        yield client


def at_once(
    client: Client, path: str, body: dict[str, Any], **headers: str
) -> tuple[list[requests.Response], dict[str, str]]:
    sent = {"Idempotency-Key": str(uuid.uuid4()), **headers}

    def ask(_number: int) -> requests.Response:
        return client.post(path, json=body, headers=sent)

    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(ask, range(CALLERS))), sent


@pytest.mark.parametrize("path", ["/generate", "/generate-image", "/unified/generate", "/v1/generate"])
def test_waiting_requests(path: str, client: Client, bedrock: FakeBedrock) -> None:
    before = len(bedrock.paid)
    body = {"prompt": "A fox", "params": {}} if path == "/v1/generate" else {"prompt": "A fox"}
    answers, key = at_once(client, path, body)
    good = [answer.json() for answer in answers if answer.status_code == 200]
    assert good
    assert {answer.status_code for answer in answers} <= {200, 409}  # 409: the first one was still in progress
    assert len({answer["generation_id"] for answer in good}) == 1
    again = client.post(path, json=body, headers=key)
    assert (again.status_code, again.json()["generation_id"]) == (200, good[0]["generation_id"])
    assert again.headers["idempotency-replayed"] == "true"
    assert len(bedrock.paid) == before + 1


def test_requests_that_do_not_wait(client: Client, bedrock: FakeBedrock) -> None:
    before = len(bedrock.paid)
    answers, _ = at_once(client, "/unified/generate", BODY, Prefer="respond-async")
    assert {answer.status_code for answer in answers} <= {200, 202}  # 200: it had ended by then
    (made,) = {answer.json()["generation_id"] for answer in answers}
    assert ended(client, made)["status"] == "completed"
    assert len(bedrock.paid) == before + 1


def test_batches(client: Client, bedrock: FakeBedrock) -> None:
    before = len(bedrock.paid)
    answers, _ = at_once(client, "/unified/generate/batch", {"requests": [BODY, BODY, {"prompt": ""}]})
    assert [answer.status_code for answer in answers] == [202] * CALLERS
    (batch,) = {answer.json()["batch_id"] for answer in answers}
    assert len({job["generation_id"] for answer in answers for job in answer.json()["jobs"]}) == 3
    jobs = client.get(f"/unified/batches/{batch}").json()["jobs"]
    ends = [ended(client, job["generation_id"])["status"] for job in jobs]
    assert ends == ["completed", "completed", "failed"]
    assert len(bedrock.paid) == before + 2
