"""Where webhooks may go, as far as it can be seen when a client names the address."""

from __future__ import annotations

import time

LOOK_UP_SECONDS = 1.5  # for a name; one that is not resolved by then is taken, and looked at again at each delivery

# By the guard's word for it: what would be right.
REFUSALS = {
    "invalid": "must be an address such as https://example.com/hook, in ASCII and without a user or a password",
    "scheme": "must begin with https://",
    "port": "must be at the port of https, 443",
    "private": "must not lead to a private, local or reserved address",
}


class GuardedUrls:
    """The port WebhookUrls. `allow_private`: a deployment on one's own machine, with receivers there."""

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
