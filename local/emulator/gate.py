"""Controls access to the emulator: a signature or token for this project's processes, signed links for browsers.

Every page open in a developer's browser, and every other user of this machine, can reach its ports. The gate therefore
trusts only the parts of a request that require the secret of the data folder.
"""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from ministack.core import sigv4

from local.emulator.keys import Keys
from local.front.doors import OWN_NAMES, name_of

WORD = b"x-local-word"
WORD_PATHS = re.compile(r"/_aws/execute-api/.+|/_ministack/health|/_local/workers")
BROWSERS_OWN = (b"cross-site", b"same-site", b"same-origin")  # Sec-Fetch-Site of a page's requests
FORM_HEAD = 64 * 1024  # bytes; the fields of a pre-signed form precede its file
FORM_FIELD = re.compile(rb'Content-Disposition: *form-data; *name="([^"]+)"\r\n(?:[^\r\n]+\r\n)*\r\n', re.IGNORECASE)
MAX_SECONDS = 7 * 24 * 3600  # seconds; AWS's maximum for a signed link

Receive = Callable[[], Awaitable[Any]]


class Key(NamedTuple):
    """A signing secret, and the session token that must accompany it, if any."""

    secret: str
    token: str


class Refused(Exception):
    """A call that must not reach the emulator; the text gives the reason."""


class Gate:
    """An ASGI application that forwards permitted requests to `application`."""

    def __init__(self, application: Any, keys: Keys) -> None:
        self.application, self.word = application, keys.word.encode()
        self.known = {keys.access_key_id: Key(keys.secret, "")}

    def admit(self, access_key_id: str, secret: str, token: str) -> None:
        """Accept signatures with this key from now on."""
        self.known[access_key_id] = Key(secret, token)

    async def __call__(self, scope: Any, receive: Receive, send: Any) -> None:
        """Forward one request, or answer 403."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "http":
            try:
                scope, receive = await self._admitted(scope, receive)
            except Refused as refused:
                await _refuse(send, scope["method"], str(refused))
                return
        await self.application(scope, receive, send)

    async def _admitted(self, scope: Any, receive: Receive) -> tuple[Any, Receive]:
        """Return the request to forward. Raises Refused."""
        fields = [(k.lower(), v) for k, v in scope["headers"]]
        names = [v for k, v in fields if k == b"host"]
        if len(names) != 1 or name_of(names[0].decode("latin-1")) not in OWN_NAMES:
            raise Refused("The emulator answers under this machine's own names alone.")
        words = [v for k, v in fields if k == WORD]
        if words:
            if words != [self.word] or not WORD_PATHS.fullmatch(scope["path"]):
                raise Refused("This is not a word of the emulator's data folder.")
            return {**scope, "headers": [(k, v) for k, v in scope["headers"] if k.lower() != WORD]}, receive
        method, query = scope["method"], _query(scope)
        given = {k.decode("latin-1"): v for k, v in fields}
        of_page = "origin" in given or given.get("sec-fetch-site") in BROWSERS_OWN
        form = method == "POST" and _is_form(scope, given)
        linked = method in ("GET", "HEAD") and "X-Amz-Signature" in query
        if method == "OPTIONS" and _asks_for_either(scope, given):
            return scope, receive
        if of_page and not (form or linked):
            raise Refused("A page may not call the emulator.")
        if scope["path"].startswith("/_"):
            raise Refused("This address is the launcher's own.")
        body = await _whole(receive)
        if form:
            self._check_form(body, given["content-type"])
        else:
            self._check_signature(scope, fields, query, body)
        return scope, _again(body, receive)

    def _check_signature(
        self, scope: Any, fields: list[tuple[bytes, bytes]], query: dict[str, list[str]], body: bytes
    ) -> None:
        headers: dict[str, str] = {}
        for name, value in fields:  # repeated headers are signed as one, with commas between the values
            field, text = name.decode("latin-1"), sigv4.decode_header_value(value)
            headers[field] = f"{headers[field]},{text}" if field in headers else text
        in_query = "authorization" not in headers
        if not in_query and not headers["authorization"].startswith("AWS4-HMAC-SHA256 "):
            raise Refused("The emulator takes requests signed by AWS Signature Version 4.")
        found = sigv4.parse_query_signature(query) if in_query else sigv4.parse_header_signature(headers)
        if isinstance(found, tuple) or found.region_set is not None:
            raise Refused("The emulator takes signed requests alone.")
        token = query.get("X-Amz-Security-Token", [""])[0] if in_query else headers.get("x-amz-security-token", "")
        key = self._key(found.access_key_id, token)
        if in_query:
            _check_time(found.amz_date, query.get("X-Amz-Expires", [""])[0])
        elif (late := sigv4.request_time_failure(found)) is not None:
            raise Refused(late[1])
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        wrong = sigv4.header_signature_failure(
            found, key.secret, scope["method"], path, query, headers, body, presigned=in_query
        )
        if wrong or "host" not in found.signed_headers.split(";"):
            raise Refused("The signature is not of this request.")

    def _check_form(self, body: bytes, content_type: bytes) -> None:
        """Check the signature on a pre-signed POST's policy; the emulator checks the policy itself. Raises Refused."""
        form = _fields(body, content_type)
        scope = form.get("x-amz-credential", "").split("/")
        if len(scope) != 5 or form.get("x-amz-algorithm") != "AWS4-HMAC-SHA256":
            raise Refused("The emulator takes pre-signed forms alone.")
        key = self._key(scope[0], form.get("x-amz-security-token", ""))
        signed = sigv4.calculate_signature(key.secret, scope[1], scope[2], scope[3], form.get("policy", ""))
        if not sigv4.signatures_match(signed.encode(), form.get("x-amz-signature", "").encode()):
            raise Refused("The signature is not of this form.")

    def _key(self, access_key_id: str, token: str) -> Key:
        key = self.known.get(access_key_id)
        if key is None or not sigv4.signatures_match(key.token.encode(), token.encode()):
            raise Refused("This key is not one of the emulator's data folder.")
        return key


