"""Contract 8.1: the alarms notify one topic, and the dashboard shows every metric of the service."""

from __future__ import annotations

import pytest

from tests.infra.conftest import Templates

OUR_METRICS = (
    "Requests",
    "ClientErrors",
    "ServerErrors",
    "RequestDuration",
    "Generations",
    "GenerationFailures",
    "GenerationDuration",
    "Cost",
    "RateLimitHits",
    "JobsAbandoned",
    "JobsDeadLettered",
    "WebhooksDelivered",
    "WebhookFailures",
    "WebhooksExhausted",
)
ALARMS = {
    "DeadLetters": ("ApproximateNumberOfMessagesVisible", "Maximum", 0),
    "JobsLost": ("JobsDeadLettered", "Sum", 0),
    "OldestMessage": ("ApproximateAgeOfOldestMessage", "Maximum", 300),
    "ServerErrors": ("5XXError", "Average", 0.01),
    "Latency": ("Latency", "p95", 20_000),
    "WorkerErrors": ("Errors", "Sum", 0),
    "WebhooksLost": ("WebhooksExhausted", "Sum", 0),
    "WebhookDeadLetters": ("ApproximateNumberOfMessagesVisible", "Maximum", 0),
    "WebhookErrors": ("Errors", "Sum", 0),
    "ThrottlesApi": ("Throttles", "Sum", 0),
    "ThrottlesWorker": ("Throttles", "Sum", 0),
    "ThrottlesAuthorizer": ("Throttles", "Sum", 0),
    "ThrottlesDeadLetter": ("Throttles", "Sum", 0),
    "ThrottlesWebhooks": ("Throttles", "Sum", 0),
    "RecursionApi": ("RecursiveInvocationsDropped", "Sum", 0),
    "RecursionWorker": ("RecursiveInvocationsDropped", "Sum", 0),
    "RecursionAuthorizer": ("RecursiveInvocationsDropped", "Sum", 0),
    "RecursionDeadLetter": ("RecursiveInvocationsDropped", "Sum", 0),
    "RecursionWebhooks": ("RecursiveInvocationsDropped", "Sum", 0),
}


@pytest.mark.parametrize("name", ALARMS)
def test_alarms(prod: Templates, name: str) -> None:
    alarms = prod.properties("AWS::CloudWatch::Alarm")
    assert len(alarms) == len(ALARMS)
    [alarm] = [properties for id, properties in alarms.items() if id.removeprefix("Alarms")[:-8] == name]
    statistic = alarm.get("Statistic") or alarm["ExtendedStatistic"]
    assert (alarm["MetricName"], statistic, alarm["Threshold"]) == ALARMS[name]
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert alarm["TreatMissingData"] == "notBreaching"
    assert alarm["AlarmDescription"]


def test_each_function_is_watched_for_what_lambda_takes_for_a_loop(templates: Templates) -> None:
    functions = set(templates.properties("AWS::Lambda::Function"))
    alarms = templates.properties("AWS::CloudWatch::Alarm").values()
    loops = [alarm for alarm in alarms if alarm["MetricName"] == "RecursiveInvocationsDropped"]
    assert {alarm["Namespace"] for alarm in loops} == {"AWS/Lambda"}
    assert {d["Value"]["Ref"] for alarm in loops for d in alarm["Dimensions"]} == functions


@pytest.mark.parametrize(("queue", "name"), [("JobQueue", "DeadLetters"), ("WebhookQueue", "WebhookDeadLetters")])
def test_dead_letters_are_watched_on_the_dead_letter_queue(templates: Templates, queue: str, name: str) -> None:
    [properties] = [q for id, q in templates.properties("AWS::SQS::Queue").items() if id[:-8] == queue]
    dead_letters = properties["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
    [alarm] = [a for id, a in templates.properties("AWS::CloudWatch::Alarm").items() if id[:-8] == f"Alarms{name}"]
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": {"Fn::GetAtt": [dead_letters, "QueueName"]}}]


def test_the_dashboard_shows_both_queues(templates: Templates) -> None:
    [dashboard] = templates.properties("AWS::CloudWatch::Dashboard").values()
    shown = repr(dashboard["DashboardBody"])
    for id in templates.properties("AWS::SQS::Queue"):
        assert repr({"Fn::GetAtt": [id, "QueueName"]}) in shown


def test_every_alarm_rings_the_topic_and_cloudwatch_may_publish_to_it(templates: Templates) -> None:
    [topic] = templates.resources("AWS::SNS::Topic")
    for alarm in templates.properties("AWS::CloudWatch::Alarm").values():
        assert alarm["AlarmActions"] == [{"Ref": topic}]
    [policy] = templates.properties("AWS::SNS::TopicPolicy").values()
    allowed = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]
    assert [s["Principal"] for s in allowed] == [{"Service": "cloudwatch.amazonaws.com"}]


def test_dashboard_shows_what_the_service_writes(templates: Templates) -> None:
    [dashboard] = templates.properties("AWS::CloudWatch::Dashboard").values()
    text = repr(dashboard["DashboardBody"])
    for metric in OUR_METRICS:
        assert f'"{metric}"' in text or f'\\"{metric}\\"' in text.replace("\\\\", "\\"), metric
    for metric in (
        "5XXError",
        "ApproximateAgeOfOldestMessage",
        "Throttles",
        "WriteThrottleEvents",
        "ReadThrottleEvents",
    ):
        assert metric in text


def test_dashboard_and_alarms_read_what_powertools_writes(templates: Templates) -> None:
    variables = templates.function("api")["Environment"]["Variables"]
    assert variables["POWERTOOLS_METRICS_NAMESPACE"] == "ImageApi"
    alarms = templates.properties("AWS::CloudWatch::Alarm").values()
    ours = [alarm for alarm in alarms if not alarm["Namespace"].startswith("AWS/")]
    assert {alarm["MetricName"] for alarm in ours} == {"JobsDeadLettered", "WebhooksExhausted"}
    for alarm in ours:
        assert alarm["Namespace"] == "ImageApi"
        assert alarm["Dimensions"] == [{"Name": "service", "Value": variables["POWERTOOLS_SERVICE_NAME"]}]
