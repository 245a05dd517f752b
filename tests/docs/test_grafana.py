"""Contract 8.3: the Grafana dashboard and docs/metrics.md name metrics and labels that GET /metrics has."""

from __future__ import annotations

import json
import re
from collections import defaultdict

import pytest
from prometheus_client.parser import text_string_to_metric_families as parsed

from lambdas.api.prometheus import exposition
from lambdas.domain import metrics
from lambdas.domain.jobs.job import Attempt, Job, StoredImage
from lambdas.domain.jobs.request import ImageRequest
from lambdas.domain.ports.metrics import Counted, Figures, GpuModel
from tests.support.prometheus import DOCS, panels

WORDS = frozenset({"by", "or", "sum", "max", "rate", "topk", "vector", "histogram_quantile"})


def emitted() -> dict[str, set[str]]:
    """The labels of each name of a sample, from the counters of everything that is counted."""
    image = StoredImage("i", "i.png", "k", "j", "p", "sagemaker", 1, 1, "png", 1, 1, 0.0, confidence=0.9)
    attempt = Attempt("sagemaker", "m", "success", duration=1.0, painted=0.5)
    job = Job("t", "j", ImageRequest("x"), "m", "sagemaker", 1, 0.0, attempts=(attempt,), images=(image,))
    counted = dict([metrics.of_request("GET", "/health", 429, 0.1, rate_limited=True)])
    counted |= metrics.of_job(job.completed(1.0))
    figures = Figures({s: Counted(c, 0.0) for s, c in counted.items()}, {"m": GpuModel(True, 2.0, 1.0)}, 1)
    found: dict[str, set[str]] = defaultdict(set)
    for family in parsed(exposition(figures, "", 1.0)[0].decode()):
        for sample in family.samples:
            found[sample.name] |= set(sample.labels)
    return found


def test_8_3_the_queries_name_metrics_and_labels_that_there_are() -> None:
    found, used = emitted(), set()
    for queries in panels().values():
        for query in queries:
            bare = re.sub(r'"[^"]*"', "", query.replace("[$__rate_interval]", ""))
            names = {name for name in re.findall(r"[a-z_]+", bare) if name in found}
            assert names, query
            labels = set(re.findall(r"[a-z_]+", bare)) - names - WORDS
            for name in names:
                assert labels <= found[name], query
            used |= names
    assert {re.sub("_(bucket|count|sum)$", "", name) for name in used} == {
        re.sub("_(bucket|count|sum)$", "", name) for name in found
    }, "the dashboard shows every metric"


@pytest.mark.parametrize("panel", json.loads((DOCS / "grafana-dashboard.json").read_text("utf-8"))["panels"])
def test_8_3_a_panel_reads_the_chosen_source_and_names_its_lines_by_labels_of_its_query(
    panel: dict[str, object],
) -> None:
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    targets = panel["targets"]
    assert isinstance(targets, list)
    for target in targets:
        assert target["datasource"] == panel["datasource"]
        grouped = re.search(r"by \(([^)]*)\)", target["expr"])
        kept = set(grouped[1].split(", ")) - {"le"} if grouped else set()
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) == kept


def test_8_3_the_dashboard_has_its_source_as_a_variable() -> None:
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text("utf-8"))
    [variable] = dashboard["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places) == 10


def test_8_2_the_docs_list_every_metric() -> None:
    rows = re.findall(r"^\| (`\w+`[^|]*) \|", (DOCS / "metrics.md").read_text("utf-8"), re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert listed == {re.sub("_(bucket|count|sum)$", "", name) for name in emitted()}
