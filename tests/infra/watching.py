"""What dashboards and alarms of a template read, and what the service's own code writes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from typing import Any, NamedTuple

import pytest

from lambdas import observability
from lambdas.domain.jobs.job import Attempt, Job, Rewriting, StoredImage
from lambdas.domain.jobs.request import ImageRequest
from lambdas.domain.prompts import Method
from tests.infra.conftest import Templates

SERVICE = ("service",)
BY_MODEL = ("model", "provider", "service")


class Read(NamedTuple):
    """A metric that is read: its dimensions' names in order, and by which statistic."""

    namespace: str
    name: str
    dimensions: tuple[str, ...]
    statistic: str


class Written(NamedTuple):
    """A metric that is written: its dimensions' names in order, and its unit."""

    namespace: str
    name: str
    dimensions: tuple[str, ...]
    unit: str


def of_alarms(templates: Templates) -> set[Read]:
    return {read for alarm in templates.properties("AWS::CloudWatch::Alarm").values() for read in of_alarm(alarm)}


def of_alarm(alarm: dict[str, Any]) -> Iterator[Read]:
    for query in alarm.get("Metrics", [{"MetricStat": {"Metric": alarm, "Stat": statistic(alarm)}}]):
        if "MetricStat" in query:
            metric = query["MetricStat"]["Metric"]
            names = tuple(sorted(dimension["Name"] for dimension in metric["Dimensions"]))
            yield Read(metric["Namespace"], metric["MetricName"], names, query["MetricStat"]["Stat"])


def statistic(alarm: dict[str, Any]) -> str:
    return str(alarm.get("Statistic") or alarm.get("ExtendedStatistic"))


def bodies(templates: Templates) -> dict[str, Any]:
    """The dashboards by their ids without the hash; what CloudFormation fills in is written as its JSON."""
    found = {}
    for id, properties in templates.properties("AWS::CloudWatch::Dashboard").items():
        body = properties["DashboardBody"]["Fn::Join"][1]
        text = "".join(part if isinstance(part, str) else "/".join(_leaves(part)) for part in body)
        found[id[:-8]] = json.loads(text)
    return found


def _leaves(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _leaves(child)


def graphs(body: Any) -> dict[str, list[list[Any]]]:
    """The rows of metrics of each graph, by its title."""
    return {widget["properties"]["title"]: widget["properties"]["metrics"] for widget in body["widgets"]}


def of_graphs(rows: list[list[Any]]) -> Iterator[Read]:
    for row in rows:
        *path, options = row if isinstance(row[-1], dict) else [*row, {}]
        if path:
            names = tuple(sorted(path[2::2]))
            yield Read(path[0], path[1], names, options.get("stat", "Average"))
        elif search := re.fullmatch(
            r"SEARCH\('\{(\w+),([\w,]+)\} MetricName=\"(\w+)\"', '(\w+)', 300\)", options["expression"]
        ):
            namespace, dimensions, name, stat = search.groups()
            yield Read(namespace, name, tuple(sorted(dimensions.split(","))), stat)


def of_dashboards(templates: Templates) -> set[Read]:
    return {read for body in bodies(templates).values() for rows in graphs(body).values() for read in of_graphs(rows)}


def written(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> set[Written]:
    """Everything that the code can write, with the variables that the template gives a function."""
    for name in ("POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"):
        monkeypatch.setenv(name, variables[name])
    with redirect_stdout(StringIO()) as out:
        write_all()
    return set(metrics_in(out.getvalue()))


def write_all() -> None:
    """Call everything that writes a metric, in each of its cases."""
    meter = observability.EmfMeter()
    observability.request_done(200, 1.0)
    observability.job_dead_lettered()
    for outcome in ("success", "failed"):
        meter.attempt("bedrock", "a-model", outcome, 1.0)
    meter.cost("bedrock", "a-model", 0.04)
    for event in (
        meter.rate_limited,
        meter.abandoned,
        meter.webhook_delivered,
        meter.webhook_failed,
        meter.webhook_exhausted,
    ):
        event()
    for job in (
        ended(status="completed", attempts=("m", "other"), method="llm", cache_key="k"),
        ended(status="completed", cached=True),
        ended(status="failed", code="providers_failed"),
        ended(status="failed", code="content_policy"),
        ended(status="cancelled"),
    ):
        meter.job(job)


def ended(
    *,
    status: Any,
    attempts: tuple[str, ...] = (),
    method: Method = "none",
    cache_key: str | None = None,
    cached: bool = False,
    code: str = "",
) -> Job:
    """A job in a final state; the models of `attempts` were asked in turn, and the last one made its image."""
    from lambdas.domain.jobs.job import JobError

    image = StoredImage("i", "i.png", "images/i.png", "j", "p", "bedrock", 1, 1, "png", 1, 1, 0.0)
    return Job(
        tenant="acme",
        id="j",
        request=ImageRequest("a fox"),
        model="m",
        provider="bedrock",
        seed=1,
        created_at=0.0,
        plan=("m", "other"),
        status=status,
        finished_at=2.0,
        images=(image,) if status == "completed" else (),
        attempts=tuple(
            Attempt("bedrock", model, "success" if model == attempts[-1] else "failed") for model in attempts
        ),
        rewriting=Rewriting(method),
        cache_key=cache_key,
        cached=cached,
        error=JobError(code, "no") if code else None,
    )


def metrics_in(log: str) -> Iterator[Written]:
    """The metrics of each line in the embedded format."""
    for line in log.splitlines():
        record = json.loads(line)
        for directive in record.get("_aws", {}).get("CloudWatchMetrics", []):
            for names in directive["Dimensions"]:
                assert all(isinstance(record[name], str) for name in names)
                for metric in directive["Metrics"]:
                    assert record[metric["Name"]]
                    yield Written(directive["Namespace"], metric["Name"], tuple(sorted(names)), metric["Unit"])
