"""Builds permissions: one statement per resource, and per prefix of the bucket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aws_cdk import aws_iam as iam

from infra.constructs.table import Table
from infra.data_stack import DataStack

IMAGES = "images/*"
OBJECTS: Mapping[str, tuple[str, ...]] = {
    IMAGES: ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"),
    "variants/*": ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"),  # images as transformed on delivery
    "raw/*": ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"),  # a provider's raw answers
    "uploads/*": ("s3:GetObject", "s3:PutObject"),
    "answers/*": ("s3:GetObject", "s3:PutObject"),  # too large for the gateway
}
WEIGHTS = "weights/*"
# The objects that the service and the asynchronous endpoint exchange.
ASYNC: Mapping[str, tuple[str, ...]] = {
    "async/in/*": ("s3:PutObject",),
    "async/out/*": ("s3:GetObject",),
    "async/failed/*": ("s3:GetObject",),
}


def allow(actions: tuple[str, ...], *resources: str) -> iam.PolicyStatement:
    """Return a statement that allows the actions on the resources."""
    return iam.PolicyStatement(actions=list(actions), resources=list(resources))


def table(of: Table, *operations: str) -> iam.PolicyStatement:
    """Return a statement for operations on a table's items."""
    return allow(tuple(f"dynamodb:{operation}" for operation in operations), of.arn)


def query(of: Table) -> iam.PolicyStatement:
    """Return a statement for queries of a table and its indexes."""
    return allow(("dynamodb:Query",), of.arn, *of.index_arns)


def link_keys(of: Table) -> iam.PolicyStatement:
    """Return a statement for the keys that sign links, and for nothing else in the table of API keys."""
    statement = table(of, "GetItem", "PutItem")
    statement.add_condition("ForAllValues:StringLike", {"dynamodb:LeadingKeys": "link#*"})
    return statement


def objects(data: DataStack, prefixes: Mapping[str, tuple[str, ...]]) -> list[iam.PolicyStatement]:
    """Return a statement for each prefix of the bucket."""
    return [allow(actions, f"{data.bucket_arn}/{prefix}") for prefix, actions in prefixes.items()]


def list_weights(data: DataStack) -> iam.PolicyStatement:
    """Return a statement for listing the bucket's weights."""
    listing = allow(("s3:ListBucket",), data.bucket_arn)
    listing.add_condition("StringLike", {"s3:prefix": WEIGHTS})
    return listing


def accepted_findings(data: DataStack, prefixes: Iterable[str]) -> dict[str, str]:
    """Return cdk-nag's findings about the wildcards of prefixes, with the reason to accept them."""
    reason = "Objects under one prefix of one bucket; which tenant may see which is decided by the service."
    return {f"AwsSolutions-IAM5[Resource::{data.bucket_arn_export}/{prefix}]": reason for prefix in prefixes}
