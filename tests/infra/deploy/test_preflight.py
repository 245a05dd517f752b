"""The checks before a deployment: each failure names its remedy, and nothing is created."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from infra import config
from infra.bedrock import EDITING_MODELS, IMAGE_MODELS, TEXT_MODEL
from infra.deploy import __main__, cli, preflight
from infra.deploy.preflight_checks import BOOTSTRAP, Finding

TYPES = config.ENVIRONMENTS["dev"].gpu.instance_types
READS = ("get_", "list_", "describe_")
LICENCE = {"accept_licences": ",".join(config.LICENCES)}
OPEN = {
    "agreementAvailability": {"status": "AVAILABLE"},
    "authorizationStatus": "AUTHORIZED",
    "entitlementAvailability": "AVAILABLE",
    "regionAvailability": "AVAILABLE",
}


class Account:
    """An account as botocore would show it: every answer is checked against the service's own model."""

    def __init__(self, **facts: Any) -> None:
        self.facts = {
            "quotas": dict.fromkeys(TYPES, 2.0),
            "defaults": dict.fromkeys(TYPES, 0.0),
            "bootstrap": "30",
            "stacks": {"image-api-dev-data": {"Secret": "arn:secret"}},
            "secret": '{"GEMINI_API_KEY": "k"}',
            "closed": (),
            "text": TEXT_MODEL,
            "refuses": (),
        } | facts
        self.asked: list[str] = []
        self.bedrocks = 0  # clients of Bedrock: the first is for images, the second for editing, the third for text

    @contextmanager
    def clients(self) -> Iterator[Any]:
        with ExitStack() as stack:

            def client(service: str, region_name: str = "eu-central-1") -> Any:
                made = boto3.client(service, region_name=region_name, aws_access_key_id="x", aws_secret_access_key="x")
                stub = stack.enter_context(Stubber(made))
                self._answers(service, stub)
                made.meta.events.register("before-parameter-build", self._seen)
                return made

            yield client

    def _seen(self, model: Any, **_: Any) -> None:
        self.asked.append(model.name)

    def _answers(self, service: str, stub: Stubber) -> None:
        facts = self.facts
        if service in facts["refuses"]:
            for _ in range(3):
                first = {
                    "sts": "get_caller_identity",
                    "ssm": "get_parameter",
                    "bedrock": "get_foundation_model_availability",
                    "secretsmanager": "get_secret_value",
                    "service-quotas": "list_aws_default_service_quotas",
                    "cloudformation": "describe_stacks",
                }[service]
                stub.add_client_error(first, "AccessDeniedException", "no")
        elif service == "sts":
            stub.add_response("get_caller_identity", {"Account": "111122223333", "Arn": "arn:aws:iam::1:user/me"})
        elif service == "ssm" and facts["bootstrap"] is None:
            stub.add_client_error("get_parameter", "ParameterNotFound")
        elif service == "ssm":
            stub.add_response("get_parameter", {"Parameter": {"Value": facts["bootstrap"]}}, {"Name": BOOTSTRAP})
        elif service == "bedrock":
            for model in (IMAGE_MODELS, EDITING_MODELS, (facts["text"],))[self.bedrocks]:
                answer = {"modelId": model, **OPEN}
                if model in facts["closed"]:
                    answer["agreementAvailability"] = {"status": "NOT_AVAILABLE"}
                stub.add_response("get_foundation_model_availability", answer, {"modelId": model})
            self.bedrocks += 1
        elif service == "secretsmanager":
            stub.add_response("get_secret_value", {"SecretString": facts["secret"]}, {"SecretId": "arn:secret"})
        elif service == "cloudformation":
            self._stack(stub)
        elif service == "service-quotas":
            for listing, name in (("list_aws_default_service_quotas", "defaults"), ("list_service_quotas", "quotas")):
                values = [{"QuotaName": f"{t} for endpoint usage", "Value": v} for t, v in facts[name].items()]
                others = [{"QuotaName": f"{TYPES[0]} for training job usage", "Value": 9.0}]
                stub.add_response(listing, {"Quotas": others, "NextToken": "2"}, {"ServiceCode": "sagemaker"})
                stub.add_response(listing, {"Quotas": values}, {"ServiceCode": "sagemaker", "NextToken": ANY})

    def _stack(self, stub: Stubber) -> None:
        gpu = "image-api-dev-gpu"
        name = ("image-api-dev-data", gpu, gpu)[self.asked.count("DescribeStacks")]
        if name not in self.facts["stacks"]:
            stub.add_client_error("describe_stacks", "ValidationError", expected_params={"StackName": name})
            return
        described = {
            "StackName": name,
            "CreationTime": 0,
            "StackStatus": "CREATE_COMPLETE",
            "Outputs": [{"OutputKey": k, "OutputValue": v} for k, v in self.facts["stacks"][name].items()],
        }
        stub.add_response("describe_stacks", {"Stacks": [described]}, {"StackName": name})


