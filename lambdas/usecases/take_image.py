"""Take an image that a client sends: check it and put it where its job will find it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from lambdas.domain.errors import MalformedBody, UnsupportedMediaType
from lambdas.usecases.deps import Deps

_DATA_URI = re.compile(r"data:([a-z]+/[a-z0-9.+-]+)?(?:;[a-z0-9=.+-]+)*;base64,", re.IGNORECASE)
_TYPES = ("image/png", "image/jpeg", "image/webp")


def take_image(text: str, tenant: str, deps: Deps) -> tuple[str, str]:
    """`text` is base64 or a data URI. Returns the key in the bucket and the media type. Raises as clean_image."""
    clean, media_type = clean_image(text, deps)
    return put_image(clean, media_type, tenant, deps), media_type


def clean_image(text: str, deps: Deps, field: str = "reference_image") -> tuple[bytes, str]:
    """The picture without its metadata and upright, and its media type. `field` is what the client calls it.

    Raises MalformedBody for what is not base64 or not a whole picture, UnsupportedMediaType for other kinds
    than PNG, JPEG and WebP, TooLarge for one of too many pixels.
    """
    found = _DATA_URI.match(text)
    if found and found[1] and found[1].lower() not in _TYPES:
        raise UnsupportedMediaType(f"an image must be PNG, JPEG or WebP, not {found[1][:80]}")
    try:
        data = base64.b64decode(text[found.end() :] if found else text, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedBody(f"{field} must be base64 or a data URI of base64") from None
    return deps.pictures.take(data)


def put_image(clean: bytes, media_type: str, tenant: str, deps: Deps) -> str:
    """Its key in the bucket: the same for the same bytes, and for no other tenant."""
    key = f"uploads/{tenant}/{hashlib.sha256(clean).hexdigest()[:32]}"
    deps.blobs.put(key, clean, media_type)
    return key
