"""Checks the URL of a webhook when a client sends it; each delivery checks it again."""

from __future__ import annotations

import time

LOOK_UP_SECONDS = 1.5  # a name that is not resolved by then is accepted; each delivery checks it again

# The requirement that is not met, by the guard's code.
REFUSALS = {
    "invalid": "must be an address such as https://example.com/hook, in ASCII and without a user or a password",
    "scheme": "must begin with https://",
    "port": "must be at the port of https, 443",
    "private": "must not lead to a private, local or reserved address",
}


class GuardedUrls:
    """Implements the port WebhookUrls. `allow_private`: the service runs locally, with local receivers."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private

    def refusal(self, url: str) -> str | None:
        from lambdas.egress import guard, wire  # most requests name no webhook

        try:
            target = guard.target(url, allow_private=self._allow_private)
            if not target.free:
                guard.peer(target, time.monotonic() + LOOK_UP_SECONDS)
        except guard.BarredError as barred:
            return REFUSALS[barred.fault]
        except (wire.NotReachedError, OSError):
            return None
        return None
