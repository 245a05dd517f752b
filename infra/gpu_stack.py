"""Defines the stack of the GPU worker on SageMaker: image, endpoint, and the function that handles its results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra import grants
from infra.acknowledge import acknowledge
from infra.config import Environment, Gpu
from infra.constructs.alarm import add_function_alarms
from infra.constructs.function import Functions, FunctionSpec
from infra.constructs.gpu.alarms import GpuAlarms
from infra.constructs.gpu.endpoint import GpuEndpoint, endpoint_name
from infra.constructs.gpu.scaling import GpuScaling
from infra.constructs.gpu.worker_image import WorkerImage, weights_folder
from infra.data_stack import DataStack
from infra.service_stack import ServiceStack

GPU_RESULT = FunctionSpec("lambdas.handlers.gpu_result.handler", 30, 256, "Requeues the job of a finished GPU task")
NEVER_LOST = "A notice that is lost costs its job half a minute, until its next watchdog message."


class GpuStack(cdk.Stack):
    """Deployed last: if it fails for want of a quota or of instances, the API serves without it."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        environment: Environment,
        mode: str,
        gpu: Gpu,
        settings: Mapping[str, str],
        data: DataStack,
        service: ServiceStack,
        **kwargs: Any,
    ) -> None:
        super().__init__(scope, id, **kwargs)
        functions = Functions(self, environment, settings)
        self.result: lambda_.Function | None = None
        name = endpoint_name(environment.name, mode)
        image = WorkerImage(self, "Image", data=data, models=gpu.models, log_retention=functions.log_retention)
        endpoint = GpuEndpoint(
            self,
            "Gpu",
            name=name,
            mode=mode,
            gpu=gpu,
            image=image,
            data=data,
            settings=settings,
            log_retention=functions.log_retention,
            topics=self._topics(functions, data, service) if mode == "async" else None,
        )
        GpuScaling(self, "Scaling", endpoint=endpoint, name=name, mode=mode, gpu=gpu)
        alarms = GpuAlarms(self, "GpuAlarms", name=name, mode=mode, gpu=gpu, topic=service.alarm_topic)
        if self.result:
            add_function_alarms(alarms, "gpu_result", self.result, service.alarm_topic)
        cdk.CfnOutput(self, "Endpoint", value=name, description="The SageMaker endpoint of the GPU worker")
        cdk.CfnOutput(self, "WorkerImage", value=image.uri, description="What runs on it")
        cdk.CfnOutput(self, "Weights", value=weights_folder(gpu.models), description="Its models, in the bucket")

    def _topics(self, functions: Functions, data: DataStack, service: ServiceStack) -> tuple[sns.Topic, sns.Topic]:
        """Create the endpoint's topics for finished and failed work, with one function that subscribes to both."""
        success, failure = (sns.Topic(self, id, enforce_ssl=True) for id in ("Done", "Failed"))
        result = functions.add(
            "GpuResult",
            GPU_RESULT,
            {
                "JOBS_TABLE": data.jobs.name,
                "IMAGES_TABLE": data.images.name,
                "IMAGES_BUCKET": data.bucket.bucket_name,
                "JOBS_QUEUE_URL": service.job_queue.queue_url,
            },
            [
                grants.table(data.jobs, "GetItem"),
                grants.table(data.images, "BatchGetItem"),
                grants.allow(("sqs:SendMessage",), service.job_queue.queue_arn),
            ],
            never_lost=NEVER_LOST,
        )
        self.result = result.function
        for topic in (success, failure):
            result.function.add_event_source(sources.SnsEventSource(topic))
        for child in result.function.node.find_all():
            if isinstance(child, sns.CfnSubscription):
                acknowledge(child, {"Serverless-SNSRedrivePolicy": NEVER_LOST})
        return success, failure
