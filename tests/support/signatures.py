"""Verifies webhooks with the clients' library, at a time of the test's choice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any
from unittest import mock

from standardwebhooks import webhooks


def verified(secret: str, body: bytes, headers: Mapping[str, str], now: float) -> Any:
    """The body as the library reads it. Raises WebhookVerificationError, also for a time that is not about `now`."""

    class Then(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Then:
            return cls.fromtimestamp(now, tz)

    with mock.patch.object(webhooks, "datetime", Then):
        return webhooks.Webhook(secret).verify(body, dict(headers))
