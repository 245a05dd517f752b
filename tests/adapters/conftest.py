"""AWS in process, with the tables and the bucket as the template makes them."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from lambdas.adapters import aws

INDEXES = {"by_project": "project_key", "by_status": "status_key", "by_provider": "provider_key"}


@pytest.fixture
def cloud() -> Iterator[None]:
    with mock_aws():
        aws.client.cache_clear()
        aws._session.cache_clear()
        db = boto3.client("dynamodb")
        for table, indexes in (("jobs", INDEXES), ("images", {}), ("keys", {}), ("providers", {})):
            attributes = ["pk", "sk", *indexes.values()]
            db.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                KeySchema=_keys("pk"),
                AttributeDefinitions=[{"AttributeName": a, "AttributeType": "S"} for a in attributes],
                **(
                    {
                        "GlobalSecondaryIndexes": [
                            {"IndexName": n, "KeySchema": _keys(a), "Projection": {"ProjectionType": "KEYS_ONLY"}}
                            for n, a in indexes.items()
                        ]
                    }
                    if indexes
                    else {}
                ),
            )
        boto3.client("s3").create_bucket(
            Bucket="images", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        yield
    aws.client.cache_clear()
    aws._session.cache_clear()


def _keys(first: str) -> list[dict[str, str]]:
    return [{"AttributeName": first, "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
