"""Signs webhooks by the Standard Webhooks specification, with the tenant's secrets."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from standardwebhooks import Webhook

from lambdas.adapters.dynamodb.items import get_item

PREFIX = "whsec_"
log = logging.getLogger(__name__)


class StandardSigner:
    """Implements the port Signer. Secrets `given` by the settings precede those in the table `keys`."""

    def __init__(self, table: str, given: Mapping[str, str]) -> None:
        self._table = table
        self._given = given

    def signature(self, tenant: str, message_id: str, now: float, body: bytes) -> str | None:
        moment = datetime.fromtimestamp(int(now), UTC)
        text = body.decode()
        made = [Webhook(secret).sign(message_id, moment, text) for secret in self._secrets(tenant, now)]
        return " ".join(made) or None

    def _secrets(self, tenant: str, now: float) -> list[bytes]:
        """Return the valid secrets, newest first: two during a rotation."""
        if tenant in self._given:
            found = [self._given[tenant]]
        else:
            kept = get_item(self._table, f"{tenant}#webhook", "secret") or {}
            found = [kept["secret"]] if "secret" in kept else []
            if "previous" in kept and kept["previous_until"] > now:
                found.append(kept["previous"])
        secrets = [secret for secret in map(_decoded, found) if secret]
        if len(secrets) < len(found):
            log.error("a signing secret is not base64", extra={"tenant": tenant})
        return secrets


def _decoded(secret: str) -> bytes:
    """Return the secret's bytes; empty if it is not base64."""
    text = secret.removeprefix(PREFIX)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
