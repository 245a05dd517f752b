"""Whose key is this?"""

from __future__ import annotations

import hashlib

import pytest

from lambdas.settings import Settings
from lambdas.usecases.authenticate import Finding, find_tenant


class Stored:
    def tenant_of(self, key_hash: str) -> str | None:
        return "acme" if key_hash == hashlib.sha256(b"stored").hexdigest() else None


GIVEN = Settings(api_key=("solo",), api_keys=("umbrella:secret", "plain")).local_keys


@pytest.mark.parametrize(
    ("headers", "finding"),
    [
        ({}, Finding("missing")),
        ({"x-api-key": ""}, Finding("missing")),
        ({"authorization": "Basic c29sbw=="}, Finding("missing")),
        ({"authorization": "Bearer"}, Finding("missing")),
        ({"x-api-key": "solo"}, Finding("ok", "default")),
        ({"x-api-key": "plain"}, Finding("ok", "default")),
        ({"x-api-key": "secret"}, Finding("ok", "umbrella")),
        ({"authorization": "Bearer secret"}, Finding("ok", "umbrella")),
        ({"authorization": "bearer stored"}, Finding("ok", "acme")),
        ({"x-api-key": "umbrella:secret"}, Finding("unknown")),
        ({"x-api-key": "wrong"}, Finding("unknown")),
        ({"x-api-key": "schlüssel"}, Finding("unknown")),
    ],
)
def test_both_headers_mean_the_same(headers: dict[str, str], finding: Finding) -> None:
    assert find_tenant(headers, GIVEN, Stored(), judged=True) == finding


def test_where_no_keys_exist_and_none_is_needed_any_key_will_do() -> None:
    assert find_tenant({"x-api-key": "any"}, {}, Stored(), judged=False) == Finding("missing")
    assert find_tenant({"x-api-key": "any"}, {}, Stored(), judged=True) == Finding("unknown")
    assert find_tenant({"x-api-key": "any"}, GIVEN, Stored(), judged=False) == Finding("unknown")
