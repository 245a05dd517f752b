"""The keys that sign links, in DynamoDB: made once for a tenant, replaced with both valid, read with a short cache."""

from __future__ import annotations

import time

import boto3
import pytest

from lambdas.adapters.dynamodb import link_keys
from lambdas.adapters.dynamodb.link_keys import DynamoLinkKeys
from lambdas.domain.errors import Unavailable
from lambdas.domain.links import LinkKey, new_link_key

NOW = 1_790_000_000.0
pytestmark = pytest.mark.usefixtures("cloud")


def test_6_6_a_tenants_first_key_is_made_once() -> None:
    one, other = DynamoLinkKeys("keys"), DynamoLinkKeys("keys")
    assert one.current("acme") is None
    made = one.of("acme", NOW)
    assert (made.tenant, made.until, len(made.secret)) == ("acme", None, 43)
    assert other.of("acme", NOW + 1) == one.get(made.kid) == made
    assert other.of("umbrella", NOW).kid != made.kid


def test_6_6_two_requests_that_make_the_first_key_together_get_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = DynamoLinkKeys("keys")
    theirs = new_link_key("acme", NOW)
    current = DynamoLinkKeys.current

    def overtaken(self: DynamoLinkKeys, tenant: str) -> LinkKey | None:
        monkeypatch.setattr(DynamoLinkKeys, "current", current)
        assert DynamoLinkKeys("keys").replace(None, theirs, 0.0)
        return None

    monkeypatch.setattr(DynamoLinkKeys, "current", overtaken)
    assert keys.of("acme", NOW) == theirs


def test_a_key_that_cannot_be_made_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DynamoLinkKeys, "replace", lambda *_: False)
    with pytest.raises(Unavailable):
        DynamoLinkKeys("keys").of("acme", NOW)


def test_6_6_a_replaced_key_has_an_end_and_a_second_replacement_does_not_change_it() -> None:
    keys = DynamoLinkKeys("keys")
    first, second, third = keys.of("acme", NOW), new_link_key("acme", NOW), new_link_key("acme", NOW)
    assert keys.replace(first, second, NOW + 100)
    assert not keys.replace(first, third, NOW)  # somebody else was faster
    assert keys.of("acme", NOW) == second
    assert keys.replace(second, third, NOW + 7)
    fresh = DynamoLinkKeys("keys")
    ends = [key and key.until for key in map(fresh.get, (first.kid, second.kid, third.kid))]
    assert ends == [NOW + 100, NOW + 7, None]
    assert fresh.get("lk_0000000000000000") is None


def test_a_key_is_read_once_in_half_a_minute_and_unknown_ones_do_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = DynamoLinkKeys("keys")
    made = keys.of("acme", NOW)
    assert keys.get(made.kid) == made
    boto3.client("dynamodb").delete_item(TableName="keys", Key={"pk": {"S": f"link#{made.kid}"}, "sk": {"S": "link"}})
    assert keys.get(made.kid) == made
    later = time.monotonic() + link_keys.CACHE_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert keys.get(made.kid) is None
    monkeypatch.setattr(link_keys, "CACHED", 3)
    for number in range(9):
        keys.get(f"lk_{number}")
    assert len(keys._seen) <= 3


def test_every_item_begins_as_the_roles_condition_says() -> None:
    keys = DynamoLinkKeys("keys")
    keys.replace(keys.of("acme", NOW), new_link_key("acme", NOW), NOW)
    rows = boto3.client("dynamodb").scan(TableName="keys")["Items"]
    assert len(rows) == 3
    assert all(row["pk"]["S"].startswith("link#") for row in rows)
