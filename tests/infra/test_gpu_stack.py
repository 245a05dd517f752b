"""The GPU stack: no cost while scaled to zero, scaling, alarms, and least privilege."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpu_worker import settings as worker
from gpu_worker.pipelines.table import MODELS
from infra import config
from infra.build import ROOT, build
from infra.constructs.gpu.worker_image import BUILD_SPEC
from infra.snapshot import NOT_BUNDLED
from lambdas.domain import catalogue, ids
from tests.infra.conftest import Templates
from tests.infra.test_gates import acknowledged

Statement = tuple[set[str], list[str], Any]
MODES = ("async", "realtime")
BUCKET = "image-api-dev-data:ImageBucketArn"
ACCEPTED = {
    "AwsSolutions-CB4",
    "AwsSolutions-IAM5[Resource::*]",
    f"AwsSolutions-IAM5[Resource::{BUCKET}/weights/*]",
    "AwsSolutions-L1",
    "Serverless-EventBusDLQ",
    "Serverless-LambdaDLQ",
    "Serverless-LambdaLatestVersion",
}
ACCEPTED_OF_ASYNC = {
    "Serverless-SNSRedrivePolicy",
    *(f"AwsSolutions-IAM5[Resource::{BUCKET}/async/{part}/*]" for part in ("in", "out", "failed")),
}
# What knows no resource stands in a policy of its own.
ALONE = [
    {"ecr:GetAuthorizationToken"},
    {"cloudwatch:PutMetricData"},
    {"xray:PutTraceSegments", "xray:PutTelemetryRecords"},
]


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def made(synthesised: Callable[..., Templates], mode: str) -> Templates:
    return synthesised("dev", gpu=mode)


@pytest.fixture
def asleep(synthesised: Callable[..., Templates]) -> Templates:
    return synthesised("dev", gpu="async")


def only(templates: Templates, kind: str) -> Any:
    [properties] = templates.properties(kind).values()
    return properties


def of_gpu_stack(templates: Templates, kind: str) -> dict[str, Any]:
    resources = templates.template("gpu")["Resources"]
    return {id: r.get("Properties", {}) for id, r in resources.items() if r["Type"] == kind}


def role_statements(templates: Templates, prefix: str) -> list[Statement]:
    """What the role with that name in the GPU stack may do, as (actions, resources, condition)."""
    found = []
    for policy in of_gpu_stack(templates, "AWS::IAM::Policy").values():
        if any(role["Ref"].startswith(prefix) for role in policy["Roles"]):
            for s in policy["PolicyDocument"]["Statement"]:
                actions = {s["Action"]} if isinstance(s["Action"], str) else set(s["Action"])
                resources = s["Resource"] if isinstance(s["Resource"], list) else [s["Resource"]]
                found.append((actions, [json.dumps(r) for r in resources], s.get("Condition")))
    return found


def actions_on(statements: list[Statement], part: str) -> set[str]:
    return {a for actions, resources, _ in statements for r in resources if part in r for a in actions}


# The endpoint


def test_an_asynchronous_endpoint_sleeps_when_nobody_asks(asleep: Templates) -> None:
    target = only(asleep, "AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 1)
    assert target["ResourceId"] == "endpoint/image-api-dev-async/variant/worker"
    policies = {p["PolicyType"]: p for p in asleep.properties("AWS::ApplicationAutoScaling::ScalingPolicy").values()}
    assert set(policies) == {"StepScaling", "TargetTrackingScaling"}
    tracking = policies["TargetTrackingScaling"]["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["CustomizedMetricSpecification"] == {
        "Namespace": "AWS/SageMaker",
        "MetricName": "ApproximateBacklogSizePerInstance",
        "Dimensions": [{"Name": "EndpointName", "Value": "image-api-dev-async"}],
        "Statistic": "Average",
    }
    assert "DisableScaleIn" not in tracking
    [batch] = {gpu.batch for gpu in (environment.gpu for environment in config.ENVIRONMENTS.values())}
    assert (tracking["TargetValue"], batch) == (8, 4)  # one batch that is painted, and one that waits
    assert (tracking["ScaleInCooldown"], tracking["ScaleOutCooldown"]) == (600, 300)
    step = policies["StepScaling"]["StepScalingPolicyConfiguration"]
    assert (step["AdjustmentType"], step["Cooldown"]) == ("ChangeInCapacity", 300)


def test_a_backlog_without_an_instance_wakes_it_within_a_minute(asleep: Templates) -> None:
    [(wake, policy)] = [
        (id, r["Properties"])
        for id, r in asleep.resources("AWS::ApplicationAutoScaling::ScalingPolicy").items()
        if r["Properties"]["PolicyType"] == "StepScaling"
    ]
    steps = policy["StepScalingPolicyConfiguration"]["StepAdjustments"]
    assert steps == [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}]
    [alarm] = [
        a for a in of_gpu_stack(asleep, "AWS::CloudWatch::Alarm").values() if a["AlarmActions"] == [{"Ref": wake}]
    ]
    assert (alarm["MetricName"], alarm["Period"], alarm["EvaluationPeriods"], alarm["Threshold"]) == (
        "HasBacklogWithoutCapacity",
        60,
        1,
        1,
    )
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert alarm["Dimensions"] == [{"Name": "EndpointName", "Value": "image-api-dev-async"}]


def test_a_realtime_endpoint_stays_and_grows_with_the_requests_at_a_time(synthesised: Callable[..., Templates]) -> None:
    made = synthesised("dev", gpu="realtime")
    assert only(made, "AWS::ApplicationAutoScaling::ScalableTarget")["MinCapacity"] == 1
    policy = only(made, "AWS::ApplicationAutoScaling::ScalingPolicy")["TargetTrackingScalingPolicyConfiguration"]
    assert policy["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    }
    assert (policy["TargetValue"], policy["ScaleInCooldown"], policy["ScaleOutCooldown"]) == (4, 600, 300)
    assert "AsyncInferenceConfig" not in only(made, "AWS::SageMaker::EndpointConfig")
    assert not of_gpu_stack(made, "AWS::SNS::Topic")


def test_the_endpoint_runs_where_the_workers_cuda_does_and_on_the_next_type_where_one_is_not_to_be_had(
    made: Templates,
) -> None:
    [variant] = only(made, "AWS::SageMaker::EndpointConfig")["ProductionVariants"]
    assert variant["InferenceAmiVersion"] == "al2023-ami-sagemaker-inference-gpu-4-1"
    assert variant["InferenceAmiVersion"] in (ROOT / "gpu_worker" / "Dockerfile").read_text("utf-8")
    assert [(p["InstanceType"], p["Priority"]) for p in variant["InstancePools"]] == [
        ("ml.g6e.xlarge", 1),
        ("ml.g6.xlarge", 2),
        ("ml.g5.xlarge", 3),
    ]
    assert "InstanceType" not in variant
    limits = {name: value for name, value in variant.items() if name.endswith("TimeoutInSeconds")}
    assert limits == {
        "VariantInstanceProvisionTimeoutInSeconds": 1200,
        "ModelDataDownloadTimeoutInSeconds": 1800,
        "ContainerStartupHealthCheckTimeoutInSeconds": 1800,
    }


def test_sagemaker_does_not_copy_the_workers_metrics(made: Templates) -> None:
    """It would by default, and each series is paid by the month."""
    observed = only(made, "AWS::SageMaker::EndpointConfig")["MetricsConfig"]
    assert observed == {"EnableDetailedObservability": False, "EnableEnhancedMetrics": False}


def test_an_instance_is_given_as_many_requests_as_it_paints_at_once(asleep: Templates) -> None:
    container = only(asleep, "AWS::SageMaker::Model")["PrimaryContainer"]["Environment"]
    client = only(asleep, "AWS::SageMaker::EndpointConfig")["AsyncInferenceConfig"]["ClientConfig"]
    assert worker.Settings.of(container).buckets == (client["MaxConcurrentInvocationsPerInstance"],)


def test_the_container_is_given_settings_that_the_worker_has(made: Templates, mode: str) -> None:
    environment = only(made, "AWS::SageMaker::Model")["PrimaryContainer"]["Environment"]
    known = {name.upper() for name in worker.Settings.__dataclass_fields__}
    assert set(environment) <= known
    seconds = worker.Settings.of(environment).generation_timeout_seconds
    assert 0 < seconds < {"async": 900, "realtime": 60}[mode]


def test_a_choice_of_the_deployer_reaches_endpoint_and_worker(synthesised: Callable[..., Templates]) -> None:
    made = synthesised(
        "dev", gpu="async", gpu_instance_types="ml.g5.2xlarge,ml.g5.xlarge", gpu_max_instances="3", MAX_MODELS_CACHE="1"
    )
    [variant] = only(made, "AWS::SageMaker::EndpointConfig")["ProductionVariants"]
    assert [p["InstanceType"] for p in variant["InstancePools"]] == ["ml.g5.2xlarge", "ml.g5.xlarge"]
    assert only(made, "AWS::ApplicationAutoScaling::ScalableTarget")["MaxCapacity"] == 3
    assert only(made, "AWS::SageMaker::Model")["PrimaryContainer"]["Environment"]["MAX_MODELS_CACHE"] == "1"


@pytest.mark.parametrize(
    "context",
    [
        {"gpu": "maybe"},
        {"gpu_max_instances": "0"},
        {"gpu_max_instances": "x"},
        {"gpu_instance_types": "g5.xlarge"},
        {"gpu_instance_types": ",".join(["ml.g5.xlarge"] * 6)},
    ],
    ids=str,
)
def test_a_choice_that_makes_no_sense_is_named(context: dict[str, str] | dict[str, Any]) -> None:
    with pytest.raises(SystemExit, match=next(iter(context))):
        config.gpu_mode(context)
        config.gpu(config.ENVIRONMENTS["dev"], context)


def test_the_models_are_the_workers_and_those_with_a_licence_to_accept_are_known() -> None:
    for environment in config.ENVIRONMENTS.values():
        assert set(environment.gpu.models) <= set(MODELS)
    offered = {card.id for card in catalogue.cards_of("sagemaker") if not card.words}  # these only where named
    assert offered <= set(config.ENVIRONMENTS["dev"].gpu.models)
    assert {name for name, spec in MODELS.items() if "Community Licence" in spec.licence} == set(config.LICENCES)


# The image and the weights


def test_the_image_is_named_by_what_it_is_made_from(made: Templates) -> None:
    image = json.dumps(only(made, "AWS::SageMaker::Model")["PrimaryContainer"]["Image"])
    tag = only(made, "Custom::WorkerImage")["Variables"]["IMAGE_TAG"]
    assert len(tag) == 64
    assert f":{tag}" in image
    repository = only(made, "AWS::ECR::Repository")
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}
    [rule] = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert rule["selection"]["countNumber"] == 5
    assert repository["EmptyOnDelete"] is True


def test_the_endpoint_waits_for_the_image_and_the_weights(made: Templates) -> None:
    [built] = made.resources("Custom::WorkerImage")
    [model] = made.resources("AWS::SageMaker::Model").values()
    assert built in model["DependsOn"]
    properties = made.resources("Custom::WorkerImage")[built]["Properties"]
    assert properties["ServiceTimeout"] == "3600"
    source = model["Properties"]["PrimaryContainer"]["ModelDataSource"]["S3DataSource"]
    assert (source["S3DataType"], source["CompressionType"]) == ("S3Prefix", "None")
    place = properties["Variables"]["WEIGHTS"]["Fn::Join"][1]
    assert source["S3Uri"]["Fn::Join"][1] == [*place[:-1], f"{place[-1]}/"]
    assert place[-1].startswith("/weights/")


def test_who_takes_a_role_waits_for_all_of_its_policies(made: Templates) -> None:
    """Else it may take it before it may do anything: a new role's policies are made one by one."""
    template = made.template("gpu")["Resources"]

    def waits_for(id: str, seen: set[str]) -> set[str]:
        """Everything that CloudFormation makes before it."""
        if id not in template or id in seen:
            return seen
        seen.add(id)
        named = re.findall(r'"(?:Ref|Fn::GetAtt)": \[?"(\w+)"', json.dumps(template[id].get("Properties", {})))
        for other in [*named, *template[id].get("DependsOn", [])]:
            waits_for(other, seen)
        return seen

    policies = {id: p["Properties"]["Roles"] for id, p in template.items() if p["Type"] == "AWS::IAM::Policy"}
    users = {
        "AWS::SageMaker::Model": lambda p: p["ExecutionRoleArn"],
        "Custom::WorkerImage": lambda p: only(made, "AWS::CodeBuild::Project")["ServiceRole"],
        "AWS::Lambda::Function": lambda p: p["Role"],
    }
    found = 0
    for id, resource in template.items():
        if resource["Type"] in users:
            role = users[resource["Type"]](resource["Properties"])["Fn::GetAtt"][0]
            its = {policy for policy, roles in policies.items() if {"Ref": role} in roles}
            found += len(its)
            assert its <= waits_for(id, set()), id
    assert found >= 7


