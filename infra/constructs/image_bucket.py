"""Defines the private bucket of images and uploads."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.acknowledge import acknowledge


class ImageBucket(Construct):
    """Accessible only over TLS, and only by pre-signed URLs or the functions' roles."""

    def __init__(
        self, scope: Construct, id: str, *, protected: bool, retention_days: int, cors_origins: Sequence[str]
    ) -> None:
        super().__init__(scope, id)
        day = cdk.Duration.days(1)
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            removal_policy=cdk.RemovalPolicy.RETAIN if protected else cdk.RemovalPolicy.DESTROY,
            server_access_logs_bucket=self._log_bucket() if protected else None,
            lifecycle_rules=[
                s3.LifecycleRule(id="images", prefix="images/", expiration=cdk.Duration.days(retention_days)),
                s3.LifecycleRule(id="variants", prefix="variants/", expiration=cdk.Duration.days(7)),
                s3.LifecycleRule(id="raw", prefix="raw/", expiration=cdk.Duration.days(2)),
                s3.LifecycleRule(id="async", prefix="async/", expiration=cdk.Duration.days(2)),
                s3.LifecycleRule(id="uploads", prefix="uploads/", expiration=day),
                s3.LifecycleRule(id="answers", prefix="answers/", expiration=day),
                s3.LifecycleRule(id="unfinished", abort_incomplete_multipart_upload_after=day),
            ],
            cors=[
                s3.CorsRule(
                    allowed_methods=[s3.HttpMethods.GET, s3.HttpMethods.HEAD, s3.HttpMethods.POST],
                    allowed_origins=list(cors_origins),
                    allowed_headers=["*"],
                    exposed_headers=["ETag", "Content-Length"],
                    max_age=3600,
                )
            ],
        )
        if not protected:
            reason = "Images of this environment are throw-away; a log bucket would fill up and block its removal."
            acknowledge(self.bucket, {"AwsSolutions-S1": reason})

    def _log_bucket(self) -> s3.Bucket:
        """Create the bucket of S3's access log, the only record of a download by pre-signed URL."""
        return s3.Bucket(
            self,
            "AccessLogs",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            removal_policy=cdk.RemovalPolicy.RETAIN,
            lifecycle_rules=[s3.LifecycleRule(id="logs", expiration=cdk.Duration.days(90))],
        )
