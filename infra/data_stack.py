"""Defines the stack of everything that must outlive a deployment: tables, images and the providers' keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from infra.config import Environment
from infra.constructs.image_bucket import ImageBucket
from infra.constructs.provider_secret import ProviderSecret
from infra.constructs.table import Index, Table


class DataStack(cdk.Stack):
    """Five tables, the image bucket and the provider secret."""

    def __init__(
        self, scope: Construct, id: str, *, environment: Environment, settings: Mapping[str, str], **kwargs: Any
    ) -> None:
        super().__init__(scope, id, termination_protection=environment.protected, **kwargs)
        protected = environment.protected
        self.jobs = Table(
            self,
            "Jobs",
            protected=protected,
            expires=True,
            indexes=(
                Index("by_project", "project_key"),
                Index("by_status", "status_key"),
                Index("by_provider", "provider_key"),
            ),
        )
        self.images = Table(self, "Images", protected=protected, expires=True)
        self.projects = Table(self, "Projects", protected=protected)
        self.providers = Table(self, "Providers", protected=protected, expires=True)
        self.keys = Table(
            self,
            "Keys",
            protected=protected,
            indexes=(Index("by_tenant", "tenant", projection=dynamodb.ProjectionType.ALL),),
        )
        self.tables = {
            "jobs": self.jobs,
            "images": self.images,
            "projects": self.projects,
            "providers": self.providers,
            "keys": self.keys,
        }
        self.bucket = ImageBucket(
            self,
            "ImageBucket",
            protected=protected,
            retention_days=int(settings.get("JOB_RETENTION_DAYS", environment.retention_days)),
            cors_origins=origins(environment, settings),
        ).bucket
        # exported under a chosen name, because the finding that grants.py acknowledges contains it
        self.bucket_arn_export = f"{self.stack_name}:ImageBucketArn"
        self.bucket_arn = self.export_value(self.bucket.bucket_arn, name=self.bucket_arn_export)
        self.secret = ProviderSecret(self, "ProviderSecret", protected=protected).secret
        cdk.CfnOutput(self, "JobsTable", value=self.jobs.name, description="Where jobs and their sums are kept")
        cdk.CfnOutput(self, "KeysTable", value=self.keys.name, description="Where API keys are kept, as hashes")
        cdk.CfnOutput(self, "ImagesBucket", value=self.bucket.bucket_name, description="Empty it before deleting it")
        cdk.CfnOutput(self, "Secret", value=self.secret.secret_arn, description="Put the providers' keys here")


def origins(environment: Environment, settings: Mapping[str, str]) -> list[str]:
    """Return the CORS origins: those of CORS_ALLOW_ORIGINS, else the environment's."""
    given = [part.strip() for part in settings.get("CORS_ALLOW_ORIGINS", "").split(",") if part.strip()]
    return given or list(environment.cors_origins)
