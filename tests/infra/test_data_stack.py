"""The data stack: properties of tables, bucket and secret that cdk-nag does not check."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.infra.conftest import Templates

TABLES = {
    "JobsTable": (True, {"by_project": "project_key", "by_status": "status_key", "by_provider": "provider_key"}),
    "ImagesTable": (True, {}),
    "ProjectsTable": (False, {}),
    "ProvidersTable": (True, {}),
    "KeysTable": (False, {"by_tenant": "tenant"}),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables(templates: Templates, name: str) -> None:
    expires, indexes = TABLES[name]
    tables = templates.properties("AWS::DynamoDB::Table")
    assert len(tables) == len(TABLES)
    [table] = [properties for id, properties in tables.items() if id.startswith(name)]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert keys(table["KeySchema"]) == ["pk", "sk"]
    assert ("TimeToLiveSpecification" in table) == expires
    if expires:
        assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    found = {index["IndexName"]: keys(index["KeySchema"]) for index in table.get("GlobalSecondaryIndexes", [])}
    assert found == {index: [attribute, "sk"] for index, attribute in indexes.items()}
    projections = {index["Projection"]["ProjectionType"] for index in table.get("GlobalSecondaryIndexes", [])}
    assert projections <= ({"ALL"} if name == "KeysTable" else {"KEYS_ONLY"})
    assert {attribute["AttributeType"] for attribute in table["AttributeDefinitions"]} == {"S"}


def keys(schema: list[dict[str, str]]) -> list[str]:
    return [key["AttributeName"] for key in schema]


def test_production_keeps_its_data(prod: Templates) -> None:
    for kind in ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SecretsManager::Secret"):
        for id, resource in prod.resources(kind).items():
            assert resource["DeletionPolicy"] == "Retain", id
            assert resource["UpdateReplacePolicy"] == "Retain", id
    assert all(table["DeletionProtectionEnabled"] for table in prod.properties("AWS::DynamoDB::Table").values())


def test_development_can_be_removed(dev: Templates) -> None:
    for kind in ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SecretsManager::Secret"):
        assert {resource["DeletionPolicy"] for resource in dev.resources(kind).values()} == {"Delete"}
    assert not any(table["DeletionProtectionEnabled"] for table in dev.properties("AWS::DynamoDB::Table").values())


def test_stacks_are_protected_from_deletion_only_in_production(dev: Templates, prod: Templates) -> None:
    def protection(templates: Templates) -> int:
        manifest = (templates.folder / "manifest.json").read_text("utf-8")
        return manifest.count('"terminationProtection": true')

    assert protection(prod) == 2
    assert protection(dev) == 0


def test_every_bucket_is_private_encrypted_and_reached_only_over_tls(templates: Templates) -> None:
    buckets = templates.properties("AWS::S3::Bucket")
    policies = {
        policy["Bucket"]["Ref"]: policy["PolicyDocument"]["Statement"]
        for policy in templates.properties("AWS::S3::BucketPolicy").values()
    }
    assert len(buckets) == (2 if templates.environment == "prod" else 1)
    for id, bucket in buckets.items():
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert bucket["BucketEncryption"]
        assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
        denied = [statement for statement in policies[id] if statement["Effect"] == "Deny"]
        assert [statement["Condition"] for statement in denied] == [
            {"Bool": {"aws:SecureTransport": "false"}},
            {"NumericLessThan": {"s3:TlsVersion": 1.2}},
        ]
        arn = {"Fn::GetAtt": [id, "Arn"]}
        for statement in denied:
            assert (statement["Action"], statement["Principal"]) == ("s3:*", {"AWS": "*"})
            assert statement["Resource"] == [arn, {"Fn::Join": ["", [arn, "/*"]]}]


def test_image_bucket(templates: Templates) -> None:
    [bucket] = [b for b in templates.properties("AWS::S3::Bucket").values() if "CorsConfiguration" in b]
    rules = {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}
    assert {name: (rule.get("Prefix"), rule.get("ExpirationInDays")) for name, rule in rules.items()} == {
        "images": ("images/", {"dev": 30, "prod": 365}[templates.environment]),
        "variants": ("variants/", 7),
        "raw": ("raw/", 2),
        "async": ("async/", 2),
        "uploads": ("uploads/", 1),
        "answers": ("answers/", 1),
        "unfinished": (None, None),
    }
    assert rules["unfinished"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert {rule["Status"] for rule in rules.values()} == {"Enabled"}
    assert ("LoggingConfiguration" in bucket) == (templates.environment == "prod")
    [cors] = bucket["CorsConfiguration"]["CorsRules"]
    assert cors["AllowedMethods"] == ["GET", "HEAD", "POST"]
    assert cors["AllowedOrigins"] == ["*"]


def test_images_and_their_records_end_together(templates: Templates, synthesised: Callable[..., Templates]) -> None:
    assert (
        templates.function("api")["Environment"]["Variables"]["JOB_RETENTION_DAYS"]
        == {
            "dev": "30",
            "prod": "365",
        }[templates.environment]
    )
    week = synthesised(templates.environment, JOB_RETENTION_DAYS="7", CORS_ALLOW_ORIGINS="https://a.example")
    [bucket] = [b for b in week.properties("AWS::S3::Bucket").values() if "CorsConfiguration" in b]
    assert bucket["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] == 7
    assert week.function("worker")["Environment"]["Variables"]["JOB_RETENTION_DAYS"] == "7"


def test_the_template_never_overwrites_the_keys_in_the_secret(templates: Templates) -> None:
    [secret] = templates.properties("AWS::SecretsManager::Secret").values()
    assert secret["SecretString"] == "{}"
