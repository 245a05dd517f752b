"""Fixtures: moto with the tables and the bucket of the template."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.dynamodb.models import DynamoDBBackend

from lambdas.adapters import aws

INDEXES = {"by_project": "project_key", "by_status": "status_key", "by_provider": "provider_key"}


@pytest.fixture
def cloud() -> Iterator[None]:
    with aws_in_process():
        yield


@contextmanager
def aws_in_process() -> Iterator[None]:
    """The tables and the bucket, empty."""
    with mock_aws():
        aws.client.cache_clear()
        db = boto3.client("dynamodb")
        for table, indexes in (("jobs", INDEXES), ("images", {}), ("keys", {}), ("providers", {}), ("projects", {})):
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


def _keys(first: str) -> list[dict[str, str]]:
    return [{"AttributeName": first, "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]


@pytest.fixture
def serial(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulation writes in steps (a failed transaction puts back a copy of the table), so the threads take turns."""
    lock = threading.RLock()

    def one_at_a_time(real: Any) -> Any:
        def write(*args: Any, **kwargs: Any) -> Any:
            with lock:
                return real(*args, **kwargs)

        return write

    for write in ("transact_write_items", "update_item", "put_item", "get_item"):
        monkeypatch.setattr(DynamoDBBackend, write, one_at_a_time(getattr(DynamoDBBackend, write)))
