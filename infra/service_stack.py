"""What serves: the API, its functions and the queues between them, with what each may do."""

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
from infra.constructs.gpu_endpoint import endpoint_arn, endpoint_name
from infra.constructs.rest_api import RestApi
from infra.constructs.retry_queue import RetryQueue, feed
from infra.data_stack import DataStack, origins

API = FunctionSpec("lambdas.handlers.api.handler", 29, 1024, "Answers every route")
AUTHORIZER = FunctionSpec("lambdas.handlers.authorizer.handler", 5, 256, "Finds the tenant of a key")
WORKER = FunctionSpec(  # a job's watchdog sends its successor, for a day at the most
    "lambdas.handlers.worker.handler", 900, 1769, "Runs the jobs that outlast a request", goes_round=True
)
DEAD_LETTER = FunctionSpec("lambdas.handlers.dead_letter.handler", 60, 256, "Ends the jobs that failed for good")
WEBHOOKS = FunctionSpec(  # an attempt's message waits in steps, as long as the event itself is kept at the most
    "lambdas.handlers.webhooks.handler", 30, 256, "Tells receivers how their jobs ended", goes_round=True
)

RETENTION = {14: logs.RetentionDays.TWO_WEEKS, 90: logs.RetentionDays.THREE_MONTHS}


