"""Reads a request's body, with limits on its size and its time."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import Request

from gpu_worker.contract import Refusal

SECONDS: Final = 30.0  # for a whole body


class ClientGone(Exception):
    """The client closed the connection, so that no answer can reach it."""


class Body:
    """The body of one request: first `read`, then `gone`."""

    def __init__(self, request: Request) -> None:
        self._receive = request.receive
        self._length = request.headers.get("content-length", "")
        self._ended = False

    async def read(self, limit: int, seconds: float = SECONDS) -> bytes:
        """Return the whole body. Raises Refusal if it exceeds `limit` bytes or `seconds`, and ClientGone."""
        too_large = Refusal("too_large", f"the body must be at most {limit} bytes")
        if self._length.isdecimal() and int(self._length) > limit:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(seconds):
                while not self._ended:
                    body += await self._more()
                    if len(body) > limit:
                        raise too_large
        except TimeoutError:
            raise Refusal("invalid_request", "the body did not arrive in time") from None
        return bytes(body)

    async def gone(self) -> None:
        """Return when the client has closed the connection. Call it only after `read`."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _more(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        self._ended = not message.get("more_body", False)
        part: bytes = message.get("body", b"")
        return part
