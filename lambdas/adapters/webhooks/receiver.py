"""Delivers an event by one POST to a checked address; only the status of the response counts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from http.client import HTTPException

from lambdas.domain.ports.webhooks import Reply
from lambdas.domain.webhooks import MAX_RETRY_AFTER
from lambdas.egress import guard, retry_after, wire


class HttpReceiver:
    """Implements the port Receiver. Redirects are not followed."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private

    def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Reply:
        ends_at = time.monotonic() + timeout
        try:
            target = guard.target(url, allow_private=self._allow_private)
            peer = guard.peer(target, ends_at)
            status, answered = wire.acknowledged(peer, "POST", target.path, headers, body, ends_at=ends_at)
        except guard.BarredError as barred:
            return Reply(None, str(barred))
        except wire.NotReachedError as error:
            return Reply(None, str(error))
        except wire.NotSendableError:
            return Reply(None, guard.FAULTS["invalid"])
        except TimeoutError:
            return Reply(None, f"no answer within {timeout:.0f} s")
        except (wire.TooLargeError, OSError, HTTPException):
            return Reply(None, "the connection broke before an answer")
        wait = retry_after.seconds(answered.get("retry-after", ""), MAX_RETRY_AFTER, answered.get("date", ""))
        return Reply(status, retry_after=wait)
