"""Contract 8.2 and 8.3: Debian's Prometheus scrapes the local stack as docs/ says, and evaluates Grafana's queries."""

from __future__ import annotations

import math
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.stack import Stack
from tests.e2e.conftest import make_stack
from tests.e2e.http import Client
from tests.support.prometheus import Prometheus, configured, found, panels

pytestmark = pytest.mark.e2e
HOUR = 3600
MADE, REFUSED, UNKNOWN = 4, 2, 3  # requests that are sent while Prometheus looks on
ONE = {"prompt": "A fox", "model": "demo/procedural-1", "width": 64, "height": 64}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with make_stack(
        tmp_path_factory.mktemp("measured"),
        METRICS_ENABLED="1",
        REQUIRE_API_KEY="1",
        API_KEYS="acme:k1,operator:k2",
        RATE_LIMIT_PER_MINUTE="600",
    ) as stack:
        yield stack


@pytest.fixture(scope="module")
def prometheus(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, Counter[int]]]:
    """A Prometheus that has seen the requests, and how many of those it looked on at were answered how.

    Some of each kind are sent before it looks for the first time: it computes no rate of a first value.
    """
    folder = tmp_path_factory.mktemp("prometheus")
    file = configured(folder, stack.url, "k2", every=1)
    subprocess.run([found("promtool"), "check", "config", file], check=True, capture_output=True)
    with Client(stack.url, headers={"x-api-key": "k1"}) as acme:
        seen = send(acme, 1, 1, 1)
        with Prometheus(folder, file) as running:
            running.wait_for(TOTAL, sum(seen.values()))
            sent = send(acme, MADE, REFUSED, UNKNOWN)
            running.wait_for(TOTAL, sum((seen + sent).values()))
            yield running, sent


OURS = 'endpoint=~"/unified/.*"'  # the scrapes, and what a starting stack asks itself, are counted too
TOTAL = f"sum(http_requests_total{{{OURS}}})"


def send(acme: Client, made: int, refused: int, unknown: int) -> Counter[int]:
    """How many requests were answered how. A generation is waited for by asking, so that a busy machine may be slow."""
    answers = [acme.post("/unified/generate", json=ONE, headers={"Prefer": "respond-async"}) for _ in range(made)]
    for job in [answer.json()["generation_id"] for answer in answers]:
        ended = False
        while not ended:
            answers.append(acme.get(f"/unified/jobs/{job}"))
            state = answers[-1].json()["status"]
            assert state in ("queued", "running", "completed"), answers[-1].text
            ended = state == "completed"
            time.sleep(0.2)
    answers += [acme.post("/unified/generate", json={"prompt": "A fox", "n": 1000}) for _ in range(refused)]
    answers += [acme.get("/unified/jobs/unknown") for _ in range(unknown)]
    found = Counter(answer.status_code for answer in answers)
    assert (found[202], found[400], found[404]) == (made, refused, unknown), [answer.text for answer in answers]
    return found


def values(prometheus: Prometheus, title: str, target: int = 0) -> dict[frozenset[tuple[str, str]], float]:
    """The values of a panel's query over the last hour, in which everything has happened."""
    return prometheus.query(panels()[title][target].replace("$__rate_interval", "1h"))


def about(rate: float, number: int) -> bool:
    """Whether the rate over the last hour is of that number: Prometheus adds up to an interval of scrapes to it."""
    return number <= round(rate * HOUR, 6) <= 1.5 * number


def test_8_3_every_query_of_the_dashboard_can_be_evaluated(prometheus: tuple[Prometheus, Counter[int]]) -> None:
    server, _ = prometheus
    empty = {
        (title, number)
        for title, queries in panels().items()
        for number in range(len(queries))
        if not values(server, title, number)
    }
    assert all(title.startswith("GPU: ") for title, _ in empty), empty
    assert server.api("targets")["activeTargets"][0]["lastError"] == ""


def test_8_3_requests_by_status(prometheus: tuple[Prometheus, Counter[int]]) -> None:
    server, sent = prometheus
    rates = values(server, "Requests by status")
    for status in (202, 400, 404):
        assert about(rates[frozenset({("status", str(status))})], sent[status])
    for status in (202, 400, 404):
        counted = server.query(f'sum(http_requests_total{{{OURS}, status="{status}"}})')
        assert counted == {frozenset(): sent[status] + 1}


def test_8_3_failures_and_refusals_are_none(prometheus: tuple[Prometheus, Counter[int]]) -> None:
    server, _ = prometheus
    for target in (0, 1):
        assert values(server, "Failed and refused requests", target) == {frozenset(): 0.0}


def test_8_3_latencies(prometheus: tuple[Prometheus, Counter[int]]) -> None:
    server, _ = prometheus
    half, most, nearly_all = (values(server, "Latency", target)[frozenset()] for target in range(3))
    assert 0 < half <= most <= nearly_all <= 30
    routes = values(server, "Slowest routes (p95)")
    named = {(dict(labels)["method"], dict(labels)["endpoint"]): value for labels, value in routes.items()}
    assert {("POST", "/unified/generate"), ("GET", "/unified/jobs/{job_id}")} <= named.keys()
    assert all(0 < value <= 30 for value in named.values() if not math.isnan(value))


def test_8_3_active_is_the_scrape_itself(prometheus: tuple[Prometheus, Counter[int]]) -> None:
    assert values(prometheus[0], "Active") == {frozenset(): 1.0}


def test_8_3_generations(prometheus: tuple[Prometheus, Counter[int]]) -> None:
    server, sent = prometheus
    generations = values(server, "Generations by provider and model")
    [(labels, rate)] = generations.items()
    assert (dict(labels)["provider"], dict(labels)["status"]) == ("demo", "success")
    assert about(rate, sent[202])
    assert list(server.query("image_generations_total").values()) == [sent[202] + 1]
    [(timed, seconds)] = values(server, "Generation time by provider and model (p95)").items()
    assert timed == labels - {("status", "success")}
    assert 0 < seconds <= 60


def test_8_2_promtool_finds_nothing_wrong_with_either_format(stack: Stack) -> None:
    with Client(stack.url, headers={"x-api-key": "k2"}) as operator:
        plain = operator.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    told = subprocess.run(
        [found("promtool"), "check", "metrics"], input=plain.content, capture_output=True, check=False
    )
    assert (told.returncode, told.stdout, told.stderr) == (0, b"", b"")


def test_8_2_nobody_but_the_operator_may_scrape(stack: Stack, tmp_path: Path) -> None:
    with Prometheus(tmp_path, configured(tmp_path, stack.url, "k1", every=1)) as server:
        server.wait_for("up", 0)
        assert "403" in server.api("targets")["activeTargets"][0]["lastError"]
