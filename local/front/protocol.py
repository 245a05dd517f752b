"""Answers requests that cannot be parsed as HTTP in the contract's format too."""

import sys
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from local.front.doors import refusal

UNREADABLE = {400: "this cannot be read as HTTP/1.1", 431: "the request line and its headers are too long"}
LINGER = 1.0  # seconds in which a client may go on sending: a reset while it sends would lose the answer


class Protocol(H11Protocol):
    """Uvicorn's protocol with another answer to requests that h11 cannot parse."""

    deaf = False

    def data_received(self, data: bytes) -> None:
        """Pass data on, until an answer has ended the connection."""
        if not self.deaf:
            super().data_received(data)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Answer a parse error, with the status that h11 suggests; called while the error is handled."""
        hint: Any = getattr(sys.exc_info()[1], "error_status_hint", 400)
        status = hint if hint in UNREADABLE else 400
        answer = refusal(status, UNREADABLE[status], "/")
        if self.cycle is not None:  # its answer can no longer be sent
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            head = h11.Response(status_code=answer.status, headers=[*answer.headers, (b"connection", b"close")])
            for event in (head, h11.Data(data=answer.body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.deaf = True
        self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.close)
