"""Checks which requests the front accepts: for its own names, in valid HTTP form, and from no foreign web page.

The service needs no key by default here, and every page open in a developer's browser can reach it.
"""

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from local.front.gateway import MAX_HEAD, OPENAI_TYPES, Answer, head_size

OWN_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
AUTHORITY = re.compile(r"(?:\[([0-9a-f:]+)\]|([a-z0-9._-]+))(?::([0-9]{1,5}))?", re.IGNORECASE)
ORIGIN = re.compile(r"(https?)://([^/?#@\s]+)", re.IGNORECASE)
DEFAULT_PORTS = {"http": "80", "https": "443"}
SAFE = ("GET", "HEAD", "OPTIONS")
MAX_TARGET = 8 * 1024
MAX_READ = 256 * 1024  # bytes of request line and headers that are read, to report a length above the limits


class Doors:
    """The rules of one run. `hosts` are further names, `origins` pages that may call it while it needs no key."""

    def __init__(self, port: int, hosts: Iterable[str], origins: Iterable[str], *, keyed: bool) -> None:
        self.port, self.keyed = str(port), keyed
        self.hosts = frozenset(host.lower() for host in hosts)
        self.origins = frozenset(origin.lower().rstrip("/") for origin in origins) - {"*"}

    def refusal(self, scope: Mapping[str, Any], path: str) -> Answer | None:
        """Return the answer to a request that no function may receive, else None. `path` is for the answer."""
        method, target = scope["method"], scope.get("raw_path") or scope["path"].encode()
        query = scope.get("query_string", b"")
        headers: list[tuple[bytes, bytes]] = [(k.lower(), v) for k, v in scope["headers"]]
        if method == "CONNECT":
            return refusal(
                405, "this is no proxy; ask for a path of this service", path, {"Allow": "GET, POST, DELETE"}
            )
        if not target.startswith(b"/"):
            return refusal(400, "the request target must be a path that begins with /", path[:200])
        if len(target) + len(query) > MAX_TARGET:
            return refusal(414, f"an address may have {MAX_TARGET} bytes", path[:200])
        if head_size(method, target + query, headers) > MAX_HEAD:
            return refusal(431, f"the request's line and headers may have {MAX_HEAD} bytes together", path)
        if re.search(rb"%(?![0-9A-Fa-f]{2})", target + b"?" + query):
            return refusal(400, "a % in an address must be followed by two hexadecimal digits; % itself is %25", path)
        if any(k == b"upgrade" and b"websocket" in v.lower() for k, v in headers):
            return refusal(400, "this service has no WebSocket; ask by plain HTTP", path)
        hosts = [v.decode("latin-1") for k, v in headers if k == b"host"]
        if len(hosts) != 1 or not (name := name_of(hosts[0])):
            return refusal(400, "a request names one Host, such as localhost:8000", path)
        if name not in OWN_NAMES | self.hosts:
            detail = f"the service is not asked under the name {name[:80]}; ALLOWED_HOSTS in .env adds names"
            return refusal(421, detail, path)
        return None if self.keyed else self._cross_site(method, hosts[0], headers, path)

    def _cross_site(self, method: str, host: str, headers: list[tuple[bytes, bytes]], path: str) -> Answer | None:
        """Refuse a foreign page's request that changes data or costs money, as no key protects the service."""
        told = {k: v.decode("latin-1").strip() for k, v in headers}
        wanted = told.get(b"access-control-request-method", method) if method == "OPTIONS" else method
        if wanted in SAFE:
            return None
        origin, site = told.get(b"origin"), told.get(b"sec-fetch-site", "").lower()
        foreign = site in ("cross-site", "same-site") if origin is None else not self._ours(origin, host)
        if not foreign:
            return None
        detail = (
            f"a page of {(origin or 'another site')[:80]} may not do this while no key is needed; name its origin in "
            "CORS_ALLOW_ORIGINS, or set REQUIRE_API_KEY=1"
        )
        return refusal(403, detail, path, {"Access-Control-Allow-Origin": "*"} if method != "OPTIONS" else {})

    def _ours(self, origin: str, host: str) -> bool:
        origin = origin.lower()
        if origin in self.origins:
            return True
        parts = ORIGIN.fullmatch(origin)
        if not parts or not (name := name_of(parts[2])):
            return False
        standard = DEFAULT_PORTS[parts[1]]
        port = _port_of(parts[2]) or standard
        if (name, port) == (name_of(host), _port_of(host) or standard):
            return True
        return (name in OWN_NAMES and port == self.port) or (name in self.hosts and port in (standard, self.port))


def name_of(authority: str) -> str:
    """Return the lower-case name of `name:port` or `[::1]:port`; empty for anything else."""
    found = AUTHORITY.fullmatch(authority.strip())
    return (found[1] or found[2]).lower() if found else ""


def _port_of(authority: str) -> str | None:
    found = AUTHORITY.fullmatch(authority.strip())
    return found[3] if found else None


def refusal(status: int, detail: str, path: str, headers: Mapping[str, str] | None = None, code: str = "") -> Answer:
    """Return an answer of the front in the contract's format: RFC 9457, or OpenAI's on the routes that have it."""
    title = HTTPStatus(status).phrase
    code = code or title.lower().replace(" ", "_").replace("-", "_")
    body: dict[str, object] = {"type": f"urn:image-api:error:{code}", "title": title, "status": status}
    body |= {"detail": detail, "instance": path, "code": code}
    told = {"Content-Type": "application/problem+json", "X-Request-Id": str(uuid.uuid4())}
    told |= {"X-Content-Type-Options": "nosniff", **(headers or {})}
    if path.startswith("/v1/images/"):
        kind = OPENAI_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
        body = {"error": {"message": detail, "type": kind, "param": None, "code": code}}
        told["Content-Type"] = "application/json"
        told["x-should-retry"] = "true" if status in (429, 503) else "false"  # checked by OpenAI's SDK before a retry
    return Answer(status, [(k.lower().encode(), v.encode()) for k, v in told.items()], json.dumps(body).encode())
