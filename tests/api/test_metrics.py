"""Contract 8.2 and 12.8: the deployment's counters, in both formats that Prometheus reads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text

from lambdas.domain import metrics
from lambdas.domain.jobs.job import Attempt, Job
from lambdas.domain.jobs.request import ImageRequest
from lambdas.domain.ports.metrics import GpuModel
from lambdas.settings import Settings
from tests.api.client import Answer, Client
from tests.support.fakes import FakeCounters, FakeLimits, Fakes

OPERATOR = {"tenant": "operator", "auth": "ok"}
NOW = 1_790_000_000.0  # by the clock of the fakes
NAMES = {
    "http_requests_total": "counter",
    "http_request_duration_seconds": "histogram",
    "http_requests_active": "gauge",
    "image_generations_total": "counter",
    "image_generation_seconds": "histogram",
    "ai_bg_predictions_total": "counter",
    "ai_bg_inference_duration_seconds": "histogram",
    "ai_bg_prediction_confidence": "histogram",
    "ai_bg_model_load_time_seconds": "gauge",
    "ai_bg_model_loaded": "gauge",
    "rate_limit_hits_total": "counter",
}


def operator(counters: FakeCounters | None = None, **ports: Any) -> Client:
    return Client(Fakes(counters=counters or FakeCounters(), **ports), identity=OPERATOR)


def samples(answer: Answer) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text(answer.body.decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families for s in f.samples}


def add_job(counters: FakeCounters, *attempts: Attempt) -> None:
    ended = Job("acme", "j", ImageRequest("x"), "m", "sagemaker", 1, NOW, attempts=attempts).completed(NOW)
    for series, columns in metrics.of_job(ended).items():
        counters.request(series, columns, NOW)


def test_8_2_every_name_is_there_from_the_start() -> None:
    answer = operator()("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = answer.body.decode().splitlines()
    assert {name: kind for name, kind in NAMES.items() if f"# TYPE {name} {kind}" in lines} == NAMES
    assert {line.split()[2] for line in lines if line.startswith("# HELP")} == set(NAMES)


def test_8_2_requests_are_counted_by_route_and_not_by_path() -> None:
    client = operator()
    client("GET", "/unified/jobs/01a0c450-6cfa-743e-a93b-b397eccdf68b")
    client("GET", "/unified/jobs/unknown")
    client("GET", "/admin.php")
    client("PATCH", "/health")
    client("HEAD", "/health")
    found = samples(client("GET", "/metrics"))
    counted = {
        (dict(labels)["method"], dict(labels)["endpoint"], dict(labels)["status"]): value
        for (name, labels), value in found.items()
        if name == "http_requests_total"
    }
    assert counted == {
        ("GET", "/unified/jobs/{job_id}", "404"): 2,
        ("GET", "other", "404"): 1,
        ("PATCH", "/health", "405"): 1,
        ("HEAD", "/health", "200"): 1,
    }
    again = samples(client("GET", "/metrics"))
    assert again["http_requests_total", (("endpoint", "/metrics"), ("method", "GET"), ("status", "200"))] == 1


def test_a_histogram_is_cumulative_and_agrees_with_its_count() -> None:
    counters = FakeCounters()
    for seconds in (0.004, 0.2, 31.0):
        counters.request(*metrics.of_request("GET", "/health", 200, seconds, rate_limited=False), NOW)
    found = samples(operator(counters)("GET", "/metrics"))
    own = (("endpoint", "/health"), ("method", "GET"), ("status", "200"))

    def bucket(bound: str) -> float:
        labels = tuple(sorted((*own, ("le", bound))))
        return found["http_request_duration_seconds_bucket", labels]

    assert [bucket(bound) for bound in ("0.005", "0.1", "0.25", "30.0", "+Inf")] == [1, 1, 2, 2, 3]
    assert found["http_request_duration_seconds_count", own] == 3
    assert found["http_request_duration_seconds_sum", own] == pytest.approx(31.204)


def test_8_2_the_two_formats_say_the_same() -> None:
    counters = FakeCounters(sdxl=GpuModel(True, 21.5, NOW))
    add_job(counters, Attempt("sagemaker", "m", "success", duration=4.0, painted=0.5, loaded=2.0))
    client = operator(counters)
    client("GET", "/health")
    plain = client("GET", "/metrics")
    asked = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    client.deps = replace(client.deps, counters=_without(counters, "/metrics"))
    other = client("GET", "/metrics", headers={"Accept": asked})
    assert other.headers["Content-Type"].startswith("application/openmetrics-text")
    assert other.body.decode().endswith("# EOF\n")
    known = {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for family in openmetrics(other.body.decode())  # type: ignore[no-untyped-call]
        for s in family.samples
    }
    created = {key for key in known if key[0].endswith("_created")}
    assert created
    assert {key: value for key, value in known.items() if key not in created} == samples(plain)


def _without(counters: FakeCounters, endpoint: str) -> FakeCounters:
    kept = FakeCounters(**counters.gpu)
    kept.series = {series: columns for series, columns in counters.series.items() if endpoint not in series}
    return kept


def test_8_2_generations_and_the_gpu() -> None:
    here, old = GpuModel(True, 21.5, NOW - 60), GpuModel(True, 9.0, NOW - 901)
    counters = FakeCounters(sdxl=here, old=old, gone=GpuModel(False, None, NOW))
    add_job(counters, Attempt("gemini", "g", "failed"), Attempt("sagemaker", "m", "success", duration=4.0, painted=0.5))
    counters.running = 3
    found = samples(operator(counters)("GET", "/metrics"))
    failed = (("model", "g"), ("provider", "gemini"), ("status", "failed"))
    assert found["image_generations_total", failed] == 1
    assert found["image_generation_seconds_sum", (("model", "m"), ("provider", "sagemaker"))] == 4.0
    task = (("model", "m"), ("task", "text-to-image"))
    assert found["ai_bg_inference_duration_seconds_sum", task] == 0.5
    assert found["ai_bg_predictions_total", (("model", "m"), ("status", "success"), ("task", "text-to-image"))] == 1
    assert {labels[0][1]: v for (name, labels), v in found.items() if name == "ai_bg_model_loaded"} == {
        "sdxl": 1,
        "gone": 0,
    }
    assert {labels[0][1]: v for (name, labels), v in found.items() if name == "ai_bg_model_load_time_seconds"} == {
        "sdxl": 21.5,
        "old": 9.0,
    }
    assert found["http_requests_active", ()] == 4


def test_a_refusal_for_the_rate_is_a_hit_and_one_for_the_budget_is_not() -> None:
    client = operator(limits=FakeLimits(per_minute=1))
    assert [client("POST", "/unified/generate", {"prompt": "x"}).status for _ in range(3)] == [200, 429, 429]
    assert samples(client("GET", "/metrics"))["rate_limit_hits_total", ()] == 2


@pytest.mark.parametrize(
    ("identity", "required", "status"),
    [
        ({"auth": "ok", "tenant": "operator"}, True, 200),
        ({"auth": "ok", "tenant": "acme"}, True, 403),
        ({"auth": "ok", "tenant": "acme"}, False, 403),
        ({"auth": "missing"}, False, 200),
        ({"auth": "missing"}, True, 401),
        ({"auth": "unknown"}, True, 403),
    ],
)
def test_12_8_metrics_are_for_the_operator(identity: dict[str, str], required: bool, status: int) -> None:
    client = Client(Fakes(counters=FakeCounters()), Settings(require_api_key=required), identity)
    assert client("GET", "/metrics").status == status


def test_12_8_metrics_are_404_while_they_are_off() -> None:
    for identity in (OPERATOR, {"auth": "ok", "tenant": "acme"}):
        assert Client(identity=identity)("GET", "/metrics").status == 404


def test_no_label_names_a_tenant_a_path_or_a_prompt() -> None:
    client = Client(Fakes(counters=FakeCounters()), identity={"tenant": "acme-secret", "auth": "ok"})
    client("POST", "/unified/generate", {"prompt": "secret-prompt"})
    client("GET", "/files/secret-name.png")
    client.identity = OPERATOR
    assert "secret" not in client("GET", "/metrics").body.decode()