def test_another_choice_of_models_has_its_weights_elsewhere() -> None:
    from infra.constructs.gpu.worker_image import weights_folder

    assert weights_folder(["a", "b"]) == weights_folder(["b", "a"]) != weights_folder(["a"])


def test_the_build_is_of_the_dockerfile_in_a_folder_as_it_expects(made: Templates) -> None:
    project = only(made, "AWS::CodeBuild::Project")
    assert project["Environment"]["PrivilegedMode"] is True
    assert project["Artifacts"] == {"Type": "NO_ARTIFACTS"}
    assert "VpcConfig" not in project
    assert project["TimeoutInMinutes"] < 60
    assert json.loads(project["Source"]["BuildSpec"]) == json.loads(json.dumps(BUILD_SPEC))
    used = {v["Name"] for v in project["Environment"]["EnvironmentVariables"]}
    used |= set(only(made, "Custom::WorkerImage")["Variables"])
    assert used == {"REPOSITORY", "REPOSITORY_URI", "IMAGE_TAG", "WEIGHTS", "MODELS"}
    for name in used:
        assert f"${name}" in json.dumps(BUILD_SPEC) or f"${{{name}" in json.dumps(BUILD_SPEC)
    copied = [
        line for line in (ROOT / "gpu_worker" / "Dockerfile").read_text("utf-8").splitlines() if line.startswith("COPY")
    ]
    assert copied
    assert all(part.startswith("gpu_worker/") for line in copied for part in line.split()[1:])