def _query(scope: Any) -> dict[str, list[str]]:
    try:
        return parse_qs(scope["query_string"].decode(), keep_blank_values=True)
    except ValueError:  # bytes that are not UTF-8
        raise Refused("The query cannot be read.") from None


def _is_form(scope: Any, headers: dict[str, bytes]) -> bool:
    """Return whether this is an HTML form sent to a bucket."""
    typed = headers.get("content-type", b"").lower().startswith(b"multipart/form-data")
    return typed and _of_bucket(scope["path"]) and not scope["query_string"] and "authorization" not in headers


def _of_bucket(path: str) -> bool:
    return re.fullmatch(r"/[a-z0-9][a-z0-9.-]{2,62}/?", path) is not None


def _asks_for_either(scope: Any, headers: dict[str, bytes]) -> bool:
    """Return whether this is a preflight, which has no signature, for a signed link or a pre-signed form."""
    wanted = headers.get("access-control-request-method", b"")
    if wanted == b"POST":
        return _of_bucket(scope["path"])
    return wanted in (b"GET", b"HEAD") and re.fullmatch(r"/[a-z0-9][a-z0-9.-]{2,62}/.+", scope["path"]) is not None


def _fields(body: bytes, content_type: bytes) -> dict[str, str]:
    """Return the form's fields before its file, by lower-case name. Raises Refused."""
    boundary = re.search(rb'boundary="?([^";,\s]+)', content_type)
    found: dict[str, str] = {}
    for part in body[:FORM_HEAD].split(b"--" + boundary[1]) if boundary else ():
        field = FORM_FIELD.match(part.removeprefix(b"\r\n"))
        if field:
            name = field[1].decode("latin-1").lower()
            if name in found:
                raise Refused("A field of the form comes twice.")
            found[name] = part.removeprefix(b"\r\n")[field.end() :].removesuffix(b"\r\n").decode("latin-1")
    return found


def _check_time(signed_at: str, seconds: str) -> None:
    """Raise Refused for a link that has expired, is not yet valid, or lives longer than AWS allows."""
    try:
        if not 0 < int(seconds) <= MAX_SECONDS:
            raise Refused("A signed link lives for a week at most.")
        expired = sigv4.presigned_request_is_expired(signed_at, seconds)
        early = not sigv4.presigned_request_is_expired(signed_at, -15 * 60)
    except (ValueError, OverflowError):
        raise Refused("The link's time cannot be read.") from None
    if expired or early:
        raise Refused("Request has expired" if expired else "Request is not yet valid")


async def _whole(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Refused("The request ended early.")
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that returns the body that was read, then the later messages."""
    given = False

    async def once_more() -> Any:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once_more


async def _refuse(send: Any, method: str, why: str) -> None:
    body = json.dumps({"__type": "AccessDeniedException", "message": why}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"x-content-type-options", b"nosniff")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
