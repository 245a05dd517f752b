"""Serves the public address: forwards to the emulator's gateway, with the real gateway's limits and errors."""

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import httpx2

from local.front.bedrock import PREFIX, BedrockPassThrough
from local.front.doors import SAFE, Doors, refusal
from local.front.gateway import (
    DROPPED,
    INTEGRATION_SECONDS,
    MAX_BODY,
    MAX_PAYLOAD,
    Answer,
    Gateway,
    failure,
    payload_size,
)
from local.front.room import Room

Message = MutableMapping[str, Any]
# A waiting request costs nothing, a running one a function process. Two processes are reserved for reading requests.
WORKING = max(8, 2 * (os.cpu_count() or 1))
CONCURRENCY = WORKING + 2
RETRY_AFTER = 3  # seconds until a retry is useful
DRAINED = 32 * 1024 * 1024  # bytes read past the limit and discarded, so that a client can finish and read its 413
EMULATORS_OWN = frozenset(b"x-amzn-requestid x-amz-request-id server connection keep-alive transfer-encoding".split())


class Front:
    """An ASGI application in front of one deployed API."""

    def __init__(
        self,
        target: str,
        stage: str,
        word: str,
        gateway: Gateway,
        doors: Doors,
        bedrock: BedrockPassThrough | None,
        on_request: Callable[[str, str, int, float, str], None],
    ) -> None:
        self.target, self.stage, self.gateway, self.doors = target, stage, gateway, doors
        self.bedrock, self.on_request = bedrock, on_request
        self.word = (b"x-local-word", word.encode())
        self.working, self.all = Room(WORKING), Room(CONCURRENCY)
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=CONCURRENCY)
        self.client = httpx2.AsyncClient(timeout=None, limits=limits, trust_env=False, follow_redirects=False)

    async def __call__(self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        started, method = time.perf_counter(), scope["method"]
        path = encoded(scope.get("raw_path") or scope["path"].encode())
        refused = self.doors.refusal(scope, path)
        body = await read_body(scope, receive)  # also if refused: clients read the answer after sending everything
        if refused is not None:
            answer = refused
            self._tell(method, path, answer, started)
        elif path.startswith(PREFIX) and self.bedrock is not None and body is not None:
            answer = await self.bedrock.answer(method, path, scope["headers"], body)
        else:
            answer = await self.answer(scope, method, path, body)
            self._tell(method, path, answer, started)
        sized = any(k.lower() == b"content-length" for k, _ in answer.headers)
        headers = [*answer.headers, *([] if sized else [(b"content-length", str(len(answer.body)).encode())])]
        if body is None:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer.body})

    def _tell(self, method: str, path: str, answer: Answer, started: float) -> None:
        request_id = next((v.decode("latin-1") for k, v in answer.headers if k.lower() == b"x-request-id"), "-")
        self.on_request(method, path[:500], answer.status, time.perf_counter() - started, request_id)

    async def answer(self, scope: Message, method: str, path: str, body: bytes | None) -> Answer:
        """Return the API's answer, or the gateway's own."""
        headers = request_headers(scope, body)
        if body is None or payload_size(body, []) > MAX_PAYLOAD:
            return self.gateway.error("REQUEST_TOO_LARGE", path)
        rooms = [self.all] if method in SAFE else [self.working, self.all]
        for number, room in enumerate(rooms):
            if not await room.enter():
                for entered in rooms[:number]:
                    entered.leave()
                detail = f"more requests than this machine has processes for; come again in {RETRY_AFTER} seconds"
                again = {"Retry-After": str(RETRY_AFTER), "Access-Control-Allow-Origin": "*"}
                return refusal(503, detail, path, again, "overloaded")
        running = asyncio.ensure_future(self._forward(scope, method, path, headers, body))
        running.add_done_callback(lambda ended: _ended(ended, rooms))
        try:
            # A request that timed out keeps its place until its process is free; otherwise ever more of them would run.
            answer = await asyncio.wait_for(asyncio.shield(running), INTEGRATION_SECONDS)
        except TimeoutError:
            return self.gateway.error("INTEGRATION_TIMEOUT", path)
        except (httpx2.HTTPError, asyncio.CancelledError):  # cancelled when the run ends during a request
            running.cancel()
            return self.gateway.error("INTEGRATION_FAILURE", path)
        kind = failure(answer)
        if kind or payload_size(answer.body, answer.headers) > MAX_PAYLOAD:
            return self.gateway.error(kind or "INTEGRATION_FAILURE", path)
        return self.gateway.passed(answer, path)

    async def _forward(
        self, scope: Message, method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> Answer:
        # A dot segment would be resolved on the way, to an address of the emulator outside of the API.
        path = re.sub(r"(?<=/)\.{1,2}(?=/|$)", lambda m: m[0].replace(".", "%2E"), path)
        # The emulator decodes a path once; API Gateway leaves it unchanged.
        raw = f"{self.target}/{self.stage}{path.replace('%', '%25')}"
        query = encoded(scope.get("query_string", b""))
        url = httpx2.URL(f"{raw}?{query}" if query else raw)
        request = self.client.build_request(method, url, headers=[*headers, self.word], content=body or None)
        response = await self.client.send(request, stream=True)
        try:
            content = b"".join([chunk async for chunk in response.aiter_raw()])
        finally:
            await response.aclose()
        kept = [self._location(k, v) for k, v in response.headers.raw if k.lower() not in EMULATORS_OWN]
        return Answer(response.status_code, kept, content)

    def _location(self, name: bytes, value: bytes) -> tuple[bytes, bytes]:
        """Remove the stage from a path in the API's Location or Link header."""
        stage = f"/{self.stage}/".encode()
        if name.lower() == b"link":
            return name, value.replace(b"<" + stage, b"</")
        return name, value[len(stage) - 1 :] if name.lower() == b"location" and value.startswith(stage) else value


def _ended(running: "asyncio.Future[Answer]", rooms: list[Room]) -> None:
    if not running.cancelled():
        running.exception()  # retrieve it, since nothing may wait for it any more
    for room in rooms:
        room.leave()


async def read_body(scope: Message, receive: Callable[[], Awaitable[Message]]) -> bytes | None:
    """Return the request's body, or None if it exceeds the gateway's limit."""
    declared = next((v for k, v in scope["headers"] if k == b"content-length"), b"0")
    if declared.isdigit() and int(declared) > DRAINED:
        return None
    chunks: list[bytes] = []
    size, more = 0, True
    while more and size <= DRAINED:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= MAX_BODY:
            chunks.append(chunk)
        else:
            chunks.clear()
        more = message.get("more_body", False)
    return b"".join(chunks) if size <= MAX_BODY else None


def request_headers(scope: Message, body: bytes | None) -> list[tuple[bytes, bytes]]:
    """Return the client's headers with API Gateway's additions."""
    dropped = DROPPED | {b"content-length", b"x-local-word"}
    headers = [(k, v) for k, v in scope["headers"] if k.lower() not in dropped]
    # An Accept without a type is treated as absent; the emulator would answer an image as base64.
    headers = [(k, v) for k, v in headers if k.lower() != b"accept" or v.partition(b";")[0].strip(b" \t,")]
    names = {k.lower() for k, _ in headers}
    if body and b"content-type" not in names:
        headers.append((b"content-type", b"application/json"))  # API Gateway's default for an untyped body
    if b"accept" not in names:
        headers.append((b"accept", b"*/*"))
    client, server = scope.get("client") or ("127.0.0.1", 0), scope.get("server") or ("127.0.0.1", 80)
    return [
        *headers,
        (b"x-forwarded-for", client[0].encode()),
        (b"x-forwarded-proto", b"http"),
        (b"x-forwarded-port", str(server[1]).encode()),
    ]


def encoded(raw: bytes) -> str:
    """Percent-encode the characters that a path or query must not contain."""
    return re.sub(rb"[^!$&'()*+,\-./0-9:;=?@A-Z_a-z~%]", lambda m: b"%%%02X" % m[0][0], raw).decode("ascii")