# What may be done


def test_the_endpoint_may_read_and_write_its_own_places_alone(made: Templates, mode: str) -> None:
    statements = role_statements(made, "GpuRole")
    assert actions_on(statements, "/weights/*") == {"s3:GetObject"}
    asynchronous = mode == "async"
    assert actions_on(statements, "/async/in/*") == ({"s3:GetObject"} if asynchronous else set())
    for part in ("out", "failed"):
        assert actions_on(statements, f"/async/{part}/*") == ({"s3:PutObject"} if asynchronous else set())
    every = {a for actions, _, _ in statements for a in actions}
    assert ("sns:Publish" in every) == asynchronous
    assert not any(a.startswith(("dynamodb", "sqs", "secretsmanager", "iam", "kms")) for a in every)
    [(_, _, condition)] = [s for s in statements if "s3:ListBucket" in s[0]]
    assert condition == {"StringLike": {"s3:prefix": "weights/*"}}


def test_the_container_has_no_network_and_no_public_place(made: Templates) -> None:
    assert only(made, "AWS::SageMaker::Model")["EnableNetworkIsolation"] is True
    for topic in of_gpu_stack(made, "AWS::SNS::TopicPolicy").values():
        for statement in topic["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Deny"
    assert "RepositoryPolicyText" not in only(made, "AWS::ECR::Repository")


def test_services_may_take_their_roles_for_this_account_alone(made: Templates) -> None:
    roles = of_gpu_stack(made, "AWS::IAM::Role").values()
    for role in roles:
        assert "ManagedPolicyArns" not in role
        [statement] = role["AssumeRolePolicyDocument"]["Statement"]
        if statement["Principal"]["Service"] != "lambda.amazonaws.com":
            # of CodeBuild AWS documents that it names the account; of SageMaker's taking of a model's role it does not
            test = "StringEquals" + "IfExists" * (statement["Principal"]["Service"] == "sagemaker.amazonaws.com")
            assert statement["Condition"] == {test: {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    assert len(roles) == (4 if of_gpu_stack(made, "AWS::SNS::Topic") else 3)


def test_no_action_is_a_wildcard_and_what_has_no_resource_stands_alone(made: Templates) -> None:
    for policy in of_gpu_stack(made, "AWS::IAM::Policy").values():
        statements = policy["PolicyDocument"]["Statement"]
        for s in statements:
            actions = {s["Action"]} if isinstance(s["Action"], str) else set(s["Action"])
            assert not any("*" in a for a in actions)
            if s["Resource"] == "*":
                assert len(statements) == 1
                assert actions in ALONE


@pytest.mark.parametrize("function", ["api", "worker"])
def test_the_service_may_call_this_endpoint_alone_and_only_in_its_way(
    made: Templates, mode: str, function: str
) -> None:
    action = {"async": "sagemaker:InvokeEndpointAsync", "realtime": "sagemaker:InvokeEndpoint"}[mode]
    [statement] = [s for s in made.statements(function) if any(a.startswith("sagemaker") for a in s["Action"])]
    assert statement["Action"] == [action]
    [resource] = statement["Resource"]
    assert json.dumps(resource).endswith(f':endpoint/image-api-dev-{mode}"]]}}')
    granted = {
        (a, r["Fn::Join"][1][1])
        for s in made.statements(function)
        for a in s["Action"]
        for r in s["Resource"]
        if "/async/" in json.dumps(r)
    }
    expected = {("s3:PutObject", "/async/in/*"), ("s3:GetObject", "/async/out/*"), ("s3:GetObject", "/async/failed/*")}
    assert granted == (expected if mode == "async" else set())


@pytest.mark.parametrize("function", ["api", "worker"])
def test_the_service_knows_the_endpoint(made: Templates, mode: str, function: str) -> None:
    variables = made.function(function)["Environment"]["Variables"]
    assert variables["SAGEMAKER_ENDPOINT"] == only(made, "AWS::SageMaker::Endpoint")["EndpointName"]
    assert variables.get("SAGEMAKER_ASYNC") == {"async": "1", "realtime": None}[mode]


def test_without_a_gpu_the_service_knows_of_none(dev: Templates) -> None:
    assert set(dev.files) == {"data", "service"}
    assert "sagemaker" not in json.dumps(dev.template("service")).lower()


def test_what_the_gpu_stack_imports_does_not_change_with_the_mode(synthesised: Callable[..., Templates]) -> None:
    def exports(mode: str) -> set[str]:
        outputs = synthesised("dev", gpu=mode).template("service").get("Outputs", {})
        return {output["Export"]["Name"] for output in outputs.values() if "Export" in output}

    assert exports("async") == exports("realtime")
    assert len(exports("async")) == 3
    assert exports("off") == set()


# Results


def test_results_of_both_kinds_reach_the_function_that_brings_them_home(asleep: Templates) -> None:
    output = only(asleep, "AWS::SageMaker::EndpointConfig")["AsyncInferenceConfig"]["OutputConfig"]
    told = {json.dumps(topic) for topic in output["NotificationConfig"].values()}
    heard = {json.dumps(s["TopicArn"]) for s in of_gpu_stack(asleep, "AWS::SNS::Subscription").values()}
    assert len(told) == 2
    assert told == heard
    assert json.dumps(output["S3OutputPath"]).endswith('/async/out/"]]}')
    assert json.dumps(output["S3FailurePath"]).endswith('/async/failed/"]]}')


def test_the_function_of_results_may_look_jobs_up_and_queue_them(asleep: Templates) -> None:
    actions = {a for s in asleep.statements("gpu_result") for a in s["Action"] if not a.startswith(("logs", "xray"))}
    assert actions == {"dynamodb:GetItem", "dynamodb:BatchGetItem", "sqs:SendMessage"}
    variables = set(asleep.function("gpu_result")["Environment"]["Variables"])
    assert {"JOBS_TABLE", "IMAGES_TABLE", "IMAGES_BUCKET", "JOBS_QUEUE_URL"} <= variables


def test_requests_are_put_where_the_endpoint_may_read_them() -> None:
    key = ids.async_key("acme/01994c6e-0000-7000-8000-000000000000", "01994c6e-0000-4000-8000-000000000001")
    assert key.startswith("async/in/")


# What is seen


def test_an_instance_that_runs_for_nothing_is_rung(made: Templates, mode: str) -> None:
    [alarm] = [a for a in of_gpu_stack(made, "AWS::CloudWatch::Alarm").values() if "Metrics" in a]
    queries = {m["Id"]: m for m in alarm["Metrics"]}
    [expression] = [m["Expression"] for m in queries.values() if "Expression" in m]
    assert expression == "IF(instances > 0 AND FILL(painted, 0) == 0, 1, 0)"
    metrics = {id: m["MetricStat"]["Metric"] for id, m in queries.items() if "MetricStat" in m}
    assert metrics["instances"]["Namespace"] == "/aws/sagemaker/Endpoints"
    # an asynchronous endpoint publishes no Invocations; ModelLatency is there for both kinds
    assert (metrics["painted"]["Namespace"], metrics["painted"]["MetricName"]) == ("AWS/SageMaker", "ModelLatency")
    for metric in metrics.values():
        assert metric["Dimensions"] == [
            {"Name": "EndpointName", "Value": f"image-api-dev-{mode}"},
            {"Name": "VariantName", "Value": "worker"},
        ]
    assert alarm["EvaluationPeriods"] * 5 == 60
    assert alarm["TreatMissingData"] == "notBreaching"


def test_a_backlog_that_does_not_wake_it_is_rung(asleep: Templates) -> None:
    alarms = of_gpu_stack(asleep, "AWS::CloudWatch::Alarm")
    [alarm] = [a for id, a in alarms.items() if id.startswith("GpuAlarmsAsleep")]
    assert (alarm["MetricName"], alarm["Statistic"]) == ("HasBacklogWithoutCapacity", "Minimum")
    assert (alarm["Period"], alarm["EvaluationPeriods"], alarm["Threshold"]) == (300, 4, 0)


def test_alarms_ring_the_topic_of_all_others(made: Templates) -> None:
    for id, alarm in of_gpu_stack(made, "AWS::CloudWatch::Alarm").items():
        if id.startswith("GpuAlarms"):
            [action] = alarm["AlarmActions"]
            assert "AlarmsTopic" in action["Fn::ImportValue"]


def test_the_dashboard_shows_the_gpu_where_there_is_one(made: Templates, mode: str, dev: Templates) -> None:
    shown = json.dumps(made.properties("AWS::CloudWatch::Dashboard"))
    for metric in ("ModelLatency", "CPUUtilization", "ApproximateBacklogSize", "HasBacklogWithoutCapacity"):
        assert metric in shown
    assert f"image-api-dev-{mode}" in shown
    assert "GPU" not in json.dumps(dev.properties("AWS::CloudWatch::Dashboard"))


def test_logs_of_the_endpoint_forget(made: Templates, mode: str) -> None:
    groups = {g.get("LogGroupName"): g for g in of_gpu_stack(made, "AWS::Logs::LogGroup").values()}
    assert f"/aws/sagemaker/Endpoints/image-api-dev-{mode}" in groups
    assert all(group["RetentionInDays"] <= 90 for group in groups.values())


# The gates


def test_the_gates_accept_the_known_findings_alone(made: Templates, mode: str) -> None:
    found = {rule for path, rule, _ in acknowledged(made) if path.startswith("/image-api-dev-gpu")}
    assert found == ACCEPTED | (ACCEPTED_OF_ASYNC if mode == "async" else set())
    assert all(len(reason) > 30 for _, _, reason in acknowledged(made))


def test_cfn_lint(made: Templates) -> None:
    from cfnlint.api import lint_file
    from cfnlint.config import ManualArgs

    arguments = ManualArgs(regions=["us-west-2", "eu-central-1"], ignore_checks=["W3005"])
    for name in ("service", "gpu"):
        assert [str(match) for match in lint_file(made.files[name], config=arguments)] == []


def test_the_gpu_stack_comes_last_so_that_its_failure_takes_nothing_along(made: Templates) -> None:
    manifest = json.loads((made.folder / "manifest.json").read_text("utf-8"))["artifacts"]
    assert "image-api-dev-service" in manifest["image-api-dev-gpu"]["dependencies"]
    for name in ("data", "service"):
        assert "image-api-dev-gpu" not in manifest[f"image-api-dev-{name}"].get("dependencies", [])


@pytest.mark.parametrize("serving", ["off", "realtime"])
def test_while_the_endpoint_comes_up_the_service_points_at_what_stands(
    synthesised: Callable[..., Templates], serving: str
) -> None:
    """And exports what the GPU stack takes of it all the same."""
    made = synthesised("dev", gpu="async", gpu_serving=serving)
    for name in ("api", "worker"):
        variables = made.function(name)["Environment"]["Variables"]
        assert variables.get("SAGEMAKER_ENDPOINT") == (None if serving == "off" else "image-api-dev-realtime")
        assert "SAGEMAKER_ASYNC" not in variables
        granted = {action for s in made.statements(name) for action in s["Action"] if action.startswith("sagemaker")}
        assert granted == (set() if serving == "off" else {"sagemaker:InvokeEndpoint"})
    assert only(made, "AWS::SageMaker::Endpoint")["EndpointName"] == "image-api-dev-async"
    exports = {json.dumps(o["Value"]) for o in made.template("service")["Outputs"].values() if "Export" in o}
    usual = synthesised("dev", gpu="async").template("service")["Outputs"].values()
    assert exports == {json.dumps(o["Value"]) for o in usual if "Export" in o}


def test_a_wildcard_of_the_endpoint_stops_the_synthesis(tmp_path: Path) -> None:
    from aws_cdk import aws_iam as iam

    app = build({"env": "dev", "gpu": "async", **NOT_BUNDLED}, outdir=str(tmp_path))
    role: Any = app.node.find_child("image-api-dev-gpu").node.find_child("Gpu").node.find_child("Role")
    role.add_to_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=["*"]))
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()


def test_production_may_grow_further(synthesised: Callable[..., Templates]) -> None:
    assert only(synthesised("prod", gpu="async"), "AWS::ApplicationAutoScaling::ScalableTarget")["MaxCapacity"] == 4


def test_the_image_changes_with_the_worker_and_with_nothing_else(synthesised: Callable[..., Templates]) -> None:
    tags = {
        only(synthesised(environment, gpu=mode), "Custom::WorkerImage")["Variables"]["IMAGE_TAG"]
        for environment, mode in (("dev", "async"), ("dev", "realtime"), ("prod", "async"))
    }
    assert len(tags) == 1