class ServiceStack(cdk.Stack):
    """Stateless: it can be deleted and made again without losing an image.

    `gpu_mode` is that of the endpoint which serves; `with_gpu`: a GPU stack is there, or about to be.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        environment: Environment,
        settings: Mapping[str, str],
        data: DataStack,
        gpu_mode: str = "off",
        with_gpu: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(scope, id, termination_protection=environment.protected, **kwargs)
        self._code = service_code()
        self._log_retention = RETENTION[environment.log_retention_days]
        self.common = {
            "ENVIRONMENT": environment.name,
            "DEPLOYED": "1",
            "POWERTOOLS_SERVICE_NAME": "image-api",
            "POWERTOOLS_METRICS_NAMESPACE": "ImageApi",
            "LOG_LEVEL": settings.get("LOG_LEVEL", "INFO"),
        }
        require_key = {"REQUIRE_API_KEY": settings.get("REQUIRE_API_KEY", "1")}
        jobs = RetryQueue(
            self,
            "JobQueue",
            reader_timeout=WORKER.timeout_seconds,
            receives=5,
            retention_days=4,
            dead_letter_timeout=DEAD_LETTER.timeout_seconds,
            end_of_line="It is the end of the line; what its reader cannot end stays for 14 days.",
        )
        webhooks = RetryQueue(
            self,
            "WebhookQueue",
            reader_timeout=WEBHOOKS.timeout_seconds,
            receives=1000,  # the most there is: two days in which the function may fail and nothing leaves the queue
            retention_days=14,
            dead_letter_timeout=WEBHOOKS.timeout_seconds,
            end_of_line="An alarm tells of what lies here; a person mends the cause and moves it back.",
        )
        send = grants.allow(("sqs:SendMessage",), jobs.queue.queue_arn)
        notify = grants.allow(("sqs:SendMessage",), webhooks.queue.queue_arn)
        webhooks_url = {"WEBHOOKS_QUEUE_URL": webhooks.queue.queue_url}
        generating = {
            "JOBS_TABLE": data.jobs.name,
            "IMAGES_TABLE": data.images.name,
            "PROJECTS_TABLE": data.projects.name,
            "PROVIDERS_TABLE": data.providers.name,
            "IMAGES_BUCKET": data.bucket.bucket_name,
            "JOBS_QUEUE_URL": jobs.queue.queue_url,
            **webhooks_url,
            "WORKER_CONCURRENCY": str(environment.worker_concurrency),
            "PROVIDER_SECRET_ARN": data.secret.secret_arn,
            "JOB_RETENTION_DAYS": str(environment.retention_days),
            "BEDROCK": "1",
            **_gpu_variables(environment, gpu_mode),
            **require_key,
            **settings,
        }
        generate = grants.generation(data, settings)
        objects = dict(grants.OBJECTS)
        endpoint = generating.get("SAGEMAKER_ENDPOINT")
        if endpoint:
            generate += grants.painting(data, gpu_mode, endpoint_arn(endpoint))
            objects |= grants.ASYNC if gpu_mode == "async" else {}
        worker = self._function("Worker", WORKER, generating, [*generate, send, notify])
        api = self._function(
            "Api",
            API,
            {**generating, "WORKER_FUNCTION": worker.function.function_name},
            [
                *generate,
                send,
                notify,
                grants.allow(("sqs:GetQueueAttributes",), jobs.queue.queue_arn),  # how much waits there
                grants.allow(("lambda:InvokeFunction",), worker.function.function_arn),
            ],
        )
        authorizer = self._function(
            "Authorizer", AUTHORIZER, {"KEYS_TABLE": data.keys.name, **require_key}, grants.key_lookup(data)
        )
        ending = {"JOBS_TABLE": data.jobs.name, "IMAGES_TABLE": data.images.name, **webhooks_url}
        dead_letter = self._function("DeadLetter", DEAD_LETTER, ending, [*grants.closing(data), notify])
        notifier = self._function(
            "Webhooks",
            WEBHOOKS,
            {**ending, "IMAGES_BUCKET": data.bucket.bucket_name, "KEYS_TABLE": data.keys.name, **settings},
            [*grants.notifying(data), notify],
        )
        feed(worker.function, jobs.queue, batch_size=1, max_concurrency=environment.worker_concurrency)
        feed(dead_letter.function, jobs.dead_letters, batch_size=10)
        feed(notifier.function, webhooks.queue, batch_size=1, max_concurrency=environment.webhook_concurrency)
        for function in (api, worker):
            acknowledge(function.role, grants.accepted_findings(data, *objects) | grants.accepted_models(settings))
        acknowledge(notifier.role, grants.accepted_findings(data, grants.IMAGES))
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
            "webhooks": notifier.function,
        }
        Dashboard(
            self,
            "Dashboard",
            api=rest.api,
            functions=functions,
            jobs=jobs,
            webhooks=webhooks,
            tables=data.tables,
            gpu_endpoint=endpoint,
        )
        alarms = Alarms(
            self,
            "Alarms",
            api=rest.api,
            functions=functions,
            jobs=jobs,
            webhooks=webhooks,
            thresholds=environment.thresholds,
        )
        self.jobs, self.alarm_topic = jobs, alarms.topic
        if (
            with_gpu or endpoint
        ):  # whatever the mode, or a change of it would take away what the other's stack still imports
            for value in (jobs.queue.queue_arn, jobs.queue.queue_url, alarms.topic.topic_arn):
                self.export_value(value)
        cdk.CfnOutput(self, "ApiUrl", value=rest.api.url, description="The base URL of every route")
        cdk.CfnOutput(
            self,
            "WebhookDeadLetters",
            value=webhooks.dead_letters.queue_arn,
            description="Move what lies here back when its cause is mended",
        )
        cdk.CfnOutput(self, "AlarmTopic", value=alarms.topic.topic_arn, description="Subscribe to hear the alarms")

    def _function(
        self, id: str, spec: FunctionSpec, environment: Mapping[str, str], statements: Sequence[iam.PolicyStatement]
    ) -> ServiceFunction:
        return ServiceFunction(
            self,
            id,
            spec=spec,
            code=self._code,
            environment={**self.common, **environment},
            statements=statements,
            log_retention=self._log_retention,
        )


def _gpu_variables(environment: Environment, mode: str) -> dict[str, str]:
    if mode == "off":
        return {}
    named = {"SAGEMAKER_ENDPOINT": endpoint_name(environment.name, mode)}
    return {**named, "SAGEMAKER_ASYNC": "1"} if mode == "async" else named
