"""Contract 5.11, 8.2 and 12.8 on the local stack: figures count the whole deployment, exactly, also after a restart."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from local.stack import Stack
from tests.doubles.bedrock.service import FakeBedrock
from tests.e2e.conftest import make_stack
from tests.e2e.http import Client
from tests.e2e.test_contract import ended

pytestmark = pytest.mark.e2e
KEYS = "acme:key-of-acme,operator:key-of-the-operator"
ACME, OPERATOR = ({"X-API-Key": key} for key in ("key-of-acme", "key-of-the-operator"))
PROCESSES, EACH = 8, 125

Figures = dict[tuple[str, ...], float]


@pytest.fixture(scope="module")
def bedrock() -> Iterator[FakeBedrock]:
    with FakeBedrock() as fake:
        yield fake


def opened(folder: Path, bedrock: FakeBedrock) -> Stack:
    given = {"METRICS_ENABLED": "1", "REQUIRE_API_KEY": "1", "API_KEYS": KEYS}
    return make_stack(folder, AWS_ENDPOINT_URL_BEDROCK_RUNTIME=bedrock.url, **given)


def figures(client: Client) -> Figures:
    """Each sample by its name and the values of its labels."""
    answer = client.get("/metrics", headers=OPERATOR)
    assert answer.status_code == 200, answer.text
    families = text_string_to_metric_families(answer.text)
    return {(s.name, *(s.labels[name] for name in sorted(s.labels))): s.value for f in families for s in f.samples}


def ask_often(url: str) -> Counter[int]:
    """Ask until there were EACH answers of 200; what the front turns away meanwhile is asked again."""
    seen: Counter[int] = Counter()
    with requests.Session() as session:
        while seen[200] < EACH:
            seen[session.get(f"{url}/unified/budget", headers=ACME, timeout=60).status_code] += 1
    return seen


@pytest.mark.timeout(400)  # against a hang, not a bound
def test_8_2_a_thousand_requests_of_eight_processes_are_a_thousand(tmp_path: Path, bedrock: FakeBedrock) -> None:
    answered = "http_requests_total", "/unified/budget", "GET", "200"
    with opened(tmp_path, bedrock) as stack, Client(stack.url) as client:
        with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
            seen = sum(pool.map(ask_often, [stack.url] * PROCESSES), Counter[int]())
        assert seen.keys() <= {200, 503, 504}
        before = figures(client)
        # one that the front gave up on may have been answered all the same
        assert seen[200] == PROCESSES * EACH <= before[answered] <= seen[200] + seen[504]
        assert before["http_request_duration_seconds_count", *answered[1:]] == before[answered]
    with opened(tmp_path, bedrock) as stack, Client(stack.url) as client:
        client.get("/unified/budget", headers=ACME)
        assert figures(client)[answered] == before[answered] + 1


def test_5_11_and_8_2_receipts_report_and_metrics_agree(tmp_path: Path, bedrock: FakeBedrock) -> None:
    with opened(tmp_path, bedrock) as stack, Client(stack.url) as client:
        body = {"prompt": "A fox", "project_id": "sums", "fallback": False}
        answers = [client.post("/unified/generate", json={**body, "n": n}, headers=ACME) for n in (1, 2)]
        bedrock.inject("moderated_prompt")
        answers.append(client.post("/unified/generate", json=body, headers=ACME))
        later = client.post("/unified/generate", json=body, headers={**ACME, "Prefer": "respond-async"})
        with Client(stack.url, headers=ACME) as own:
            ended(own, later.json()["generation_id"])
            assert [answer.status_code for answer in answers] == [200, 200, 422]
            listed = own.get("/unified/jobs").json()["jobs"]
            costs = sum(job["metadata"]["cost_usd"] for job in listed)
            report = own.get("/unified/analytics?project_id=sums").json()
            assert report["totals"] == {
                "requests": 4,
                "succeeded": 3,
                "failed": 1,
                "images": 4,
                "cost_usd": pytest.approx(costs),
            }
            [sums] = report["providers"]
            assert (sums["id"], sums["attempts"], sums["succeeded"], sums["images"]) == ("bedrock", 5, 4, 4)
            assert sums["cost_usd"] == pytest.approx(sum(call.usd for call in bedrock.paid))
            assert own.get("/unified/budget").json()["spent_usd"] == pytest.approx(costs)
        found = figures(client)
        model = "stability.stable-image-core-v1:1"
        assert found["image_generations_total", model, "bedrock", "success"] == 4
        assert found["image_generation_seconds_count", model, "bedrock"] == 4
        assert found["http_requests_active",] == 1


def test_12_8_metrics_are_the_operators(tmp_path: Path, bedrock: FakeBedrock) -> None:
    with opened(tmp_path, bedrock) as stack, Client(stack.url) as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers=ACME).status_code == 403
        asked = {**OPERATOR, "Accept": "application/openmetrics-text"}
        assert client.get("/metrics", headers=asked).text.endswith("# EOF\n")


def test_12_8_metrics_are_off_unless_they_are_turned_on(client: Client) -> None:
    assert client.get("/metrics").status_code == 404
