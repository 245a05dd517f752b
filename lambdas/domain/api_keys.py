"""API keys and webhook secrets: how one is made, what of it is kept, and when it is no longer good.

A key is 256 random bits, so its plain SHA-256 is as hard to turn back as to guess the key: no salt and no slow hash is
needed, and the hash can serve as the name under which the record is looked up. How long that look-up takes may tell
something of the hashes in the table, but a caller cannot choose a key by its hash, so it tells nothing of a key.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass

from lambdas.domain.ids import TENANT

PREFIX = "ik_"
SECRET_PREFIX = "whsec_"  # noqa: S105 - what the Standard Webhooks call a secret by
MAX_NAME = 100


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key after it was made. `tail` is its last four characters. Times are Unix seconds."""

    id: str
    tenant: str
    name: str
    tail: str
    created_at: float
    revoked_at: float | None = None  # from then on it is not valid; after a rotation this may lie ahead

    def valid(self, now: float) -> bool:
        return self.revoked_at is None or now < self.revoked_at


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """What signs a tenant's webhooks, with the one before it until `previous_until`. Times are Unix seconds."""

    value: str
    created_at: float
    previous: str = ""
    previous_until: float = 0.0


def checked_tenant(tenant: str) -> str:
    """The name as it is. Raises ValueError for one that cannot be."""
    if not TENANT.fullmatch(tenant):
        raise ValueError(f"a tenant is 1 to 63 of a-z, 0-9, _ and -, and begins with a letter or digit; not {tenant!r}")
    return tenant


def new_key(tenant: str, name: str, now: float) -> tuple[str, ApiKey]:
    """The key itself, which is kept nowhere, and its record. Raises ValueError for names that cannot be."""
    checked_tenant(tenant)
    if len(name) > MAX_NAME or not name.isprintable():
        raise ValueError(f"a key's name is at most {MAX_NAME} printable characters")
    key = PREFIX + secrets.token_urlsafe(32)
    return key, ApiKey(f"key_{secrets.token_hex(6)}", tenant, name, key[-4:], now)


def hash_of(key: str) -> str:
    """The name of a key's record."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def new_webhook_secret(now: float, old: WebhookSecret | None = None, grace: float = 0.0) -> WebhookSecret:
    """256 random bits, as the Standard Webhooks write them; `old` signs beside them for `grace` seconds."""
    value = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
    if old is None or grace <= 0:
        return WebhookSecret(value, now)
    return WebhookSecret(value, now, old.value, now + grace)
