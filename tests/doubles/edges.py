"""Answers of proxies in front of a service, and content encodings, the same for every double.

They are injected by name as a service's own faults are, and are not among those of `faults()`.
"""

from __future__ import annotations

import gzip
from dataclasses import replace
from typing import Final

from tests.doubles.service_wire import Reply

PAGE: Final = b"<!DOCTYPE html>\n<html><head><title>%s</title></head><body>%s</body></html>"


def _page(status: int, title: str, paid: bool = False, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    text = title.encode()
    return Reply(status, PAGE % (text, text), {"Content-Type": "text/html; charset=UTF-8", **named}, paid)


# `paid`: the service behind may have begun before its gateway gave up.
EDGES: Final[dict[str, Reply]] = {
    "challenge": _page(403, "Just a moment...", Server="cloudflare", cf_mitigated="challenge"),
    "browser_check": Reply(403, b"error code: 1010", {"Content-Type": "text/plain; charset=UTF-8"}),
    "mitigated": Reply(403, b"", {"cf-mitigated": "block"}),
    "login_page": _page(401, "Sign in to the network"),
    "bad_request_page": _page(400, "The plain HTTP request was sent to HTTPS port"),
    "not_found_page": _page(404, "404 Not Found"),
    "gone_page": _page(410, "410 Gone"),
    "too_large_page": _page(413, "413 Request Entity Too Large"),
    "unlabelled_page": Reply(403, b"\n<html><h1>403 Forbidden</h1></html>"),
    "proxy_password": Reply(407, b"", {"Proxy-Authenticate": 'Basic realm="proxy"'}),
    "error_page": _page(500, "500 Internal Server Error", paid=True),
    "gateway_page": _page(502, "502 Bad Gateway", paid=True),
    "maintenance_page": _page(503, "503 Service Temporarily Unavailable"),
}
# Though `identity` was asked for.
CODINGS: Final = frozenset({"gzip", "gzip_members", "gzip_cut", "gzip_broken", "gzip_bomb", "brotli"})


def coded(reply: Reply, kind: str | None) -> Reply:
    """The answer as that fault codes it; as it is under every other."""
    if kind not in CODINGS:
        return reply
    body, coding = reply.body, "gzip"
    half = len(body) // 2
    if kind == "gzip":
        body = gzip.compress(body)
    elif kind == "gzip_members":
        body, coding = gzip.compress(body[:half]) + gzip.compress(body[half:]), "X-GZIP"
    elif kind == "gzip_cut":
        body = gzip.compress(body)[:-12]
    elif kind == "gzip_bomb":
        body = gzip.compress(bytes(45_000_000), 1)
    elif kind == "brotli":
        body, coding = b"\x1b" + body, "br"
    return replace(reply, body=body, headers={**reply.headers, "Content-Encoding": coding})
