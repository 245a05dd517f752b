"""The service stack: properties of functions, queues and roles that cdk-nag does not check."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.infra.conftest import Templates, resolved

FUNCTIONS = {
    "api": (29, 1024),
    "authorizer": (5, 256),
    "worker": (900, 1769),
    "dead_letter": (60, 256),
    "webhooks": (30, 256),
}
GENERATING = {
    "JOBS_TABLE",
    "IMAGES_TABLE",
    "PROJECTS_TABLE",
    "PROVIDERS_TABLE",
    "IMAGES_BUCKET",
    "JOBS_QUEUE_URL",
    "WEBHOOKS_QUEUE_URL",
    "WORKER_CONCURRENCY",
    "PROVIDER_SECRET_ARN",
    "JOB_RETENTION_DAYS",
    "BEDROCK",
    "REQUIRE_API_KEY",
}
OWN_VARIABLES = {
    "api": GENERATING | {"WORKER_FUNCTION", "KEYS_TABLE"},
    "worker": GENERATING,
    "authorizer": {"KEYS_TABLE", "REQUIRE_API_KEY"},
    "dead_letter": {"JOBS_TABLE", "IMAGES_TABLE", "WEBHOOKS_QUEUE_URL"},
    "webhooks": {"JOBS_TABLE", "IMAGES_TABLE", "KEYS_TABLE", "IMAGES_BUCKET", "WEBHOOKS_QUEUE_URL"},
}
# what a variable names, by its logical id without the hash, in whichever function it stands
RESOURCES = {
    "JOBS_TABLE": "JobsTable",
    "IMAGES_TABLE": "ImagesTable",
    "PROJECTS_TABLE": "ProjectsTable",
    "PROVIDERS_TABLE": "ProvidersTable",
    "KEYS_TABLE": "KeysTable",
    "IMAGES_BUCKET": "ImageBucket",
    "PROVIDER_SECRET_ARN": "ProviderSecret",
    "JOBS_QUEUE_URL": "JobQueue",
    "WEBHOOKS_QUEUE_URL": "WebhookQueue",
    "WORKER_FUNCTION": "WorkerFunction",
    "PROJECT": "ImageProject",
}
COMMON = {"ENVIRONMENT", "DEPLOYED", "POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "LOG_LEVEL"}
READ_WRITE = {"GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query"}
GENERATION_TABLES = {
    "Jobs": READ_WRITE | {"BatchGetItem", "ConditionCheckItem"},
    "Images": READ_WRITE | {"BatchGetItem"},
    "Projects": {"GetItem", "PutItem", "UpdateItem", "Query"},
    "Providers": {"GetItem", "BatchGetItem", "UpdateItem", "Query"},
}
TABLES = (*GENERATION_TABLES, "Keys")
TABLE_GRANTS = {
    "api": GENERATION_TABLES | {"Keys": {"GetItem", "PutItem"}},
    "worker": GENERATION_TABLES,
    "authorizer": {"Keys": {"GetItem"}},
    "dead_letter": {"Jobs": {"GetItem", "PutItem", "UpdateItem", "DeleteItem"}, "Images": {"BatchGetItem", "PutItem"}},
    "webhooks": {
        "Jobs": {"GetItem", "PutItem", "UpdateItem"},
        "Images": {"GetItem", "BatchGetItem"},
        "Keys": {"GetItem"},
    },
}
# function to the queues it sends to, and to the one it reads
SENDS = {
    "api": {"JobQueue", "WebhookQueue"},
    "authorizer": set(),
    "worker": {"JobQueue", "WebhookQueue"},
    "dead_letter": {"WebhookQueue"},
    "webhooks": {"WebhookQueue"},
}
READS = {"worker": "JobQueue", "dead_letter": "JobQueueDeadLetters", "webhooks": "WebhookQueue"}


def resources(statement: dict[str, Any]) -> list[str]:
    """Each resource as text, whatever functions it is made of."""
    return [resource if isinstance(resource, str) else repr(resource) for resource in statement["Resource"]]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(templates: Templates, name: str) -> None:
    timeout, memory = FUNCTIONS[name]
    function = templates.function(name)
    assert (function["Timeout"], function["MemorySize"]) == (timeout, memory)
    assert function["Runtime"] == "python3.13"
    assert function["Architectures"] == ["arm64"]
    assert function["TracingConfig"] == {"Mode": "Active"}
    assert "VpcConfig" not in function
    assert "Layers" not in function
    group = function["LoggingConfig"]["LogGroup"]["Ref"]
    days = templates.properties("AWS::Logs::LogGroup")[group]["RetentionInDays"]
    assert days == {"dev": 14, "prod": 90}[templates.environment]


def test_only_what_sends_itself_messages_on_purpose_may_go_round(templates: Templates) -> None:
    """Lambda takes the seventeenth invocation of a chain for a loop; the others keep that guard."""
    loops = {name: templates.function(name).get("RecursiveLoop") for name in FUNCTIONS}
    assert loops == dict.fromkeys(FUNCTIONS) | {"worker": "Allow", "webhooks": "Allow"}
    # what a function both reads and sends to, be it by way of its dead letters
    assert {name for name in FUNCTIONS if READS.get(name) in SENDS[name]} == {"worker", "webhooks"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_gets_the_variables_it_needs_and_no_more(templates: Templates, name: str) -> None:
    variables = templates.function(name)["Environment"]["Variables"]
    assert set(variables) == COMMON | OWN_VARIABLES[name]
    assert variables["ENVIRONMENT"] == templates.environment
    assert variables["DEPLOYED"] == "1"
    assert variables.get("REQUIRE_API_KEY", "1") == "1"
    assert variables.get("WORKER_CONCURRENCY", concurrency(templates)) == concurrency(templates)


@pytest.mark.parametrize("mode", ["off", "async", "realtime"])
def test_each_variable_names_the_resource_that_it_is_called_after(
    synthesised: Callable[..., Templates], mode: str
) -> None:
    named: dict[str, str] = {}
    for function in synthesised("prod", gpu=mode).properties("AWS::Lambda::Function").values():
        for name, value in function["Environment"]["Variables"].items():
            if name in RESOURCES or not isinstance(value, str):
                assert named.setdefault(name, resolved(value)) == resolved(value)
    assert named == {name: id for name, id in RESOURCES.items() if name != "PROJECT" or mode != "off"}


def test_all_functions_share_one_package_and_own_their_log_group_and_role(templates: Templates) -> None:
    functions = templates.properties("AWS::Lambda::Function").values()
    assert len(functions) == len(FUNCTIONS)
    assert len({repr(function["Code"]) for function in functions}) == 1
    assert len({repr(function["Role"]) for function in functions}) == len(FUNCTIONS)
    assert len({repr(function["LoggingConfig"]) for function in functions}) == len(FUNCTIONS)


def test_every_log_group_forgets(templates: Templates) -> None:
    groups = templates.properties("AWS::Logs::LogGroup")
    assert len(groups) == len(FUNCTIONS) + 1
    assert all(group["RetentionInDays"] <= 90 for group in groups.values())


@pytest.mark.parametrize("function", ["Webhooks", "Worker"])
def test_a_source_that_takes_one_message_at_a_time_and_not_too_many_at_once(
    templates: Templates, function: str
) -> None:
    [source] = [
        source
        for source in templates.properties("AWS::Lambda::EventSourceMapping").values()
        if source["FunctionName"]["Ref"].startswith(function)
    ]
    assert source["BatchSize"] == 1
    assert str(source["ScalingConfig"]["MaximumConcurrency"]) == concurrency(templates)


def concurrency(templates: Templates) -> str:
    return {"dev": "5", "prod": "20"}[templates.environment]


def test_every_source_reports_failures_one_by_one(templates: Templates) -> None:
    sources = templates.properties("AWS::Lambda::EventSourceMapping").values()
    assert len(sources) == len(READS)
    assert all(source["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for source in sources)


def test_a_message_is_not_seen_by_others_while_its_reader_may_live(templates: Templates) -> None:
    queues = templates.properties("AWS::SQS::Queue")
    functions = templates.properties("AWS::Lambda::Function")
    for source in templates.properties("AWS::Lambda::EventSourceMapping").values():
        queue = queues[source["EventSourceArn"]["Fn::GetAtt"][0]]
        assert queue["VisibilityTimeout"] == 6 * functions[source["FunctionName"]["Ref"]]["Timeout"]


@pytest.mark.parametrize(("name", "receives", "days"), [("JobQueue", 5, 4), ("WebhookQueue", 1000, 14)])
def test_queues(templates: Templates, name: str, receives: int, days: int) -> None:
    queues = {id[:-8]: queue for id, queue in templates.properties("AWS::SQS::Queue").items()}
    queue, dead_letters = queues[name], queues[f"{name}DeadLetters"]
    assert queue["MessageRetentionPeriod"] == days * 24 * 3600
    assert queue["RedrivePolicy"]["maxReceiveCount"] == receives
    assert queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0].startswith(f"{name}DeadLetters")
    assert dead_letters["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert "RedrivePolicy" not in dead_letters


def test_every_queue_is_encrypted_and_has_a_policy(templates: Templates) -> None:
    queues = templates.properties("AWS::SQS::Queue")
    assert len(queues) == 4
    assert all(queue["SqsManagedSseEnabled"] for queue in queues.values())
    policies = templates.properties("AWS::SQS::QueuePolicy").values()
    assert {policy["Queues"][0]["Ref"] for policy in policies} == set(queues)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_table_grants(templates: Templates, name: str) -> None:
    granted: dict[str, set[str]] = {}
    for statement in templates.statements(name):
        for action in statement["Action"]:
            service, _, operation = action.partition(":")
            if service == "dynamodb":
                for resource in resources(statement):
                    table = next(
                        table for table in ("Jobs", "Images", "Projects", "Providers", "Keys") if table in resource
                    )
                    granted.setdefault(table, set()).add(operation)
    assert granted == TABLE_GRANTS[name]


def test_6_6_of_the_table_of_keys_the_api_reaches_those_of_links_alone(templates: Templates) -> None:
    [statement] = [s for s in templates.statements("api") if "Keys" in repr(s["Resource"])]
    assert statement["Action"] == ["dynamodb:GetItem", "dynamodb:PutItem"]
    assert statement["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": "link#*"}}


def test_indexes_are_granted_by_name(templates: Templates) -> None:
    for name in ("api", "worker"):
        text = repr([s for s in templates.statements(name) if "dynamodb:Query" in s["Action"]])
        for index in ("by_project", "by_status", "by_provider"):
            assert f"/index/{index}" in text


def test_other_grants(templates: Templates) -> None:
    def others(name: str) -> set[str]:
        return {
            a for s in templates.statements(name) for a in s["Action"] if not a.startswith(("dynamodb", "logs", "xray"))
        }

    consume = {
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:ChangeMessageVisibility",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
    }
    generate = {
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:ListBucket",
        "sqs:SendMessage",
        "bedrock:InvokeModel",
        "secretsmanager:GetSecretValue",
    }
    assert others("api") == generate | {"lambda:InvokeFunction", "sqs:GetQueueAttributes"}
    assert others("worker") == generate | consume
    assert others("dead_letter") == consume | {"sqs:SendMessage"}
    assert others("webhooks") == consume | {"sqs:SendMessage", "s3:GetObject"}
    assert others("authorizer") == set()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_sends_to_and_reads_from_its_own_queues_alone(templates: Templates, name: str) -> None:
    def queues(action: str) -> set[str]:
        statements = [s for s in templates.statements(name) if action in s["Action"]]
        return {resource["Fn::GetAtt"][0][:-8] for s in statements for resource in s["Resource"]}

    assert queues("sqs:SendMessage") == SENDS[name]
    assert queues("sqs:ReceiveMessage") == queues("sqs:DeleteMessage") == ({READS[name]} if name in READS else set())


def test_how_much_waits_is_asked_of_the_queue_of_jobs(templates: Templates) -> None:
    [statement] = [s for s in templates.statements("api") if "sqs:GetQueueAttributes" in s["Action"]]
    assert [resource["Fn::GetAtt"][0][:-8] for resource in statement["Resource"]] == ["JobQueue"]


def test_webhooks_link_to_finished_images_alone(templates: Templates) -> None:
    [statement] = [s for s in templates.statements("webhooks") if any(a.startswith("s3") for a in s["Action"])]
    assert statement["Action"] == ["s3:GetObject"]
    [resource] = resources(statement)
    assert "/images/*" in resource


def test_no_action_is_a_wildcard_and_only_tracing_has_no_resource(templates: Templates) -> None:
    for statement in templates.statements():
        assert not any("*" in action for action in statement["Action"])
        if any(resource == "*" for resource in resources(statement)):
            assert set(statement["Action"]) == {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
    for role in templates.properties("AWS::IAM::Role").values():
        assert "Policies" not in role


def test_only_objects_are_granted_by_prefix(templates: Templates) -> None:
    for statement in templates.statements():
        for resource in resources(statement):
            if "*" in resource and resource != "*":
                assert "ImageBucketArn" in resource
                prefixes = ("images", "variants", "raw", "uploads", "answers")
                assert any(f"/{prefix}/*" in resource for prefix in prefixes)


def test_bedrock_is_granted_model_by_model_in_the_region_of_the_models(templates: Templates) -> None:
    for name in ("api", "worker"):
        direct, behind = [s for s in templates.statements(name) if "bedrock:InvokeModel" in s["Action"]]
        profile = "arn:aws:bedrock:us-west-2:", {"Ref": "AWS::AccountId"}
        for statement in (direct, behind):
            assert statement["Action"] == ["bedrock:InvokeModel"]
            assert "*" not in str(statement["Resource"])
        for resource in direct["Resource"]:
            if isinstance(resource, str):
                assert re.match(r"arn:aws:bedrock:us-west-2::foundation-model/(stability|openai)\.", resource)
            else:
                assert tuple(resource["Fn::Join"][1][:2]) == profile
        assert {resource.split(":")[3] for resource in behind["Resource"]} == {"us-east-1", "us-east-2", "us-west-2"}
        assert list(behind["Condition"]) == ["StringEquals"]  # a model behind a profile is not to be called directly


def test_settings_of_the_context_reach_the_functions(synthesised: Callable[..., Templates]) -> None:
    templates = synthesised(
        "dev",
        RATE_LIMIT_PER_MINUTE="60",
        LOG_LEVEL="DEBUG",
        REQUIRE_API_KEY="0",
        CORS_ALLOW_ORIGINS="https://a.example,https://b.example",
    )
    for name in ("api", "worker"):
        assert templates.function(name)["Environment"]["Variables"]["RATE_LIMIT_PER_MINUTE"] == "60"
    for name in FUNCTIONS:
        assert templates.function(name)["Environment"]["Variables"]["LOG_LEVEL"] == "DEBUG"
    assert templates.function("authorizer")["Environment"]["Variables"]["REQUIRE_API_KEY"] == "0"
    [bucket] = templates.properties("AWS::S3::Bucket").values()
    [cors] = bucket["CorsConfiguration"]["CorsRules"]
    assert cors["AllowedOrigins"] == ["https://a.example", "https://b.example"]