def examine(account: Account, **given: str) -> preflight.Report:
    with account.clients() as client:
        return preflight.examine(client, given)


def said(report: preflight.Report, level: str) -> str:
    return "\n".join(f"{f.what} {f.todo}" for f in report.findings if f.level == level)


def test_an_account_that_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    account = Account()
    report = examine(account, **LICENCE)
    assert not report.stops
    assert report.changes == {}
    assert said(report, "warn") == ""
    assert f"gpu=async, on {', then '.join(TYPES)}" in said(report, "ok")
    assert "GEMINI_API_KEY" in str(report)


def test_nothing_is_created_by_looking() -> None:
    account = Account()
    examine(account, **LICENCE)
    assert len(account.asked) >= 10
    assert all(name.startswith(("Get", "List", "Describe")) for name in account.asked)


def test_without_credentials_nothing_else_is_asked() -> None:
    account = Account(refuses=("sts",))
    report = examine(account)
    assert report.stops
    assert "AWS_PROFILE" in said(report, "stop")
    assert set(account.asked) <= {"GetCallerIdentity"}


@pytest.mark.parametrize("version", [None, "5"])
def test_an_account_without_a_new_enough_bootstrap(version: str | None) -> None:
    report = examine(Account(bootstrap=version), **LICENCE)
    assert report.stops
    assert "infra.deploy.cli bootstrap" in said(report, "stop")


def test_a_licence_that_is_not_accepted_stops_and_says_how_to_accept_it() -> None:
    report = examine(Account())
    assert report.stops
    stop = said(report, "stop")
    assert "-c accept_licences=stabilityai/sdxl-turbo" in stop
    assert "https://" in stop
    assert "-c gpu=off" in stop
    assert not examine(Account(), accept_licences="a, stabilityai/sdxl-turbo").stops


def test_an_account_without_a_gpu_is_deployed_without_one() -> None:
    report = examine(Account(quotas={}))
    assert not report.stops
    assert report.changes == {"gpu": "off"}
    assert "deploying without a GPU" in said(report, "warn")
    assert "servicequotas" in said(report, "warn")


@pytest.mark.parametrize("mode", ["async", "realtime"])
def test_a_gpu_that_was_asked_for_and_cannot_be_had_stops(mode: str) -> None:
    report = examine(Account(quotas={}), gpu=mode)
    assert report.stops
    assert report.changes == {}
    assert "no quota" in said(report, "stop")


def test_a_gpu_that_stands_is_not_left_out_silently() -> None:
    report = examine(Account(quotas={}, stacks={"image-api-dev-gpu": {}}))
    assert report.stops
    assert report.changes == {}


def test_a_region_without_the_types_is_named() -> None:
    report = examine(Account(quotas={}, defaults={}), gpu="async")
    assert f"this region does not offer {', '.join(TYPES)}" in said(report, "stop")


def test_types_without_a_quota_are_left_out() -> None:
    report = examine(Account(quotas={TYPES[1]: 1.0}), **LICENCE)
    assert not report.stops
    assert report.changes == {"gpu_instance_types": TYPES[1]}
    assert f"no quota for {TYPES[0]}, {TYPES[2]}" in said(report, "warn")


def test_a_quota_below_the_most_instances_is_told() -> None:
    report = examine(Account(quotas=dict.fromkeys(TYPES, 1.0)), gpu_max_instances="3", **LICENCE)
    assert not report.stops
    assert "below 3 instances" in said(report, "warn")


def test_quotas_that_cannot_be_read_stop_nothing() -> None:
    report = examine(Account(refuses=("service-quotas",)), **LICENCE)
    assert not report.stops
    assert report.changes == {}
    assert "servicequotas:ListServiceQuotas" in said(report, "warn")


def test_without_a_gpu_no_licence_is_asked_for() -> None:
    assert not examine(Account(quotas={}), gpu="off").stops


def test_a_gpu_stack_that_would_be_forgotten_stops() -> None:
    report = examine(Account(stacks={"image-api-dev-gpu": {}}), gpu="off")
    assert report.stops
    assert "infra.deploy.cli destroy image-api-dev-gpu" in said(report, "stop")


def test_models_that_bedrock_keeps_closed_are_named() -> None:
    report = examine(Account(closed=IMAGE_MODELS[:1]), **LICENCE)
    assert not report.stops
    assert IMAGE_MODELS[0] in said(report, "warn")
    assert "console" in said(report, "warn")


@pytest.mark.parametrize(
    ("gpu", "then"), [("off", "there will be no product backgrounds"), ("async", "left to the GPU alone")]
)
def test_editing_services_that_bedrock_keeps_closed_are_named_with_what_follows(gpu: str, then: str) -> None:
    account = Account(closed=EDITING_MODELS[1:])
    report = examine(account, gpu=gpu, **LICENCE)
    assert not report.stops
    warned = said(report, "warn")
    assert EDITING_MODELS[1] in warned
    assert EDITING_MODELS[0] not in warned
    assert f"console of {config.REGION_OF_BEDROCK}" in warned
    assert then in warned
    assert all(name.startswith(("Get", "List", "Describe")) for name in account.asked)


