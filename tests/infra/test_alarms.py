"""The value of every alarm, of each environment and mode of the GPU: what it watches, how, and above what it rings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from tests.infra.conftest import Templates, resolved

MODES = ("off", "async", "realtime")
SERVICE_FUNCTIONS = ("Api", "Worker", "Authorizer", "DeadLetter", "Webhooks")
INDEXES = {
    "Jobs": ("by_project", "by_status", "by_provider"),
    "Images": (),
    "Projects": (),
    "Providers": (),
    "Keys": ("by_tenant",),
}
OUR_OWN = {"service": "image-api"}
RATE = {"dev": 0.05, "prod": 0.01}
LATENCY = {"dev": 25_000, "prod": 20_000}
AGE = {"dev": 900, "prod": 300}
DAY = {"dev": 20, "prod": 200}


class Watch(NamedTuple):
    """A metric of an alarm: the values of its dimensions, logical ids without their hashes."""

    metric: str
    statistic: str
    seconds: int
    dimensions: dict[str, str]


class Alarm(NamedTuple):
    """What rings: `periods` of the last `of` above (or at, for the GPU's waking) the threshold."""

    watches: tuple[Watch, ...]
    threshold: float
    periods: int = 1
    of: int = 1
    expression: str | None = None


def one(metric: str, statistic: str, seconds: int, dimensions: dict[str, str], *rest: Any) -> Alarm:
    return Alarm((Watch(metric, statistic, seconds, dimensions),), *rest)


def of_function(name: str) -> dict[str, Alarm]:
    watched = {"FunctionName": f"{name}Function"}
    return {
        f"Errors{name}": one("AWS/Lambda Errors", "Sum", 300, watched, 0),
        f"Throttles{name}": one("AWS/Lambda Throttles", "Sum", 300, watched, 0),
        f"Recursion{name}": one("AWS/Lambda RecursiveInvocationsDropped", "Sum", 300, watched, 0),
    }


def of_table(name: str) -> Alarm:
    table = {"TableName": f"{name}Table"}
    places = (table, *({**table, "GlobalSecondaryIndexName": index} for index in INDEXES[name]))
    watches = tuple(
        Watch(f"AWS/DynamoDB {way}ThrottleEvents", "Sum", 300, place) for place in places for way in ("Read", "Write")
    )
    ids = [f"{name.lower()}_{way}{number}" for number in range(len(places)) for way in ("read", "write")]
    return Alarm(watches, 0, expression=f"SUM([{', '.join(ids)}])")


def expected(environment: str, mode: str) -> dict[str, Alarm]:
    """Every alarm by its id without the construct's name and the hash."""
    gateway = {"ApiName": f"image-api-{environment}", "Stage": "GatewayApiDeploymentStageprod"}
    waiting = "AWS/SQS ApproximateNumberOfMessagesVisible"
    found = {
        "DeadLetters": one(waiting, "Maximum", 60, {"QueueName": "JobQueueDeadLetters"}, 0, 3, 3),
        "JobsLost": one("ImageApi JobsDeadLettered", "Sum", 300, OUR_OWN, 0),
        "OldestMessage": one(
            "AWS/SQS ApproximateAgeOfOldestMessage", "Maximum", 60, {"QueueName": "JobQueue"}, AGE[environment], 5, 5
        ),
        "NoSuccess": Alarm(
            (
                Watch("ImageApi JobsCompleted", "Sum", 900, OUR_OWN),
                Watch("ImageApi JobsFailed", "Sum", 900, OUR_OWN),
            ),
            0,
            expression="IF(completed == 0 AND failed >= 3, 1, 0)",
        ),
        "Cost": one("ImageApi Cost", "Sum", 86_400, OUR_OWN, DAY[environment]),
        "ServerErrors": Alarm(
            (
                Watch("AWS/ApiGateway Count", "Sum", 300, gateway),
                Watch("AWS/ApiGateway 5XXError", "Sum", 300, gateway),
            ),
            RATE[environment],
            2,
            3,
            "IF(requests > 20, errors / requests, 0)",
        ),
        "Latency": one("AWS/ApiGateway Latency", "p95", 300, gateway, LATENCY[environment], 3, 3),
        "WebhooksLost": one("ImageApi WebhooksExhausted", "Sum", 300, OUR_OWN, 0),
        "WebhookDeadLetters": one(waiting, "Maximum", 60, {"QueueName": "WebhookQueueDeadLetters"}, 0),
        **{f"Table{name}": of_table(name) for name in INDEXES},
    }
    for name in SERVICE_FUNCTIONS:
        found |= of_function(name)
    if mode == "off":
        return found
    endpoint = {"EndpointName": f"image-api-{environment}-{mode}"}
    variant = {**endpoint, "VariantName": "worker"}
    found["Idle"] = Alarm(
        (
            Watch("/aws/sagemaker/Endpoints CPUUtilization", "SampleCount", 300, variant),
            Watch("AWS/SageMaker ModelLatency", "SampleCount", 300, variant),
        ),
        0,
        12,
        12,
        "IF(instances > 0 AND FILL(painted, 0) == 0, 1, 0)",
    )
    if mode == "async":
        backlog = "AWS/SageMaker HasBacklogWithoutCapacity"
        found["Asleep"] = one(backlog, "Minimum", 300, endpoint, 0, 4, 4)
        found["Waiting"] = one(backlog, "Average", 60, endpoint, 1)
        found |= of_function("GpuResult")
    return found


def made(templates: Templates) -> Iterator[tuple[str, Alarm]]:
    for id, alarm in templates.properties("AWS::CloudWatch::Alarm").items():
        queries = alarm.get("Metrics", [])
        plain: dict[str, Any] = {
            "Metric": alarm,
            "Period": alarm.get("Period"),
            "Stat": alarm.get("Statistic") or alarm.get("ExtendedStatistic"),
        }
        stats = [query["MetricStat"] for query in queries if "MetricStat" in query] if queries else [plain]
        expressions = [query["Expression"] for query in queries if query["ReturnData"]]
        assert len(expressions) == bool(queries)
        yield (
            name_of(id),
            Alarm(
                tuple(
                    Watch(
                        f"{stat['Metric']['Namespace']} {stat['Metric']['MetricName']}",
                        stat["Stat"],
                        stat["Period"],
                        {d["Name"]: resolved(d["Value"]) for d in stat["Metric"]["Dimensions"]},
                    )
                    for stat in stats
                ),
                alarm["Threshold"],
                alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"]),
                alarm["EvaluationPeriods"],
                *expressions,
            ),
        )


def name_of(id: str) -> str:
    for construct in ("GpuAlarms", "Alarms", "Scaling"):
        if id.startswith(construct):
            return id.removeprefix(construct)[:-8]
    raise AssertionError(id)


@pytest.mark.parametrize("environment", ["dev", "prod"])
@pytest.mark.parametrize("mode", MODES)
def test_every_alarm(synthesised: Callable[..., Templates], environment: str, mode: str) -> None:
    assert dict(made(synthesised(environment, gpu=mode))) == expected(environment, mode)


@pytest.mark.parametrize("environment", ["dev", "prod"])
@pytest.mark.parametrize("mode", MODES)
def test_every_alarm_is_on_and_tells_somebody(
    synthesised: Callable[..., Templates], environment: str, mode: str
) -> None:
    templates = synthesised(environment, gpu=mode)
    [topic] = [id for id in templates.resources("AWS::SNS::Topic") if id.startswith("AlarmsTopic")]
    for id, alarm in templates.properties("AWS::CloudWatch::Alarm").items():
        waking = name_of(id) == "Waiting"
        assert alarm.get("ActionsEnabled", True) is True
        assert alarm["ComparisonOperator"] == ("GreaterThanOrEqualToThreshold" if waking else "GreaterThanThreshold")
        assert alarm["TreatMissingData"] == ("missing" if waking else "notBreaching")
        assert alarm.get("EvaluateLowSampleCountPercentile") == ("ignore" if name_of(id) == "Latency" else None)
        [action] = alarm["AlarmActions"]
        assert resolved(action) == ("ScalingWake" if waking else topic[:-8])


def test_a_function_without_alarms_is_the_one_that_a_deployment_waits_for(
    synthesised: Callable[..., Templates],
) -> None:
    templates = synthesised("prod", gpu="async")
    alarms = dict(made(templates))
    functions = {id[:-8].removesuffix("Function") for id in templates.properties("AWS::Lambda::Function")}
    watched = {name.removeprefix("Errors") for name in alarms if name.startswith("Errors")}
    assert functions - watched == {"ImageTrigger"}


@pytest.mark.parametrize("mode", MODES)
def test_the_docs_count_the_alarms_and_what_they_cost(synthesised: Callable[..., Templates], mode: str) -> None:
    """Each metric that an alarm reads is paid."""
    from tests.infra.test_observability import DOCS

    text = (DOCS / "cloudwatch.md").read_text("utf-8")
    alarms = dict(made(synthesised("prod", gpu=mode)))
    read = sum(len(alarm.watches) for alarm in alarms.values())
    assert f"| `{mode}` | {len(alarms)} | {read} | {read * 0.1:.2f} |" in text
    assert all(len(alarm.watches) <= 10 for alarm in alarms.values()), "CloudWatch allows no more in one alarm"
