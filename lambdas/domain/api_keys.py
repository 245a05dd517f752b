"""Creates API keys and webhook secrets, and defines what of them is stored and how long they are valid.

A key is 256 random bits, so inverting its plain SHA-256 is as hard as guessing the key: neither a salt nor a slow hash
is needed, and the hash can be the record's key in the table. The time of that look-up may reveal something of the
stored hashes, but nothing of a key, because a caller cannot choose a key by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass

from lambdas.domain.ids import TENANT

PREFIX = "ik_"
SECRET_PREFIX = "whsec_"  # noqa: S105 - of the Standard Webhooks specification
MAX_NAME = 100


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The stored record of a key. `tail` is its last four characters. Times are Unix seconds."""

    id: str
    tenant: str
    name: str
    tail: str
    created_at: float
    revoked_at: float | None = None  # the key is invalid from then on; a rotation sets a future time

    def valid(self, now: float) -> bool:
        return self.revoked_at is None or now < self.revoked_at


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """The secret that signs a tenant's webhooks; the previous one signs too until `previous_until` (Unix seconds)."""

    value: str
    created_at: float
    previous: str = ""
    previous_until: float = 0.0


def checked_tenant(tenant: str) -> str:
    """Return the tenant's name. Raises ValueError for an invalid one."""
    if not TENANT.fullmatch(tenant):
        raise ValueError(f"a tenant is 1 to 63 of a-z, 0-9, _ and -, and begins with a letter or digit; not {tenant!r}")
    return tenant


def new_key(tenant: str, name: str, now: float) -> tuple[str, ApiKey]:
    """Return the key, which is stored nowhere, and its record. Raises ValueError for invalid names."""
    checked_tenant(tenant)
    if len(name) > MAX_NAME or not name.isprintable():
        raise ValueError(f"a key's name is at most {MAX_NAME} printable characters")
    key = PREFIX + secrets.token_urlsafe(32)
    return key, ApiKey(f"key_{secrets.token_hex(6)}", tenant, name, key[-4:], now)


def hash_of(key: str) -> str:
    """Return the hash under which a key's record is stored."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def new_webhook_secret(now: float, old: WebhookSecret | None = None, grace: float = 0.0) -> WebhookSecret:
    """Return a secret of 256 random bits in the form of Standard Webhooks; `old` signs too for `grace` seconds."""
    value = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
    if old is None or grace <= 0:
        return WebhookSecret(value, now)
    return WebhookSecret(value, now, old.value, now + grace)
