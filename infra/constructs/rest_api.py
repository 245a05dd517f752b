"""Defines the REST API: every path goes to one function; the stage is throttled, logged and traced."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.constructs.gateway_responses import add_gateway_responses

STAGE = "prod"  # the contract's base URL ends with it, in every environment
TIMEOUT_SECONDS = 29  # API Gateway's maximum without a raised quota
OPEN_PATHS = ("health", "docs", "openapi.json")

ACCESS_LOG = {
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


class RestApi(Construct):
    """Only the paths in OPEN_PATHS and the browser's OPTIONS are open; all others pass the authorizer."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        handler: lambda_.IFunction,
        authorizer: lambda_.IFunction,
        throttle: tuple[int, int],
        origins: Sequence[str],
        log_retention: logs.RetentionDays,
    ) -> None:
        super().__init__(scope, id)
        self.access_log = logs.LogGroup(
            self, "AccessLog", retention=log_retention, removal_policy=cdk.RemovalPolicy.DESTROY
        )
        self.api = self._api(name, throttle)
        self._integration = apigateway.LambdaIntegration(
            handler, timeout=cdk.Duration.seconds(TIMEOUT_SECONDS), scope_permission_to_method=False
        )
        self._authorizer = self._request_authorizer(authorizer)
        for resource in (self.api.root, self.api.root.add_resource("{proxy+}")):
            self._add(resource, "ANY", guarded=True)
            self._add(resource, "OPTIONS", guarded=False)
        for path in OPEN_PATHS:
            self._add(self.api.root.add_resource(path), "ANY", guarded=False)
        add_gateway_responses(self.api, origins)
        self._acknowledge()

    def _api(self, name: str, throttle: tuple[int, int]) -> apigateway.RestApi:
        rate, burst = throttle
        api = apigateway.RestApi(
            self,
            "Api",
            rest_api_name=name,  # CloudWatch distinguishes APIs by this name
            binary_media_types=["*/*"],
            endpoint_configuration=apigateway.EndpointConfiguration(types=[apigateway.EndpointType.REGIONAL]),
            cloud_watch_role=True,
            cloud_watch_role_removal_policy=cdk.RemovalPolicy.RETAIN,  # one per account and region, shared by all APIs
            deploy_options=apigateway.StageOptions(
                stage_name=STAGE,
                throttling_rate_limit=rate,
                throttling_burst_limit=burst,
                tracing_enabled=True,
                metrics_enabled=True,
                logging_level=apigateway.MethodLoggingLevel.ERROR,
                data_trace_enabled=False,  # it would write prompts and keys into the log
                access_log_destination=apigateway.LogGroupLogDestination(self.access_log),
                access_log_format=apigateway.AccessLogFormat.custom(json.dumps(ACCESS_LOG)),
            ),
        )
        api.node.try_remove_child("Endpoint")  # an output with a made-up name; the stack has its own
        return api

    def _request_authorizer(self, handler: lambda_.IFunction) -> apigateway.RequestAuthorizer:
        authorizer = apigateway.RequestAuthorizer(
            self,
            "Authorizer",
            handler=handler,
            identity_sources=[],
            results_cache_ttl=cdk.Duration.seconds(0),  # a revoked key is refused at the next request
        )
        # CDK writes an empty text where no identity source is given; the property is optional without a cache
        cast(apigateway.CfnAuthorizer, authorizer.node.default_child).add_property_deletion_override("IdentitySource")
        return authorizer

    def _acknowledge(self) -> None:
        acknowledge(self.api, {"AwsSolutions-APIG2": "The function validates each request and names the wrong field."})
        acknowledge(
            self.api.deployment_stage,
            {"AwsSolutions-APIG3": "The common WAF rules refuse bodies over 8 KB, which every uploaded image is."},
        )
        policy = "arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
        acknowledge(
            self.api.node.find_child("CloudWatchRole"),
            {f"AwsSolutions-IAM4[Policy::{policy}]": "Made by AWS for just this role, which API Gateway asks for."},
        )

    def _add(self, resource: apigateway.IResource, verb: str, *, guarded: bool) -> None:
        method = resource.add_method(
            verb,
            self._integration,
            authorizer=self._authorizer if guarded else None,
            authorization_type=apigateway.AuthorizationType.CUSTOM if guarded else apigateway.AuthorizationType.NONE,
        )
        reasons = {"AwsSolutions-COG4": "Callers are programs with keys of their own; the authorizer checks them."}
        if not guarded:
            reasons["AwsSolutions-APIG4"] = "Health, documentation and CORS preflight are open by contract."
        acknowledge(method, reasons)
