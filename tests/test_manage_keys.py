"""The operator's keys: made, shown once, found by their hash alone, listed, ended and replaced."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from lambdas import manage_keys
from lambdas.adapters import aws
from lambdas.adapters.dynamodb_keyring import DynamoKeyRing
from lambdas.adapters.dynamodb_keys import DynamoKeys
from lambdas.domain.api_keys import hash_of, new_key
from local.settings import ROOT

NOW = 1_790_000_000.0
DAY = 86_400
KEY = re.compile(r"ik_[A-Za-z0-9_-]{43}")


class FakeCloudFormation:
    """Knows the one deployed stack."""

    def __init__(self, table: str) -> None:
        self.table = table

    def describe_stacks(self, StackName: str) -> dict[str, Any]:
        if StackName != "image-api-dev-data":
            error = {"Code": "ValidationError", "Message": f"Stack with id {StackName} does not exist"}
            raise ClientError({"Error": error}, "DescribeStacks")
        return {"Stacks": [{"Outputs": [{"OutputKey": "KeysTable", "OutputValue": self.table}]}]}


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The table of keys as the template makes it."""
    template = json.loads((ROOT / "local" / "templates" / "data.json").read_text())
    properties = template["Resources"][template["Outputs"]["KeysTable"]["Value"]["Ref"]]["Properties"]
    parts = ("KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes", "BillingMode")
    with mock_aws():
        aws.client.cache_clear()
        aws._session.cache_clear()
        boto3.client("dynamodb").create_table(TableName="k", **{part: properties[part] for part in parts})
        client = boto3.Session.client

        def made(self: boto3.Session, service: str, **extra: Any) -> Any:
            return FakeCloudFormation("k") if service == "cloudformation" else client(self, service, **extra)

        monkeypatch.setattr(boto3.Session, "client", made)
        yield "k"
    aws.client.cache_clear()
    aws._session.cache_clear()


@pytest.fixture
def run(table: str, capsys: pytest.CaptureFixture[str]) -> Any:
    def command(*arguments: str, at: float = NOW) -> tuple[int, str, str]:
        status = manage_keys.main([arguments[0], "--stack", "dev", *arguments[1:]], {}, at)
        told = capsys.readouterr()
        return status, told.out, told.err

    return command


def id_in(text: str) -> str:
    found = re.search(r"key_[0-9a-f]{12}", text)
    assert found
    return found[0]


def tenant_of(table: str, key: str, at: float, monkeypatch: pytest.MonkeyPatch) -> str | None:
    with monkeypatch.context() as m:
        m.setattr(time, "time", lambda: at)
        return DynamoKeys(table).tenant_of(hash_of(key))


def test_a_key_is_256_random_bits() -> None:
    keys = {new_key("acme", "", NOW)[0] for _ in range(100)}
    assert len(keys) == 100
    assert all(KEY.fullmatch(key) for key in keys)


@pytest.mark.parametrize("tenant", ["", "ACME", "a b", "a#b", "-a", "a/b", "a" * 64, "a\n"])
def test_a_tenant_has_a_name_that_keys_can_begin_with(tenant: str, run: Any) -> None:
    status, out, err = run("create", "--", tenant) if tenant.startswith("-") else run("create", tenant)
    assert (status, out) == (1, "")
    assert "a tenant is" in err


