"""Defines the variables and permissions of functions that accept jobs, run them and store their images."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import aws_iam as iam

from infra import bedrock, grants
from infra.acknowledge import acknowledge
from infra.config import Environment
from infra.constructs.function import ServiceFunction
from infra.constructs.gpu.endpoint import endpoint_arn, endpoint_name
from infra.data_stack import DataStack


class Generation:
    """`variables` and `statements` of the API function and the worker.

    `gpu_mode` is the mode of the GPU endpoint in use; `gpu_endpoint` is its name.
    """

    def __init__(
        self, environment: Environment, settings: Mapping[str, str], data: DataStack, *, gpu_mode: str
    ) -> None:
        self.gpu_endpoint = None if gpu_mode == "off" else endpoint_name(environment.name, gpu_mode)
        self.variables = {
            "JOBS_TABLE": data.jobs.name,
            "IMAGES_TABLE": data.images.name,
            "PROJECTS_TABLE": data.projects.name,
            "PROVIDERS_TABLE": data.providers.name,
            "IMAGES_BUCKET": data.bucket.bucket_name,
            "WORKER_CONCURRENCY": str(environment.worker_concurrency),
            "PROVIDER_SECRET_ARN": data.secret.secret_arn,
            "JOB_RETENTION_DAYS": str(environment.retention_days),
            "BEDROCK": "1",
            "REQUIRE_API_KEY": "1",
            **({"SAGEMAKER_ENDPOINT": self.gpu_endpoint} if self.gpu_endpoint else {}),
            **({"SAGEMAKER_ASYNC": "1"} if gpu_mode == "async" else {}),
            **settings,
        }
        exchanged = grants.ASYNC if gpu_mode == "async" else {}
        self.statements = [
            grants.table(
                data.jobs, "GetItem", "BatchGetItem", "PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem"
            ),
            grants.query(data.jobs),
            grants.table(data.images, "GetItem", "BatchGetItem", "PutItem", "UpdateItem", "DeleteItem"),
            grants.query(data.images),
            grants.table(data.projects, "GetItem", "PutItem", "UpdateItem"),
            grants.query(data.projects),
            grants.table(data.providers, "GetItem", "BatchGetItem", "UpdateItem"),
            grants.query(data.providers),
            *grants.objects(data, grants.OBJECTS),
            grants.allow(("s3:ListBucket",), data.bucket_arn),  # else S3 answers 403 for a missing object, not 404
            grants.allow(("secretsmanager:GetSecretValue",), data.secret.secret_arn),
            *bedrock.invoke_models(settings),
            *_invoke_endpoint(self.gpu_endpoint, gpu_mode),
            *grants.objects(data, exchanged),
        ]
        self._accepted = grants.accepted_findings(data, (*grants.OBJECTS, *exchanged))
        self._accepted |= bedrock.accepted_findings(settings)

    def accept_findings(self, function: ServiceFunction) -> None:
        """Acknowledge the wildcards of `statements`, and no others, in a function that has them."""
        acknowledge(function.role, self._accepted)


def _invoke_endpoint(name: str | None, mode: str) -> list[iam.PolicyStatement]:
    if name is None:
        return []
    action = "sagemaker:InvokeEndpointAsync" if mode == "async" else "sagemaker:InvokeEndpoint"
    return [grants.allow((action,), endpoint_arn(name))]
