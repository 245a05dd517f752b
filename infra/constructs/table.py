"""Defines a DynamoDB table of this service: string keys pk and sk, on-demand billing, point-in-time recovery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct


@dataclass(frozen=True, slots=True)
class Index:
    """A secondary index, ordered by `sk` within its hash attribute."""

    name: str
    hash_attribute: str
    projection: dynamodb.ProjectionType = dynamodb.ProjectionType.KEYS_ONLY


class Table(Construct):
    """`expires` enables the TTL attribute `expires_at`."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        protected: bool,
        expires: bool = False,
        indexes: Sequence[Index] = (),
    ) -> None:
        super().__init__(scope, id)
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=_string("pk"),
            sort_key=_string("sk"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.AWS_MANAGED,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            time_to_live_attribute="expires_at" if expires else None,
            deletion_protection=protected,
            removal_policy=cdk.RemovalPolicy.RETAIN if protected else cdk.RemovalPolicy.DESTROY,
        )
        for index in indexes:
            self.table.add_global_secondary_index(
                index_name=index.name,
                partition_key=_string(index.hash_attribute),
                sort_key=_string("sk"),
                projection_type=index.projection,
            )
        self.name = self.table.table_name
        self.arn = self.table.table_arn
        self.indexes = tuple(index.name for index in indexes)
        self.index_arns = [f"{self.arn}/index/{index.name}" for index in indexes]


def _string(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
