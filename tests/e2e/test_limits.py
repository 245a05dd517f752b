"""Forty concurrent callers against a budget and a rate limit, on the local stack with paid models."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from local.stack import Stack
from tests.doubles.bedrock.service import FakeBedrock
from tests.e2e.conftest import make_stack
from tests.e2e.http import Client
from tests.e2e.test_contract import ended

pytestmark = pytest.mark.e2e
CALLERS = 40
BODY = {"prompt": "A fox", "fallback": False}  # 0.04 USD
LATER = {"Prefer": "respond-async"}


@pytest.fixture(scope="module")
def bedrock() -> Iterator[FakeBedrock]:
    with FakeBedrock() as fake:
        yield fake


def opened(bedrock: FakeBedrock, folder: Path, **given: str) -> Stack:
    return make_stack(folder, AWS_ENDPOINT_URL_BEDROCK_RUNTIME=bedrock.url, **given)


def client_of(stack: Stack) -> Client:
    return Client(stack.url, timeout=100)


def at_once(client: Client, headers: dict[str, str] | None = None) -> list[requests.Response]:
    def ask(number: int) -> requests.Response:
        return client.post("/unified/generate", json={**BODY, "prompt": f"fox {number}"}, headers=headers)

    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(ask, range(CALLERS)))


def test_a_race_for_the_budget_admits_exactly_the_cap(bedrock: FakeBedrock, tmp_path: Path) -> None:
    """However busy the machine: what the gateway gave up on or turned away, of 503 and 504, may have been admitted."""
    before = len(bedrock.paid)
    given = {"BUDGET_USD_PER_MONTH": "0.2", "RATE_LIMIT_PER_MINUTE": "1000"}
    with opened(bedrock, tmp_path, **given) as stack, client_of(stack) as client:
        statuses = Counter(answer.status_code for answer in at_once(client, LATER))
        assert statuses.keys() <= {202, 429, 503, 504}
        assert statuses[202] <= 5
        while (refused := client.post("/unified/generate", json=BODY, headers=LATER)).status_code != 429:
            assert refused.status_code in (202, 503, 504), refused.text
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["code"] == "budget_exceeded"
        assert int(refused.headers["retry-after"]) <= 31 * 86_400
        assert (refused.headers["ratelimit-limit"], refused.headers["ratelimit-remaining"]) == ("20", "0")
        jobs = [ended(client, job["generation_id"]) for job in client.get("/unified/jobs").json()["jobs"]]
        assert [job["status"] for job in jobs] == ["completed"] * 5
        assert sum(job["metadata"]["cost_usd"] for job in jobs) == pytest.approx(0.2)
        assert len(bedrock.paid) == before + 5
        assert client.post("/unified/generate", json=BODY).status_code == 429
        batch = client.post("/unified/generate/batch", json={"requests": [BODY]}).json()
        assert ended(client, batch["jobs"][0]["generation_id"])["error"]["code"] == "budget_exceeded"
        assert len(bedrock.paid) == before + 5


def test_a_failed_job_frees_its_part_of_the_budget(bedrock: FakeBedrock, tmp_path: Path) -> None:
    with opened(bedrock, tmp_path, BUDGET_IMAGES_PER_MONTH="1") as stack, client_of(stack) as client:
        bedrock.inject("moderated_prompt")
        assert client.post("/unified/generate", json=BODY).status_code == 422
        assert client.post("/unified/generate", json=BODY).status_code == 200
        assert client.post("/unified/generate", json=BODY).json()["code"] == "budget_exceeded"


def test_a_race_for_the_rate_admits_exactly_the_limit(tmp_path: Path) -> None:
    with make_stack(tmp_path, RATE_LIMIT_PER_MINUTE="6") as stack, client_of(stack) as client:
        began = time.monotonic()
        answers = at_once(client)
        gained = int((time.monotonic() - began) // 10)  # a token every ten seconds
        admitted = [answer for answer in answers if answer.status_code == 200]
        refused = [answer for answer in answers if answer.status_code == 429]
        lost = [answer for answer in answers if answer.status_code in (503, 504)]  # by a busy gateway, admitted or not
        assert len(admitted) <= 6 + gained
        assert len(admitted) + len(lost) >= 6
        assert len(admitted) + len(refused) + len(lost) == CALLERS
        while (answer := client.post("/unified/generate", json=BODY)).status_code != 429:
            assert answer.status_code in (200, 503, 504), answer.text
        refused.append(answer)
        assert {answer.json()["code"] for answer in refused} == {"rate_limited"}
        assert all(1 <= int(answer.headers["retry-after"]) <= 10 for answer in refused)
        assert {answer.headers["ratelimit-limit"] for answer in (*admitted, *refused)} == {"6"}
        assert client.get("/v1/models").status_code == 200
