"""What serves: the API, its functions and the queue between them, with what each may do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra import grants
from infra.acknowledge import acknowledge
from infra.bundling import service_code
from infra.config import Environment
from infra.constructs.alarms import Alarms
from infra.constructs.dashboard import Dashboard
from infra.constructs.function import FunctionSpec, ServiceFunction
from infra.constructs.job_queue import JobQueue, feed
from infra.constructs.rest_api import RestApi
from infra.data_stack import DataStack, origins

API = FunctionSpec("lambdas.handlers.api.handler", 29, 1024, "Answers every route")
AUTHORIZER = FunctionSpec("lambdas.handlers.authorizer.handler", 5, 256, "Finds the tenant of a key")
WORKER = FunctionSpec("lambdas.handlers.worker.handler", 900, 1769, "Runs the jobs that outlast a request")
DEAD_LETTER = FunctionSpec("lambdas.handlers.dead_letter.handler", 60, 256, "Ends the jobs that failed for good")

RETENTION = {14: logs.RetentionDays.TWO_WEEKS, 90: logs.RetentionDays.THREE_MONTHS}


class ServiceStack(cdk.Stack):
    """Stateless: it can be deleted and made again without losing an image."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        environment: Environment,
        settings: Mapping[str, str],
        data: DataStack,
        **kwargs: Any,
    ) -> None:
        super().__init__(scope, id, termination_protection=environment.protected, **kwargs)
        self._code = service_code()
        self._log_retention = RETENTION[environment.log_retention_days]
        self._common = {
            "ENVIRONMENT": environment.name,
            "DEPLOYED": "1",
            "POWERTOOLS_SERVICE_NAME": "image-api",
            "POWERTOOLS_METRICS_NAMESPACE": "ImageApi",
            "LOG_LEVEL": settings.get("LOG_LEVEL", "INFO"),
        }
        require_key = {"REQUIRE_API_KEY": settings.get("REQUIRE_API_KEY", "1")}
        jobs = JobQueue(
            self,
            "JobQueue",
            worker_timeout=WORKER.timeout_seconds,
            dead_letter_timeout=DEAD_LETTER.timeout_seconds,
        )
        send = grants.allow(("sqs:SendMessage",), jobs.queue.queue_arn)
        generating = {
            "JOBS_TABLE": data.jobs.name,
            "IMAGES_TABLE": data.images.name,
            "PROJECTS_TABLE": data.projects.name,
            "PROVIDERS_TABLE": data.providers.name,
            "IMAGES_BUCKET": data.bucket.bucket_name,
            "JOBS_QUEUE_URL": jobs.queue.queue_url,
            "PROVIDER_SECRET_ARN": data.secret.secret_arn,
            "JOB_RETENTION_DAYS": str(environment.retention_days),
            "BEDROCK": "1",
            **require_key,
            **settings,
        }
        worker = self._function("Worker", WORKER, generating, [*grants.generation(data, settings), send])
        api = self._function(
            "Api",
            API,
            {**generating, "WORKER_FUNCTION": worker.function.function_name},
            [
                *grants.generation(data, settings),
                send,
                grants.allow(("lambda:InvokeFunction",), worker.function.function_arn),
            ],
        )
        authorizer = self._function(
            "Authorizer", AUTHORIZER, {"KEYS_TABLE": data.keys.name, **require_key}, grants.key_lookup(data)
        )
        dead_letter = self._function("DeadLetter", DEAD_LETTER, {"JOBS_TABLE": data.jobs.name}, grants.closing(data))
        feed(worker.function, jobs.queue, batch_size=1, max_concurrency=environment.worker_concurrency)
        feed(dead_letter.function, jobs.dead_letters, batch_size=10)
        for function in (api, worker):
            acknowledge(function.role, grants.accepted_findings(data))
        rest = RestApi(
            self,
            "Gateway",
            name=f"image-api-{environment.name}",
            handler=api.function,
            authorizer=authorizer.function,
            throttle=(environment.throttle_rate, environment.throttle_burst),
            origins=origins(environment, settings),
            log_retention=self._log_retention,
        )
        functions = {
            "api": api.function,
            "worker": worker.function,
            "authorizer": authorizer.function,
            "dead_letter": dead_letter.function,
        }
        Dashboard(self, "Dashboard", api=rest.api, functions=functions, jobs=jobs, tables=data.tables)
        alarms = Alarms(self, "Alarms", api=rest.api, functions=functions, jobs=jobs, thresholds=environment.thresholds)
        cdk.CfnOutput(self, "ApiUrl", value=rest.api.url, description="The base URL of every route")
        cdk.CfnOutput(self, "AlarmTopic", value=alarms.topic.topic_arn, description="Subscribe to hear the alarms")

    def _function(
        self, id: str, spec: FunctionSpec, environment: Mapping[str, str], statements: Sequence[iam.PolicyStatement]
    ) -> ServiceFunction:
        return ServiceFunction(
            self,
            id,
            spec=spec,
            code=self._code,
            environment={**self._common, **environment},
            statements=statements,
            log_retention=self._log_retention,
        )
