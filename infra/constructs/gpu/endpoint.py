"""Defines the SageMaker endpoint of the GPU worker."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.config import Gpu
from infra.constructs.gpu.roles import endpoint_role
from infra.constructs.gpu.worker_image import WorkerImage
from infra.data_stack import DataStack

VARIANT = "worker"
AMI = "al2023-ami-sagemaker-inference-gpu-4-1"  # driver 580, for the CUDA 13 of the worker's torch; the default has 470
PROVISION_SECONDS = 1200  # for SageMaker to find an instance, of any of the types
DOWNLOAD_SECONDS = 1800  # for some 15 GB of weights
STARTUP_SECONDS = 1800  # for loading the first model and recording its CUDA graphs
ANSWER_SECONDS = {"async": 300, "realtime": 55}  # SageMaker itself ends a synchronous call after 60


def endpoint_name(environment: str, mode: str) -> str:
    """Return the name; it has the mode, as an endpoint of one kind cannot become one of the other."""
    return f"image-api-{environment}-{mode}"


def endpoint_arn(name: str) -> str:
    return f"arn:{cdk.Aws.PARTITION}:sagemaker:{cdk.Aws.REGION}:{cdk.Aws.ACCOUNT_ID}:endpoint/{name}"


class GpuEndpoint(Construct):
    """The endpoint; with `topics` (of successes and of failures) an asynchronous one."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        mode: str,
        gpu: Gpu,
        image: WorkerImage,
        data: DataStack,
        settings: Mapping[str, str],
        log_retention: logs.RetentionDays,
        topics: tuple[sns.Topic, sns.Topic] | None,
    ) -> None:
        super().__init__(scope, id)
        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/sagemaker/Endpoints/{name}",
            retention=log_retention,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        role, *policies = endpoint_role(self, data, image.repository, log_group, topics)
        model = sagemaker.CfnModel(
            self,
            "Model",
            execution_role_arn=role.role_arn,
            enable_network_isolation=True,  # SageMaker provides the weights, and nothing else is needed
            primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(
                image=image.uri,
                model_data_source=sagemaker.CfnModel.ModelDataSourceProperty(
                    s3_data_source=sagemaker.CfnModel.S3DataSourceProperty(
                        s3_uri=f"{image.weights}/",
                        s3_data_type="S3Prefix",
                        compression_type="None",  # unpacking would take longer than the download
                    )
                ),
                environment=_container(mode, gpu, settings),
            ),
        )
        model.node.add_dependency(image.built, role, *policies)
        config = sagemaker.CfnEndpointConfig(
            self,
            "Config",
            production_variants=[
                sagemaker.CfnEndpointConfig.ProductionVariantProperty(
                    variant_name=VARIANT,
                    model_name=model.attr_model_name,
                    initial_instance_count=1,  # the minimum; so that a deployment shows whether the worker starts
                    instance_pools=[
                        sagemaker.CfnEndpointConfig.InstancePoolProperty(instance_type=kind, priority=rank)
                        for rank, kind in enumerate(gpu.instance_types, start=1)
                    ],
                    inference_ami_version=AMI,
                    variant_instance_provision_timeout_in_seconds=PROVISION_SECONDS,
                    model_data_download_timeout_in_seconds=DOWNLOAD_SECONDS,
                    container_startup_health_check_timeout_in_seconds=STARTUP_SECONDS,
                )
            ],
            async_inference_config=_asynchronous(data, gpu, *topics) if topics else None,
            # by default SageMaker would copy the worker's own /metrics to CloudWatch, each series paid by the month
            metrics_config=sagemaker.CfnEndpointConfig.MetricsConfigProperty(
                enable_detailed_observability=False, enable_enhanced_metrics=False
            ),
        )
        self.endpoint = sagemaker.CfnEndpoint(
            self,
            "Endpoint",
            endpoint_name=name,
            endpoint_config_name=config.attr_endpoint_config_name,
            # keeps the number of instances after an update, instead of one
            retain_all_variant_properties=mode == "realtime",
        )
        self.endpoint.node.add_dependency(log_group)


def _container(mode: str, gpu: Gpu, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the worker's own settings, see gpu_worker/settings.py."""
    environment = {
        "DEFAULT_MODEL": gpu.models[0],
        "ALLOWED_MODELS": ",".join(gpu.models),
        "BUCKETS": str(gpu.batch),
        "GENERATION_TIMEOUT_SECONDS": str(ANSWER_SECONDS[mode]),
        "WEIGHTS_HUB": "0",
        "LOG_LEVEL": settings.get("LOG_LEVEL", "INFO"),
    }
    if "MAX_MODELS_CACHE" in settings:
        environment["MAX_MODELS_CACHE"] = settings["MAX_MODELS_CACHE"]
    return environment


def _asynchronous(
    data: DataStack, gpu: Gpu, success: sns.Topic, failure: sns.Topic
) -> sagemaker.CfnEndpointConfig.AsyncInferenceConfigProperty:
    out, failed = (f"s3://{data.bucket.bucket_name}/async/{part}/" for part in ("out", "failed"))
    return sagemaker.CfnEndpointConfig.AsyncInferenceConfigProperty(
        client_config=sagemaker.CfnEndpointConfig.AsyncInferenceClientConfigProperty(
            max_concurrent_invocations_per_instance=gpu.batch
        ),
        output_config=sagemaker.CfnEndpointConfig.AsyncInferenceOutputConfigProperty(
            s3_output_path=out,
            s3_failure_path=failed,
            notification_config=sagemaker.CfnEndpointConfig.AsyncInferenceNotificationConfigProperty(
                success_topic=success.topic_arn, error_topic=failure.topic_arn
            ),
        ),
    )
