"""Scales the instances of the GPU endpoint; an asynchronous one without requests has none."""

from __future__ import annotations

from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.config import Gpu
from infra.constructs.alarm import described
from infra.constructs.gpu.endpoint import VARIANT, GpuEndpoint

SPACE = "AWS/SageMaker"
SCALE_IN_SECONDS = 600  # until an instance without work is removed
SCALE_OUT_SECONDS = 300  # for a new instance to get ready; no other is requested meanwhile


class GpuScaling(Construct):
    """Target tracking, and for an asynchronous endpoint the step from none to one, which tracking cannot make."""

    def __init__(self, scope: Construct, id: str, *, endpoint: GpuEndpoint, name: str, mode: str, gpu: Gpu) -> None:
        super().__init__(scope, id)
        self._target = scaling.CfnScalableTarget(
            self,
            "Target",
            service_namespace="sagemaker",
            scalable_dimension="sagemaker:variant:DesiredInstanceCount",
            resource_id=f"endpoint/{name}/variant/{VARIANT}",
            min_capacity=0 if mode == "async" else 1,
            max_capacity=gpu.max_instances,
        )
        self._target.add_resource_dependency(endpoint.endpoint)
        if mode == "realtime":
            self._track(
                float(gpu.batch),  # concurrent requests: as many as are painted at once
                predefined=scaling.CfnScalingPolicy.PredefinedMetricSpecificationProperty(
                    predefined_metric_type="SageMakerVariantConcurrentRequestsPerModelHighResolution"
                ),
            )
            return
        dimensions = [scaling.CfnScalingPolicy.MetricDimensionProperty(name="EndpointName", value=name)]
        self._track(
            2.0 * gpu.batch,  # one batch being painted and one waiting
            customized=scaling.CfnScalingPolicy.CustomizedMetricSpecificationProperty(
                namespace=SPACE,
                metric_name="ApproximateBacklogSizePerInstance",
                dimensions=dimensions,
                statistic="Average",
            ),
        )
        self._wake(name)

    def _track(
        self,
        target: float,
        *,
        predefined: scaling.CfnScalingPolicy.PredefinedMetricSpecificationProperty | None = None,
        customized: scaling.CfnScalingPolicy.CustomizedMetricSpecificationProperty | None = None,
    ) -> None:
        scaling.CfnScalingPolicy(
            self,
            "Tracking",
            policy_name="tracking",
            policy_type="TargetTrackingScaling",
            scaling_target_id=self._target.ref,
            target_tracking_scaling_policy_configuration=(
                scaling.CfnScalingPolicy.TargetTrackingScalingPolicyConfigurationProperty(
                    target_value=target,
                    predefined_metric_specification=predefined,
                    customized_metric_specification=customized,
                    scale_in_cooldown=SCALE_IN_SECONDS,
                    scale_out_cooldown=SCALE_OUT_SECONDS,
                )
            ),
        )

    def _wake(self, name: str) -> None:
        policy = scaling.CfnScalingPolicy(
            self,
            "Wake",
            policy_name="wake",
            policy_type="StepScaling",
            scaling_target_id=self._target.ref,
            step_scaling_policy_configuration=scaling.CfnScalingPolicy.StepScalingPolicyConfigurationProperty(
                adjustment_type="ChangeInCapacity",
                metric_aggregation_type="Average",
                cooldown=SCALE_OUT_SECONDS,
                step_adjustments=[
                    scaling.CfnScalingPolicy.StepAdjustmentProperty(metric_interval_lower_bound=0, scaling_adjustment=1)
                ],
            ),
        )
        cloudwatch.CfnAlarm(
            self,
            "Waiting",
            alarm_description=described("Work waits and no instance runs: the endpoint is woken.", "gpu-waiting"),
            namespace=SPACE,
            metric_name="HasBacklogWithoutCapacity",
            dimensions=[cloudwatch.CfnAlarm.DimensionProperty(name="EndpointName", value=name)],
            statistic="Average",
            period=60,
            evaluation_periods=1,
            threshold=1,
            comparison_operator="GreaterThanOrEqualToThreshold",
            treat_missing_data="missing",
            alarm_actions=[policy.ref],
        )
