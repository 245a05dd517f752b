"""Whose key is this?"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lambdas.domain.api_keys import hash_of
from lambdas.domain.ports.accounts import Keys


@dataclass(frozen=True, slots=True)
class AuthResult:
    """`auth`: `ok` with a tenant, `missing` (no key, or none is looked at here), `unknown`, or `unavailable`."""

    auth: Literal["ok", "missing", "unknown", "unavailable"]
    tenant: str = ""


def authenticate(headers: Mapping[str, str], given: Mapping[str, str], keys: Keys, *, required: bool) -> AuthResult:
    """`given` are keys from the settings, key to tenant. `headers` have lower-case names.

    Where keys are not required and none exist in the settings, whatever a client sends is as good as no key:
    SDKs that insist on one work with any. Hashes are compared, not keys, and in a time that depends on neither.
    """
    key = _key(headers)
    if not key:
        return AuthResult("missing")
    hashed = hash_of(key)
    for known, tenant in given.items():
        if hmac.compare_digest(hash_of(known), hashed):
            return AuthResult("ok", tenant)
    stored = keys.tenant_of(hashed)
    if stored:
        return AuthResult("ok", stored)
    return AuthResult("unknown" if required or given else "missing")


def _key(headers: Mapping[str, str]) -> str:
    if key := headers.get("x-api-key", "").strip():
        return key
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