def test_an_account_that_gets_no_gpu_is_told_that_backgrounds_hang_on_the_editing_services() -> None:
    report = examine(Account(quotas={}, closed=EDITING_MODELS))
    assert report.changes == {"gpu": "off"}
    assert "there will be no product backgrounds" in said(report, "warn")


def test_models_are_asked_for_where_they_are_called_which_only_for_text_is_a_setting() -> None:
    account = Account(text="anthropic.claude-haiku-4-5-20251001-v1:0")
    text = {"BEDROCK_REGION": "eu-central-1", "BEDROCK_TEXT_MODEL": "eu.anthropic.claude-haiku-4-5-20251001-v1:0"}
    report = examine(account, **text, **LICENCE)
    assert f"3 image models in {config.REGION_OF_BEDROCK}" in said(report, "ok")
    assert f"2 editing models in {config.REGION_OF_BEDROCK}" in said(report, "ok")
    assert "1 text model in eu-central-1" in said(report, "ok")
    assert "product backgrounds" not in str(report), "nothing is amiss"


def test_a_text_model_that_bedrock_keeps_closed_is_named_with_what_follows() -> None:
    report = examine(Account(closed=(TEXT_MODEL,)), **LICENCE)
    assert not report.stops
    assert TEXT_MODEL in said(report, "warn")
    assert "shortened by rule" in said(report, "warn")


def test_a_text_model_of_the_accounts_own_is_not_looked_for_in_bedrocks_list() -> None:
    arn = "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/abc"
    assert arn in said(examine(Account(text="none"), BEDROCK_TEXT_MODEL=arn, **LICENCE), "ok")


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"secret": "{}"}, "holds no key"),
        ({"stacks": {}}, "is made by this deployment"),
        ({"refuses": ("secretsmanager",)}, "could not be read"),
        ({"refuses": ("bedrock",)}, "could not be checked"),
        ({"refuses": ("ssm",)}, "could not be read"),
    ],
)
def test_what_is_not_there_or_not_seen_is_told_and_stops_nothing(facts: dict[str, Any], told: str) -> None:
    report = examine(Account(**facts), **LICENCE)
    assert not report.stops
    assert told in said(report, "warn")


def test_a_key_is_never_printed() -> None:
    assert "my-secret" not in str(examine(Account(secret='{"GEMINI_API_KEY": "my-secret"}'), **LICENCE))


@pytest.mark.parametrize("words", [["-c", "gpu=off", "--verbose"], ["--context", "gpu=off"], ["--context=gpu=off"]])
def test_the_context_of_a_command_line(words: list[str]) -> None:
    assert preflight.context_of(words) == {"gpu": "off"}


@pytest.fixture
def cdk(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What the CDK command line is given."""
    calls: list[list[str]] = []
    monkeypatch.setattr(cli, "main", lambda words: calls.append(words) or 0)
    return calls


def test_a_deployment_begins_only_where_nothing_stops_it(
    cdk: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = preflight.Report((Finding("stop", "no", "do"),), {})
    monkeypatch.setattr(preflight, "run", lambda words: stop)
    assert __main__.main([]) == 1
    assert cdk == []
    assert "Nothing was deployed" in capsys.readouterr().err


@pytest.mark.parametrize(("standing", "serving"), [({}, "off"), ({"Endpoint": "image-api-dev-realtime"}, "realtime")])
def test_the_service_is_served_by_what_stands_until_its_endpoint_is_there(
    cdk: list[list[str]], monkeypatch: pytest.MonkeyPatch, standing: dict[str, str], serving: str
) -> None:
    report = examine(Account(stacks={"image-api-dev-gpu": standing} if standing else {}), gpu="async", **LICENCE)
    assert report.standing == serving
    monkeypatch.setattr(preflight, "run", lambda words: report)
    words = ["-c", "gpu=async"]
    assert __main__.main(words) == 0
    assert cdk == [
        ["deploy", "--all", *words, "-c", f"gpu_serving={serving}"],
        ["deploy", "--exclusively", "image-api-dev-service", *words],
    ]


def test_a_gpu_stack_that_fails_leaves_the_service_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(cli, "main", lambda words: calls.append(words) or 1)
    monkeypatch.setattr(preflight, "run", lambda words: preflight.Report((), {}))
    assert __main__.main([]) == 1
    assert len(calls) == 1
    assert calls[0][-1] == "gpu_serving=off"


def test_an_endpoint_that_stands_is_updated_in_one_go(cdk: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "run", lambda words: preflight.Report((), {}, "async"))
    assert __main__.main([]) == 0
    assert cdk == [["deploy", "--all"]]


def test_a_deployment_follows_what_was_found(cdk: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "run", lambda words: preflight.Report((), {"gpu": "off"}))
    assert __main__.main(["-c", "env=prod"]) == 0
    assert cdk == [["deploy", "--all", "-c", "env=prod", "-c", "gpu=off"]]
