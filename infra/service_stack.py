"""Defines the stack of the service: the API, its functions and queues, and their permissions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
from constructs import Construct

from infra.config import Environment
from infra.constructs.alarms import Alarms
from infra.constructs.api import Api
from infra.constructs.dashboard import Dashboards
from infra.constructs.function import Functions
from infra.constructs.generation import Generation
from infra.constructs.jobs import Jobs
from infra.constructs.queries import add_queries
from infra.constructs.webhooks import Webhooks
from infra.data_stack import DataStack


class ServiceStack(cdk.Stack):
    """Stateless: it can be deleted and deployed again without losing an image.

    `gpu_mode` is the mode of the endpoint in use; `with_gpu`: a GPU stack exists or will be deployed.
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
        functions = Functions(self, environment, settings)
        generation = Generation(environment, settings, data, gpu_mode=gpu_mode)
        webhooks = Webhooks(self, functions, data, settings, concurrency=environment.webhook_concurrency)
        jobs = Jobs(self, functions, data, generation, webhooks, settings, concurrency=environment.worker_concurrency)
        api = Api(self, functions, data, generation, jobs, webhooks, environment=environment, settings=settings)
        watched = {
            "api": api.handler,
            "worker": jobs.worker,
            "authorizer": api.authorizer,
            "dead_letter": jobs.dead_letter,
            "webhooks": webhooks.sender,
        }
        Dashboards(
            self,
            "Dashboards",
            api=api.rest,
            functions=watched,
            jobs=jobs.queues,
            webhooks=webhooks.queues,
            tables=data.tables,
            gpu_endpoint=generation.gpu_endpoint,
        )
        alarms = Alarms(
            self,
            "Alarms",
            api=api.rest,
            functions=watched,
            jobs=jobs.queues,
            webhooks=webhooks.queues,
            tables=data.tables,
            thresholds=environment.thresholds,
        )
        logged = [function.log_group for function in watched.values()]
        add_queries(self, environment.name, functions=logged, access_log=api.access_log)
        self.job_queue, self.alarm_topic = jobs.queues.queue, alarms.topic
        # in every mode: a change of mode must not remove exports that the other mode's stack still imports
        if with_gpu or generation.gpu_endpoint:
            for value in (self.job_queue.queue_arn, self.job_queue.queue_url, self.alarm_topic.topic_arn):
                self.export_value(value)
        for name, value, description in (
            ("ApiUrl", api.rest.url, "The base URL of every route"),
            (
                "WebhookDeadLetters",
                webhooks.queues.dead_letters.queue_arn,
                "Move what lies here back when its cause is mended",
            ),
            ("AlarmTopic", self.alarm_topic.topic_arn, "Subscribe to hear the alarms"),
        ):
            cdk.CfnOutput(self, name, value=value, description=description)
