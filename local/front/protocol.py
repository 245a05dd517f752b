"""HTTP as the front speaks it: what cannot be read as HTTP is told in the contract's shape too."""

import sys
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from local.front.doors import refusal

UNREADABLE = {400: "this cannot be read as HTTP/1.1", 431: "the request line and its headers are too long"}
LINGER = 1.0  # seconds for which a client may go on sending: a reset in its middle would cost it the answer


class Protocol(H11Protocol):
    """Uvicorn's protocol, but for its answer to what h11 does not understand."""

    deaf = False

    def data_received(self, data: bytes) -> None:
        """Passes on what comes, until an answer has ended the connection."""
        if not self.deaf:
            super().data_received(data)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Called while that error is handled: h11 hints at the status that fits."""
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