def test_a_key_is_shown_once_and_kept_as_a_hash(run: Any, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, err = run("create", "acme", "--name", "laptop")
    key = out.strip()
    assert status == 0
    assert KEY.fullmatch(key)
    kept = repr(boto3.client("dynamodb").scan(TableName=table)["Items"])
    assert hash_of(key) in kept
    assert key not in kept + err
    assert key[3:20] not in kept
    assert tenant_of(table, key, NOW, monkeypatch) == "acme"
    assert tenant_of(table, id_in(err), NOW, monkeypatch) is None
    assert tenant_of(table, hash_of(key), NOW, monkeypatch) is None


def test_the_list_holds_a_tenants_own_keys_oldest_first(run: Any) -> None:
    assert run("list", "acme") == (0, "", "The tenant acme has no keys.\n")
    first = run("create", "acme", "--name", "first key")[1].strip()
    second = run("create", "acme", at=NOW + 1)[1].strip()
    run("create", "umbrella")
    status, out, _ = run("list", "acme")
    lines = out.splitlines()
    assert status == 0
    assert [line.split()[1] for line in lines[1:]] == [f"...{first[-4:]}", f"...{second[-4:]}"]
    assert lines[1].endswith("valid  first key")
    assert first not in out


def test_a_revoked_key_is_none(run: Any, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, out, err = run("create", "acme")
    key, key_id = out.strip(), id_in(err)
    status, out, err = run("revoke", key_id, at=NOW + 5)
    assert (status, out) == (0, "")
    assert "within 30 seconds" in err
    assert tenant_of(table, key, NOW + 5, monkeypatch) is None
    assert "revoked" in run("list", "acme", at=NOW + 6)[1]
    assert run("revoke", key_id, at=NOW + 99)[0] == 0  # again: the first time stands
    ring = DynamoKeyRing(boto3.client("dynamodb"), table)
    found = ring.find(key_id)
    assert found and found.revoked_at == NOW + 5


@pytest.mark.parametrize("verb", ["revoke", "rotate"])
def test_a_key_that_is_not_there(run: Any, verb: str) -> None:
    status, out, err = run(verb, "key_000000000000")
    assert (status, out) == (1, "")
    assert "no key key_000000000000" in err


@pytest.mark.parametrize(("grace", "seconds"), [((), DAY), (("--grace", "30m"), 1800), (("--grace", "0"), 0)])
def test_a_rotation_leaves_both_valid_for_a_while(
    run: Any, table: str, monkeypatch: pytest.MonkeyPatch, grace: tuple[str, ...], seconds: int
) -> None:
    _, out, err = run("create", "acme", "--name", "site")
    old, old_id = out.strip(), id_in(err)
    status, out, _ = run("rotate", old_id, *grace)
    new = out.strip()
    assert status == 0
    assert KEY.fullmatch(new)
    if seconds:
        assert tenant_of(table, old, NOW + seconds - 1, monkeypatch) == "acme"
    assert tenant_of(table, old, NOW + seconds, monkeypatch) is None
    assert tenant_of(table, new, NOW + seconds, monkeypatch) == "acme"
    listed = run("list", "acme", at=NOW + seconds + 1)[1]
    assert listed.count("site") == 2
    assert run("rotate", old_id, at=NOW + seconds)[0] == 1
    assert run("revoke", old_id, at=NOW - 1)[0] == 0  # sooner than the rotation said
    assert tenant_of(table, old, NOW, monkeypatch) is None


def test_what_a_hand_wrote_as_revoked_is_revoked(run: Any, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    key = run("create", "acme")[1].strip()
    boto3.client("dynamodb").update_item(
        TableName=table,
        Key={"pk": {"S": hash_of(key)}, "sk": {"S": "key"}},
        UpdateExpression="SET revoked_at = :yes",
        ExpressionAttributeValues={":yes": {"S": "yes"}},
    )
    assert tenant_of(table, key, NOW, monkeypatch) is None


def test_a_stack_that_is_not_there_is_said_in_a_sentence(run: Any, capsys: Any, tmp_path: Path) -> None:
    assert manage_keys.main(["list", "acme", "--stack", "prod"], {}, NOW) == 1
    assert "The stack prod could not be reached" in capsys.readouterr().err
    assert manage_keys.main(["list", "acme"], {"DATA_DIR": str(tmp_path)}, NOW) == 1
    assert "make run" in capsys.readouterr().err


def test_a_local_stack_that_has_ended_is_said_in_a_sentence(capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "emulator.port").write_text("1")
    assert manage_keys.main(["list", "acme", "--data-dir", str(tmp_path)], {}, NOW) == 1
    assert "does not answer" in capsys.readouterr().err


@pytest.mark.parametrize("grace", ["-1", "5 years", "", "1w"])
def test_a_grace_that_is_no_time(run: Any, grace: str) -> None:
    with pytest.raises(SystemExit):
        run("rotate", "key_1", f"--grace={grace}")
