"""The operator's command for keys and webhook secrets: created, shown once, listed, revoked and rotated."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from standardwebhooks.webhooks import Webhook

from lambdas import manage_keys
from lambdas.adapters import aws
from lambdas.adapters.dynamodb.keyring import DynamoKeyRing
from lambdas.adapters.dynamodb.keys import DynamoKeys
from lambdas.adapters.dynamodb.link_keys import DynamoLinkKeys
from lambdas.adapters.webhooks.signer import StandardSigner
from lambdas.domain.api_keys import WebhookSecret, hash_of, new_key, new_webhook_secret
from local.settings import ROOT

NOW = 1_790_000_000.0
DAY = 86_400
KEY = re.compile(r"ik_[A-Za-z0-9_-]{43}")
SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{43}=")


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
    template = json.loads((ROOT / "local" / "templates" / "data.json").read_text("utf-8"))
    properties = template["Resources"][template["Outputs"]["KeysTable"]["Value"]["Ref"]]["Properties"]
    parts = ("KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes", "BillingMode")
    with mock_aws():
        aws.client.cache_clear()
        boto3.client("dynamodb").create_table(TableName="k", **{part: properties[part] for part in parts})
        client = boto3.Session.client

        def made(self: boto3.Session, service: str, **extra: Any) -> Any:
            return FakeCloudFormation("k") if service == "cloudformation" else client(self, service, **extra)

        monkeypatch.setattr(boto3.Session, "client", made)
        yield "k"
    aws.client.cache_clear()


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


def secret_in(table: str, tenant: str) -> WebhookSecret | None:
    return DynamoKeyRing(boto3.client("dynamodb"), table).webhook_secret(tenant)


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
    (tmp_path / "emulator.port").write_text("1", "utf-8")
    assert manage_keys.main(["list", "acme", "--data-dir", str(tmp_path)], {}, NOW) == 1
    assert "has no credentials of a local stack" in capsys.readouterr().err
    (tmp_path / "emulator.credentials").write_text(
        "[default]\naws_access_key_id = A\naws_secret_access_key = s\n", "utf-8"
    )
    assert manage_keys.main(["list", "acme", "--data-dir", str(tmp_path)], {}, NOW) == 1
    assert "does not answer" in capsys.readouterr().err


@pytest.mark.parametrize("grace", ["-1", "5 years", "", "1w"])
def test_a_grace_that_is_no_time(run: Any, grace: str) -> None:
    with pytest.raises(SystemExit):
        run("rotate", "key_1", f"--grace={grace}")


def test_a_secret_is_256_random_bits_as_the_libraries_take_it() -> None:
    secrets = {new_webhook_secret(NOW).value for _ in range(100)}
    assert len(secrets) == 100
    assert all(SECRET.fullmatch(secret) for secret in secrets)
    signed = Webhook(secrets.pop()).sign("msg_1", datetime.fromtimestamp(NOW, UTC), "{}")
    assert signed.startswith("v1,")


def test_the_first_key_brings_a_secret_that_is_shown_once(run: Any, table: str) -> None:
    status, out, err = run("create", "acme")
    assert status == 0
    assert KEY.fullmatch(out.strip())  # the standard output is the key alone
    [secret] = SECRET.findall(err)
    assert secret_in(table, "acme") == WebhookSecret(secret, NOW)
    _, _, again = run("create", "acme", at=NOW + 1)
    assert "whsec_" not in again
    assert secret_in(table, "acme") == WebhookSecret(secret, NOW)
    assert "whsec_" not in run("list", "acme")[1]
    assert SECRET.findall(run("create", "umbrella")[2]) != [secret]


def test_a_secret_is_no_key_and_is_not_listed_among_them(run: Any, table: str) -> None:
    run("webhook-secret", "acme")
    assert run("list", "acme") == (0, "", "The tenant acme has no keys.\n")


def test_keys_made_together_share_the_secret_of_the_first(
    run: Any, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = DynamoKeyRing.keep_webhook_secret

    def overtaken(ring: DynamoKeyRing, tenant: str, new: WebhookSecret, old: WebhookSecret | None) -> bool:
        assert keep(ring, tenant, WebhookSecret("whsec_" + "A" * 43 + "=", NOW), None)  # the other command's
        return keep(ring, tenant, new, old)

    monkeypatch.setattr(DynamoKeyRing, "keep_webhook_secret", overtaken)
    status, out, err = run("create", "acme")
    assert (status, SECRET.findall(err)) == (0, [])
    assert KEY.fullmatch(out.strip())
    kept = secret_in(table, "acme")
    assert kept and kept.value == "whsec_" + "A" * 43 + "="


def test_a_key_is_shown_also_when_its_secret_could_not_be_made(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> bool:
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "PutItem")

    monkeypatch.setattr(DynamoKeyRing, "keep_webhook_secret", refused)
    status, out, err = run("create", "acme")
    assert status == 0
    assert KEY.fullmatch(out.strip())
    assert "`webhook-secret` makes it" in err


def test_a_secret_is_made_where_there_is_none(run: Any, table: str) -> None:
    status, out, err = run("webhook-secret", "acme")
    assert status == 0
    assert SECRET.fullmatch(out.strip())
    assert secret_in(table, "acme") == WebhookSecret(out.strip(), NOW)
    assert out.strip() not in err
    assert "Is its name right?" in err
    run("create", "umbrella")
    assert "Is its name right?" not in run("webhook-secret", "umbrella")[2]


@pytest.mark.parametrize(("grace", "seconds"), [((), DAY), (("--grace", "30m"), 1800)])
def test_after_a_rotation_both_secrets_sign_for_a_while(
    run: Any, table: str, grace: tuple[str, ...], seconds: int
) -> None:
    old = run("webhook-secret", "acme")[1].strip()
    status, out, err = run("webhook-secret", "acme", *grace, at=NOW + 5)
    assert status == 0
    assert secret_in(table, "acme") == WebhookSecret(out.strip(), NOW + 5, old, NOW + 5 + seconds)
    assert "signs as well until 2026-" in err
    assert old not in out + err


def test_a_leaked_secret_ends_at_once(run: Any, table: str) -> None:
    old = run("webhook-secret", "acme")[1].strip()
    _, out, err = run("webhook-secret", "acme", "--grace", "0", at=NOW + 5)
    assert secret_in(table, "acme") == WebhookSecret(out.strip(), NOW + 5)
    assert old not in repr(boto3.client("dynamodb").scan(TableName=table)["Items"])
    assert "until" not in err


@pytest.mark.parametrize(("later", "told"), [(60, True), (DAY, False)])
def test_a_second_rotation_within_the_grace_says_that_the_oldest_ends(
    run: Any, table: str, later: int, told: bool
) -> None:
    run("webhook-secret", "acme")
    second = run("webhook-secret", "acme")[1].strip()
    third, err = run("webhook-secret", "acme", at=NOW + later)[1:]
    assert secret_in(table, "acme") == WebhookSecret(third.strip(), NOW + later, second, NOW + later + DAY)
    assert ("ahead of its time" in err) == told


def test_of_two_rotations_at_once_one_is_refused(run: Any, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run("webhook-secret", "acme")
    keep, others = DynamoKeyRing.keep_webhook_secret, WebhookSecret("whsec_" + "B" * 43 + "=", NOW)

    def overtaken(ring: DynamoKeyRing, tenant: str, new: WebhookSecret, old: WebhookSecret | None) -> bool:
        assert keep(ring, tenant, others, old)
        return keep(ring, tenant, new, old)

    monkeypatch.setattr(DynamoKeyRing, "keep_webhook_secret", overtaken)
    status, out, err = run("webhook-secret", "acme")
    assert (status, out) == (1, "")
    assert "nothing was done here" in err
    assert secret_in(table, "acme") == others


@pytest.mark.parametrize("tenant", ["", "ACME", "a#b", "a" * 64])
def test_a_secret_is_of_a_tenant_that_can_be(run: Any, tenant: str) -> None:
    status, out, err = run("webhook-secret", tenant)
    assert (status, out) == (1, "")
    assert "a tenant is" in err


@pytest.mark.parametrize(
    ("given", "kept", "tenant", "place"),
    [
        ("whsec_c2VjcmV0", "", "default", "WEBHOOK_SECRET"),
        ("acme:whsec_c2VjcmV0, default:b3RoZXI=", "", "acme", "WEBHOOK_SECRET"),
        ("", "acme:whsec_c2VjcmV0\ndefault:b3RoZXI=\n", "acme", "webhook.secrets"),
        ("acme:c2VjcmV0", "acme:whsec_c2VjcmV0\n", "acme", "WEBHOOK_SECRET"),
    ],
)
def test_where_the_local_run_signs_by_its_settings_the_table_gets_no_secret(
    table: str,
    capsys: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    given: str,
    kept: str,
    tenant: str,
    place: str,
) -> None:
    ring = DynamoKeyRing(boto3.client("dynamodb"), table)
    monkeypatch.setattr(manage_keys, "key_ring", lambda *_: ring)
    if kept:
        (tmp_path / "webhook.secrets").write_text(kept, "utf-8")
    here = ("--data-dir", str(tmp_path))
    assert manage_keys.main(["webhook-secret", tenant, *here], {"WEBHOOK_SECRET": given}, NOW) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert place in told.err
    assert manage_keys.main(["create", tenant, *here], {"WEBHOOK_SECRET": given}, NOW) == 0
    told = capsys.readouterr()
    assert KEY.fullmatch(told.out.strip())
    assert place in told.err
    assert "c2VjcmV0" not in told.err
    assert secret_in(table, tenant) is None
    assert manage_keys.main(["create", "umbrella", *here], {"WEBHOOK_SECRET": given}, NOW) == 0
    assert len(SECRET.findall(capsys.readouterr().err)) == 1


def test_a_deployed_stack_knows_nothing_of_the_local_secrets(table: str, capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "webhook.secrets").write_text("acme:whsec_c2VjcmV0\n", "utf-8")
    words = ["webhook-secret", "acme", "--stack", "dev", "--data-dir", str(tmp_path)]
    assert manage_keys.main(words, {"WEBHOOK_SECRET": "acme:c2VjcmV0"}, NOW) == 0
    assert SECRET.fullmatch(capsys.readouterr().out.strip())


def verifying(table: str, at: float, *secrets: str) -> list[bool]:
    """Which of the secrets verify what is signed at that time for the tenant acme."""
    signature = StandardSigner(table, {}).signature("acme", "msg_1", at, b"{}") or ""
    found = {part for part in signature.split(" ") if part}
    return [Webhook(secret).sign("msg_1", datetime.fromtimestamp(int(at), UTC), "{}") in found for secret in secrets]


def test_webhooks_are_signed_with_what_the_command_has_made(run: Any, table: str) -> None:
    [first] = SECRET.findall(run("create", "acme")[2])
    assert verifying(table, NOW, first) == [True]
    second = run("webhook-secret", "acme", "--grace", "1h", at=NOW + 5)[1].strip()
    assert verifying(table, NOW + 6, first, second) == [True, True]
    assert verifying(table, NOW + 5 + 3600, first, second) == [False, True]
    third = run("webhook-secret", "acme", "--grace", "0", at=NOW + 7)[1].strip()
    assert verifying(table, NOW + 8, first, second, third) == [False, False, True]


def link_keys_in(table: str) -> DynamoLinkKeys:
    return DynamoLinkKeys(table, boto3.client("dynamodb"))


def test_6_6_a_link_secret_is_shown_once_and_replaced_with_both_valid_for_a_week(run: Any, table: str) -> None:
    run("create", "acme")
    status, out, err = run("link-secret", "acme")
    kid, secret = out.strip().split(".")
    assert (status, "shown this once" in err, secret in err) == (0, True, False)
    first = link_keys_in(table).of("acme", NOW)
    assert (first.kid, first.secret, first.until) == (kid, secret, None)
    status, out, err = run("link-secret", "acme", at=NOW + 5)
    assert (status, out.startswith("lk_"), "work until 2026-09-28" in err) == (0, True, True)
    assert link_keys_in(table).of("acme", NOW).kid == out.partition(".")[0] != kid
    old = link_keys_in(table).get(kid)
    assert old and old.until == NOW + 5 + 7 * DAY
    run("link-secret", "acme", "--grace", "0", at=NOW + 9)
    ended = link_keys_in(table).get(out.partition(".")[0])
    assert ended and not ended.valid(NOW + 9)


def test_6_6_a_link_secret_of_a_tenant_that_may_not_be(run: Any, table: str) -> None:
    assert "Is its name right?" in run("link-secret", "acme")[2]
    status, out, err = run("link-secret", "Acme/..")
    assert (status, out) == (1, "")
    assert "a tenant is" in err
    assert run("list", "acme") == (0, "", "The tenant acme has no keys.\n")


def test_6_6_a_link_secret_that_another_command_has_just_changed(
    run: Any, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DynamoLinkKeys, "replace", lambda *_: False)
    status, out, err = run("link-secret", "acme")
    assert (status, out) == (1, "")
    assert "Another command has just changed" in err
