"""The gateway: authorization, timeout, logs, and its own error answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.constructs.gateway_responses import PROBLEMS, Problem
from tests.infra.conftest import Templates, resolved


def methods(templates: Templates) -> dict[tuple[str, str], Any]:
    """(path, verb) to the method's properties."""
    paths = {id: resource["PathPart"] for id, resource in templates.properties("AWS::ApiGateway::Resource").items()}
    return {
        ("/" + paths.get(method["ResourceId"].get("Ref", ""), ""), method["HttpMethod"]): method
        for method in templates.properties("AWS::ApiGateway::Method").values()
    }


def test_routes_and_their_authorizer(templates: Templates) -> None:
    guarded = {route: method["AuthorizationType"] == "CUSTOM" for route, method in methods(templates).items()}
    assert guarded == {
        ("/", "ANY"): True,
        ("/", "OPTIONS"): False,
        ("/{proxy+}", "ANY"): True,
        ("/{proxy+}", "OPTIONS"): False,
        ("/health", "ANY"): False,
        ("/docs", "ANY"): False,
        ("/openapi.json", "ANY"): False,
    }


def test_every_route_is_proxied_to_the_api_function_within_29_seconds(templates: Templates) -> None:
    for method in methods(templates).values():
        integration = method["Integration"]
        assert integration["Type"] == "AWS_PROXY"
        assert integration["TimeoutInMillis"] == 29_000
        assert "ApiFunction" in repr(integration["Uri"])


def test_authorizer_keeps_no_answers(templates: Templates) -> None:
    [authorizer] = templates.properties("AWS::ApiGateway::Authorizer").values()
    assert authorizer["Type"] == "REQUEST"
    assert authorizer["AuthorizerResultTtlInSeconds"] == 0
    assert "IdentitySource" not in authorizer


def test_api_is_regional_and_takes_any_binary(templates: Templates) -> None:
    [api] = templates.properties("AWS::ApiGateway::RestApi").values()
    assert api["EndpointConfiguration"]["Types"] == ["REGIONAL"]
    assert api["BinaryMediaTypes"] == ["*/*"]
    assert api["Name"] == f"image-api-{templates.environment}"


def test_stage(templates: Templates) -> None:
    [stage] = templates.properties("AWS::ApiGateway::Stage").values()
    assert stage["StageName"] == "prod"
    assert stage["TracingEnabled"] is True
    [settings] = stage["MethodSettings"]
    assert settings["DataTraceEnabled"] is False
    assert settings["LoggingLevel"] == "ERROR"
    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (100, 400)


def test_the_access_log_has_these_fields_and_no_others(templates: Templates) -> None:
    """None of them has a key, a query, a header or a body: those of requests are their clients'."""
    [stage] = templates.properties("AWS::ApiGateway::Stage").values()
    assert json.loads(stage["AccessLogSetting"]["Format"]) == {
        "request_id": "$context.requestId",
        "time": "$context.requestTime",
        "method": "$context.httpMethod",
        "path": "$context.path",
        "status": "$context.status",
        "latency_ms": "$context.responseLatency",
        "function_ms": "$context.integrationLatency",
        "bytes": "$context.responseLength",
        "tenant": "$context.authorizer.tenant",
        "auth": "$context.authorizer.auth",
        "source_ip": "$context.identity.sourceIp",
        "error": "$context.error.responseType",
        "trace": "$context.xrayTraceId",
    }
    assert resolved(stage["AccessLogSetting"]["DestinationArn"]["Fn::Join"][1][-1]) == "GatewayAccessLog"


def test_the_role_by_which_the_gateway_writes_logs_outlives_the_stack(templates: Templates) -> None:
    """There is one in an account and region, for every API."""
    [account] = templates.resources("AWS::ApiGateway::Account").values()
    role = templates.resources("AWS::IAM::Role")[account["Properties"]["CloudWatchRoleArn"]["Fn::GetAtt"][0]]
    for resource in (account, role):
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_only_the_gateway_may_call_the_functions(templates: Templates) -> None:
    permissions = templates.properties("AWS::Lambda::Permission").values()
    assert len(permissions) == 2
    for permission in permissions:
        assert permission["Principal"] == "apigateway.amazonaws.com"
        assert "GatewayApi" in repr(permission["SourceArn"])


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.kind)
def test_gateway_responses_have_the_shape_of_the_contract(dev: Templates, problem: Problem) -> None:
    responses = {r["ResponseType"]: r for r in dev.properties("AWS::ApiGateway::GatewayResponse").values()}
    assert len(responses) == 21  # every type that API Gateway knows
    response = responses[problem.kind]
    body = json.loads(response["ResponseTemplates"]["application/json"])
    assert set(body) == {"type", "title", "status", "detail", "instance", "code", "error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert str(body["status"]) == response["StatusCode"]
    headers = {name.removeprefix("gatewayresponse.header."): v for name, v in response["ResponseParameters"].items()}
    assert headers["Content-Type"] == "'application/problem+json'"
    assert headers["X-Request-Id"] == "context.requestId"
    assert headers["Access-Control-Allow-Origin"] == "'*'"
    assert {"X-Request-Id", "Retry-After", "WWW-Authenticate"} == set(
        headers["Access-Control-Expose-Headers"].strip("'").split(", ")
    )
    assert ("Retry-After" in headers) == (problem.status in (429, 503))
    assert ("WWW-Authenticate" in headers) == (problem.status == 401)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("THROTTLED", 429),
        ("QUOTA_EXCEEDED", 429),
        ("INTEGRATION_TIMEOUT", 504),
        # what a function without room, or one that failed, comes out as; which of them AWS does not promise
        ("API_CONFIGURATION_ERROR", 503),
        ("AUTHORIZER_CONFIGURATION_ERROR", 503),
        ("AUTHORIZER_FAILURE", 503),
        ("INTEGRATION_FAILURE", 503),
        ("DEFAULT_5XX", 503),
        ("REQUEST_TOO_LARGE", 413),
        ("MISSING_AUTHENTICATION_TOKEN", 404),
        ("UNAUTHORIZED", 401),
        ("ACCESS_DENIED", 401),
    ],
)
def test_gateway_statuses(kind: str, status: int) -> None:
    [problem] = [problem for problem in PROBLEMS if problem.kind == kind]
    assert problem.status == status


def test_a_single_allowed_origin_is_named(synthesised: Callable[..., Templates]) -> None:
    templates = synthesised("dev", JOB_RETENTION_DAYS="7", CORS_ALLOW_ORIGINS="https://a.example")
    for response in templates.properties("AWS::ApiGateway::GatewayResponse").values():
        origin = response["ResponseParameters"]["gatewayresponse.header.Access-Control-Allow-Origin"]
        assert origin == "'https://a.example'"
