"""Authentication: the tenant of a key."""

from __future__ import annotations

import hashlib

import pytest

from lambdas.settings import Settings
from lambdas.usecases.authenticate import AuthResult, authenticate


class Stored:
    def tenant_of(self, key_hash: str) -> str | None:
        return "acme" if key_hash == hashlib.sha256(b"stored").hexdigest() else None


GIVEN = Settings(api_key=("solo",), api_keys=("umbrella:secret", "plain")).local_keys


@pytest.mark.parametrize(
    ("headers", "finding"),
    [
        ({}, AuthResult("missing")),
        ({"x-api-key": ""}, AuthResult("missing")),
        ({"authorization": "Basic c29sbw=="}, AuthResult("missing")),
        ({"authorization": "Bearer"}, AuthResult("missing")),
        ({"x-api-key": "solo"}, AuthResult("ok", "default")),
        ({"x-api-key": "plain"}, AuthResult("ok", "default")),
        ({"x-api-key": "secret"}, AuthResult("ok", "umbrella")),
        ({"authorization": "Bearer secret"}, AuthResult("ok", "umbrella")),
        ({"authorization": "bearer stored"}, AuthResult("ok", "acme")),
        ({"x-api-key": "umbrella:secret"}, AuthResult("unknown")),
        ({"x-api-key": "wrong"}, AuthResult("unknown")),
        ({"x-api-key": "schlüssel"}, AuthResult("unknown")),
    ],
)
def test_both_headers_mean_the_same(headers: dict[str, str], finding: AuthResult) -> None:
    assert authenticate(headers, GIVEN, Stored(), required=True) == finding


def test_where_no_keys_exist_and_none_is_needed_any_key_will_do() -> None:
    assert authenticate({"x-api-key": "any"}, {}, Stored(), required=False) == AuthResult("missing")
    assert authenticate({"x-api-key": "any"}, {}, Stored(), required=True) == AuthResult("unknown")
    assert authenticate({"x-api-key": "any"}, GIVEN, Stored(), required=False) == AuthResult("unknown")
