"""Defines the alarms of the GPU endpoint: instances that run without work, and work that waits without instances."""

from __future__ import annotations

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.config import Gpu
from infra.constructs.alarm import FIVE_MINUTES, add_alarm
from infra.constructs.gpu.endpoint import VARIANT


class GpuAlarms(Construct):
    """Alarms that notify the service's own topic."""

    def __init__(self, scope: Construct, id: str, *, name: str, mode: str, gpu: Gpu, topic: sns.ITopic) -> None:
        super().__init__(scope, id)
        idle = cloudwatch.MathExpression(
            expression="IF(instances > 0 AND FILL(painted, 0) == 0, 1, 0)",
            using_metrics={"instances": instances(name), "painted": painted(name)},
            period=FIVE_MINUTES,
            label="runs for nothing",
        )
        add_alarm(
            self,
            "Idle",
            f"A GPU instance has run for {gpu.idle_minutes} minutes without work, and is paid by the second.",
            "gpu-idle",
            idle,
            topic,
            periods=max(1, gpu.idle_minutes // 5),
        )
        if mode == "async":
            add_alarm(
                self,
                "Asleep",
                f"Work has waited for {gpu.asleep_minutes} minutes and no GPU instance has come.",
                "gpu-asleep",
                backlog(name, "HasBacklogWithoutCapacity", "Minimum"),
                topic,
                periods=max(1, gpu.asleep_minutes // 5),
            )


def instances(name: str) -> cloudwatch.Metric:
    """Return instances x minutes: each instance reports its CPU once a minute, so in five minutes five times."""
    return _of_variant("/aws/sagemaker/Endpoints", "CPUUtilization", name, "SampleCount", "instances x minutes")


def painted(name: str) -> cloudwatch.Metric:
    """Return the number of answered requests. `Invocations` does not exist for asynchronous endpoints."""
    return _of_variant("AWS/SageMaker", "ModelLatency", name, "SampleCount", "answered")


def backlog(name: str, metric: str, statistic: str) -> cloudwatch.Metric:
    """Return a metric of an asynchronous endpoint's queue."""
    return cloudwatch.Metric(
        namespace="AWS/SageMaker",
        metric_name=metric,
        dimensions_map={"EndpointName": name},
        statistic=statistic,
        period=FIVE_MINUTES,
    )


def _of_variant(namespace: str, metric: str, name: str, statistic: str, label: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=namespace,
        metric_name=metric,
        dimensions_map={"EndpointName": name, "VariantName": VARIANT},
        statistic=statistic,
        period=FIVE_MINUTES,
        label=label,
    )
