"""Signs and checks links to stored images that work without a key.

The signature is HMAC-SHA256 over the path and all parameters but itself, in a form that does not depend on their order
or on how a client escapes them. docs/delivery.md has the recipe for making links elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from lambdas.domain.api_keys import checked_tenant

MAX_SECONDS: Final = 604_800
SKEW_SECONDS: Final = 300  # by which the clock of whoever signs may be ahead of ours
NAMES: Final = frozenset({"kid", "expires", "sig"})  # the parameters that make a link a signed one
PATH: Final = "/storage/images/"

_KID: Final = re.compile(r"lk_[0-9a-f]{16}")
_EXPIRES: Final = re.compile(r"[1-9][0-9]{0,11}")

Query = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class LinkKey:
    """What signs a tenant's links. `kid` stands in each link; `until` (Unix seconds) is set by a rotation."""

    kid: str
    tenant: str
    secret: str
    created_at: float
    until: float | None = None

    def valid(self, now: float) -> bool:
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class Claim:
    """What a signed link says of itself."""

    kid: str
    expires: int
    sig: str


def new_link_key(tenant: str, now: float) -> LinkKey:
    """Return a new key of 256 random bits. Raises ValueError for an invalid tenant."""
    return LinkKey(f"lk_{secrets.token_hex(8)}", checked_tenant(tenant), secrets.token_urlsafe(32), now)


def is_signed(path: str, query: Query) -> bool:
    """Return whether the request is one by a signed link, good or bad: of a stored image, with such a parameter."""
    return path.startswith(PATH) and not NAMES.isdisjoint(query)


def claim_of(query: Query, now: float) -> Claim | None:
    """Return the link's claim; `None` if a part is missing, repeated or malformed, or if its time is not now."""
    kid, expires, sig = (query.get(name, ()) for name in ("kid", "expires", "sig"))
    if not len(kid) == len(expires) == len(sig) == 1:
        return None
    if not _KID.fullmatch(kid[0]) or not _EXPIRES.fullmatch(expires[0]):
        return None
    if not now < int(expires[0]) <= now + MAX_SECONDS + SKEW_SECONDS:
        return None
    return Claim(kid[0], int(expires[0]), sig[0])


def holds(claim: Claim, key: LinkKey, path: str, query: Query) -> bool:
    """Return whether the signature is this key's, of exactly this path and these parameters."""
    sent = ((name, value) for name, values in query.items() for value in values if name != "sig")
    return hmac.compare_digest(_signature(key.secret, path, sent).encode(), claim.sig.encode("utf-8", "replace"))


def signed(path: str, parameters: Mapping[str, str], expires: int, key: LinkKey) -> str:
    """Return the path with its query. `parameters` are those of the transform."""
    pairs = sorted({**parameters, "expires": str(expires), "kid": key.kid}.items())
    return f"{path}?{_encoded(pairs)}&sig={_signature(key.secret, path, pairs)}"


def _signature(secret: str, path: str, pairs: Iterable[tuple[str, str]]) -> str:
    message = f"{path}?{_encoded(sorted(pairs))}".encode()
    digest = hmac.new(secret.encode(), message, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _encoded(pairs: Iterable[tuple[str, str]]) -> str:
    return urlencode(list(pairs), quote_via=quote, safe="", errors="replace")
