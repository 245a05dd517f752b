"""Contract 8.1: dashboards and alarms read metrics that are written, and show every one that the service writes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from infra import config
from lambdas.api.errors import STATUS
from lambdas.domain import catalogue
from lambdas.observability import REFUSALS
from tests.infra import watching
from tests.infra.conftest import Templates
from tests.infra.watching import BY_MODEL, SERVICE, Written

DOCS = Path(__file__).parents[2] / "docs"
VARIANT = ("EndpointName", "VariantName")
# The metrics of AWS that are read, with the dimensions under which AWS writes them.
OF_AWS: dict[str, dict[str, set[tuple[str, ...]]]] = {
    "AWS/ApiGateway": {name: {("ApiName", "Stage")} for name in ("Count", "4XXError", "5XXError", "Latency")},
    "AWS/Lambda": {
        name: {("FunctionName",)}
        for name in ("ConcurrentExecutions", "Duration", "Errors", "RecursiveInvocationsDropped", "Throttles")
    },
    "AWS/SQS": {
        name: {("QueueName",)}
        for name in (
            "ApproximateAgeOfOldestMessage",
            "ApproximateNumberOfMessagesDelayed",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesVisible",
        )
    },
    "AWS/DynamoDB": {
        name: {("TableName",), ("GlobalSecondaryIndexName", "TableName")}
        for name in ("ReadThrottleEvents", "WriteThrottleEvents")
    },
    "AWS/SageMaker": {
        "ModelLatency": {VARIANT},
        **{
            name: {("EndpointName",)}
            for name in (
                "ApproximateBacklogSize",
                "ExpiredRequests",
                "HasBacklogWithoutCapacity",
                "InvocationFailures",
            )
        },
    },
    "/aws/sagemaker/Endpoints": {"CPUUtilization": {VARIANT}},
}
COUNTS = (
    *("Requests", "ClientErrors", "ServerErrors", "RateLimitHits"),
    *("JobsCompleted", "JobsFailed", "JobsRefused", "JobsAbandoned", "JobsDeadLettered"),
    *("Fallbacks", "CacheHits", "CacheMisses", "PromptsShortened"),
    *("WebhooksDelivered", "WebhookFailures", "WebhooksExhausted"),
)
WRITTEN = {
    *(Written("ImageApi", name, SERVICE, "Count") for name in COUNTS),
    Written("ImageApi", "RequestDuration", SERVICE, "Milliseconds"),
    Written("ImageApi", "Cost", SERVICE, "None"),
    Written("ImageApi", "Cost", BY_MODEL, "None"),
    Written("ImageApi", "Generations", BY_MODEL, "Count"),
    Written("ImageApi", "GenerationFailures", BY_MODEL, "Count"),
    Written("ImageApi", "GenerationDuration", BY_MODEL, "Milliseconds"),
}
FREE_METRICS = 50  # of a dashboard


@pytest.fixture
def written(dev: Templates, monkeypatch: pytest.MonkeyPatch) -> set[Written]:
    return watching.written(monkeypatch, dev.function("api")["Environment"]["Variables"])


@pytest.fixture(params=["off", "async", "realtime"])
def watched(request: pytest.FixtureRequest, synthesised: Callable[..., Templates]) -> Templates:
    """One environment under each mode of the GPU."""
    return synthesised("dev", gpu=request.param)


def test_the_code_writes_these_metrics_under_these_dimensions(written: set[Written]) -> None:
    assert written == WRITTEN


def test_what_is_read_is_written_and_what_is_written_is_shown(watched: Templates, written: set[Written]) -> None:
    ours = {(metric.namespace, metric.name, metric.dimensions) for metric in written}
    shown, rung = watching.of_dashboards(watched), watching.of_alarms(watched)
    for read in shown | rung:
        if read.namespace == "ImageApi":
            assert read[:3] in ours, read
        else:
            assert read.dimensions in OF_AWS[read.namespace][read.name], read
    assert ours == {read[:3] for read in shown if read.namespace == "ImageApi"}


def test_what_is_read_has_the_value_of_its_one_dimension(watched: Templates) -> None:
    variables = watched.function("api")["Environment"]["Variables"]
    assert variables["POWERTOOLS_METRICS_NAMESPACE"] == "ImageApi"
    service = variables["POWERTOOLS_SERVICE_NAME"]
    text = json.dumps([*watching.bodies(watched).values(), *watched.properties("AWS::CloudWatch::Alarm").values()])
    named = re.findall(r'"service", "([^"]+)"|"Name": "service", "Value": "([^"]+)"', text)
    assert {one or other for one, other in named} == {service}


def test_counts_are_added_up_and_durations_are_not(watched: Templates, written: set[Written]) -> None:
    units = {(metric.name, metric.dimensions): metric.unit for metric in written}
    for read in watching.of_dashboards(watched) | watching.of_alarms(watched):
        if read.namespace == "ImageApi":
            added = units[read.name, read.dimensions] != "Milliseconds"
            assert read.statistic == ("Sum" if added else "p95"), read


def test_the_docs_list_what_is_written_with_its_unit() -> None:
    text = (DOCS / "cloudwatch.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (count|ms|USD) \| ([^|]+) \|", text, re.MULTILINE)
    units = {"count": "Count", "ms": "Milliseconds", "USD": "None"}
    dimensions: dict[str, list[tuple[str, ...]]] = {
        "service": [SERVICE],
        "model": [BY_MODEL],
        "service and model": [SERVICE, BY_MODEL],
    }
    listed = {Written("ImageApi", name, by, units[unit]) for name, unit, of in rows for by in dimensions[of.strip()]}
    assert listed == WRITTEN


def test_the_docs_compute_what_the_metrics_cost_a_month() -> None:
    text = (DOCS / "cloudwatch.md").read_text("utf-8")
    deployed = [card for card in catalogue.CARDS if card.provider != "demo"]
    whole = sum(metric.dimensions == SERVICE for metric in WRITTEN)
    each = sum(metric.dimensions == BY_MODEL for metric in WRITTEN)
    models = len(deployed) + 1  # and the language model that shortens prompts, of which there is only its cost
    most = whole + each * len(deployed) + 1
    assert f"{whole} metrics of the service" in text
    assert f"{each} of each model" in text
    assert f"{models} models" in text
    assert f"{most} * 0.30 = {most * 0.3:.2f} USD" in text
    few = whole + each * 5
    assert f"({whole} + 5 * {each}) * 0.30 = {few * 0.3:.2f} USD" in text


def test_8_1_each_view_has_a_dashboard_and_an_accounts_three_are_free(watched: Templates) -> None:
    bodies = watching.bodies(watched)
    assert set(bodies) == {"DashboardsService", "DashboardsGeneration", "DashboardsWork"}
    for body in bodies.values():
        rows = [row for rows in watching.graphs(body).values() for row in rows]
        assert sum(isinstance(row[0], str) for row in rows) <= FREE_METRICS


@pytest.mark.parametrize(
    ("view", "figures"),
    {
        "Service": "Count 4XXError 5XXError Latency ConcurrentExecutions RateLimitHits Requests Duration",
        "Generation": (
            "Generations GenerationFailures GenerationDuration Cost Fallbacks JobsCompleted JobsFailed CacheHits"
            " CacheMisses PromptsShortened"
        ),
        "Work": (
            "ApproximateNumberOfMessagesVisible ApproximateAgeOfOldestMessage JobsDeadLettered JobsAbandoned"
            " WebhooksDelivered WebhookFailures WebhooksExhausted Errors Throttles ReadThrottleEvents"
            " WriteThrottleEvents"
        ),
    }.items(),
)
def test_8_1_what_is_on_which_dashboard(templates: Templates, view: str, figures: str) -> None:
    rows = watching.graphs(watching.bodies(templates)[f"Dashboards{view}"]).values()
    assert set(figures.split()) <= {read.name for graph in rows for read in watching.of_graphs(graph)}


def test_active_is_what_the_api_function_works_on(templates: Templates) -> None:
    [id] = [
        id for id, f in templates.properties("AWS::Lambda::Function").items() if f["Handler"].endswith("api.handler")
    ]
    graphs = watching.graphs(watching.bodies(templates)["DashboardsService"])
    [[*path, options]] = next(rows for title, rows in graphs.items() if title.startswith("Active"))
    assert path == ["AWS/Lambda", "ConcurrentExecutions", "FunctionName", id]
    assert options["stat"] == "Maximum"


def test_the_gpu_is_a_row_of_the_work_where_there_is_one(watched: Templates) -> None:
    titles = {title for body in watching.bodies(watched).values() for title in watching.graphs(body) if "GPU" in title}
    serves = "SAGEMAKER_ENDPOINT" in watched.function("api")["Environment"]["Variables"]
    assert len(titles) == (3 if serves else 0)


def test_the_dashboards_show_each_queue_function_and_table(templates: Templates) -> None:
    shown = repr([r["Properties"] for r in templates.resources("AWS::CloudWatch::Dashboard").values()])
    for id in templates.properties("AWS::SQS::Queue"):
        assert repr({"Fn::GetAtt": [id, "QueueName"]}) in shown
    for id in templates.properties("AWS::Lambda::Function"):
        assert repr({"Ref": id}) in shown
    for id in templates.properties("AWS::DynamoDB::Table"):
        assert f"ExportsOutputRef{id}" in shown


def test_every_alarm_rings_the_topic_and_cloudwatch_may_publish_to_it(templates: Templates) -> None:
    [topic] = templates.resources("AWS::SNS::Topic")
    for alarm in templates.properties("AWS::CloudWatch::Alarm").values():
        assert alarm["AlarmActions"] == [{"Ref": topic}]
    [policy] = templates.properties("AWS::SNS::TopicPolicy").values()
    allowed = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]
    assert [s["Principal"] for s in allowed] == [{"Service": "cloudwatch.amazonaws.com"}]


def test_every_alarm_has_its_section_in_the_runbook_and_the_other_way_round(
    synthesised: Callable[..., Templates],
) -> None:
    sections = dict(
        re.findall(r"^## (.+)\n((?:(?!^## ).*\n?)*)", (DOCS / "runbook.md").read_text("utf-8"), re.MULTILINE)
    )
    anchors = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-"): text for title, text in sections.items()}
    named: dict[str, set[str]] = {}
    for mode in ("off", "async", "realtime"):
        for id, alarm in synthesised("dev", gpu=mode).properties("AWS::CloudWatch::Alarm").items():
            _, page, anchor = alarm["AlarmDescription"].rpartition(" docs/runbook.md#")
            assert page, id
            named.setdefault(anchor, set()).add(id[:-8])
    assert set(named) == set(anchors)
    for anchor, text in anchors.items():
        assert re.search(r"^\*\*Means\*\*", text, re.MULTILINE), anchor
        assert re.search(r"^\*\*Look first\*\*", text, re.MULTILINE), anchor
        assert re.search(r"^    \S+", text, re.MULTILINE), f"{anchor} has no command"


def test_failures_that_are_the_clients_are_those_that_it_is_told_so() -> None:
    """Else the alarm on jobs without a success would ring for one client's forbidden prompts."""
    ours = {error.code for error, status in STATUS.items() if status >= 500}
    assert not REFUSALS & ours
    of_no_job = {  # what a request is answered before there is a job
        *("missing_api_key", "invalid_api_key", "method_not_allowed", "idempotency_mismatch", "still_in_progress"),
        *("job_ended", "job_started", "job_not_ended", "webhook_pending", "project_exists", "cancelled"),
    }
    assert {error.code for error in STATUS} - ours - of_no_job == REFUSALS


def test_the_amount_of_a_day_can_be_chosen(synthesised: Callable[..., Templates]) -> None:
    made = synthesised("dev", alarm_usd_per_day="7.50").properties("AWS::CloudWatch::Alarm")
    assert [alarm["Threshold"] for alarm in made.values() if alarm.get("MetricName") == "Cost"] == [7.5]
    for wrong in ("", "-1", "ten", "1e9"):
        with pytest.raises(SystemExit, match="alarm_usd_per_day"):
            config.thresholds(config.ENVIRONMENTS["dev"], {"alarm_usd_per_day": wrong})
