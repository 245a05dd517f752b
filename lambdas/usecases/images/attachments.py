"""Pictures that a client sends: read, counted, checked, and stored once their request is accepted."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes

from lambdas.domain import base64_text, ids
from lambdas.domain.backgrounds import Unplaceable
from lambdas.domain.errors import FieldError, InvalidRequest, MalformedBody, ServiceError, TooLarge
from lambdas.usecases.deps import Deps
from lambdas.usecases.images.uploads import uploaded

MAX_REQUEST_UPLOADS: Final = 50_000_000  # bytes of all the uploads of one request together, which are in memory at once
MAX_REQUEST_PIXELS: Final = 50_000_000  # of all the pictures of one request together

_DATA: Final = re.compile(r"data:", re.IGNORECASE)
_IN_BASE64: Final = re.compile(r"data:.{0,1000}?;\s*base64\s*,", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A checked picture, not stored yet, and what the client should know of it.

    Equal pictures of a tenant have one key, so a second request may rely on what a first one has stored.
    """

    key: str
    data: bytes = field(repr=False)
    media_type: str
    warnings: tuple[str, ...] = ()
    others: tuple[Attachment, ...] = ()  # of the same request: further pictures, or a mask

    def store(self, deps: Deps) -> None:
        deps.blobs.put(self.key, self.data, self.media_type)
        for other in self.others:
            other.store(deps)


class Intake:
    """The pictures of one request. Equal ones are one: counted once, decoded once."""

    def __init__(self, tenant: str, deps: Deps, max_pixels: int = MAX_REQUEST_PIXELS) -> None:
        self._tenant = tenant
        self._deps = deps
        self._most = self._left = max_pixels
        self._counted: set[bytes] = set()
        self._taken: dict[bytes, Attachment] = {}
        self._uploads: dict[str, bytes] = {}

    def count(self, text: str, name: str) -> None:
        """Count a picture's pixels before any is decoded; one that cannot be read is refused when it is taken.

        Raises TooLarge where the request has too many.
        """
        try:
            self._count(self._bytes(text, name), name)
        except _OverBudget:
            raise
        except ServiceError:
            return

    def take(self, text: str, name: str, *, exact: bool = False) -> Attachment:
        """The picture of that base64 or data URI, without its metadata, upright and in sRGB. `name` is its field.

        `exact` as in Pictures.take. Raises MalformedBody, UnsupportedMediaType and TooLarge, each with the field.
        """
        data = self._bytes(text, name)
        mark = hashlib.sha256(data).digest() + bytes([exact])
        if mark not in self._taken:
            said: list[str] = []
            try:
                self._count(data, name)
                clean, media_type = self._deps.pictures.take(data, said.append, exact=exact)
            except ServiceError as error:
                error.errors = error.errors or (FieldError(name, error.detail),)
                raise
            self._taken[mark] = Attachment(self._key(clean), clean, media_type, tuple(said))
        return self._taken[mark]

    def mask(self, text: str, name: str, photo: Attachment) -> Attachment:
        """What the picture of that text has transparent, for the photo. Raises as `take`, and InvalidRequest."""
        taken = self.take(text, name)
        try:
            data = self._deps.compositor.mask(taken.data, photo.data)
        except Unplaceable as no:
            raise InvalidRequest(str(no), errors=(FieldError(name, str(no)),)) from None
        return Attachment(self._key(data), data, "image/png")

    def _key(self, data: bytes) -> str:
        return f"uploads/{self._tenant}/{hashlib.sha256(data).hexdigest()[:32]}"

    def _bytes(self, text: str, name: str) -> bytes:
        """The bytes that the text stands for: those of an upload, or its own."""
        if ids.UPLOAD.fullmatch(text) is None:
            return image_bytes(text, name)
        if text not in self._uploads:
            data = uploaded(self._tenant, text, name, self._deps)
            if sum(map(len, self._uploads.values())) + len(data) > MAX_REQUEST_UPLOADS:
                said = f"uploads of one request may have {MAX_REQUEST_UPLOADS} bytes, and {name} is one too many"
                raise _OverBudget(said, errors=(FieldError(name, said),))
            self._uploads[text] = data
        return self._uploads[text]

    def _count(self, data: bytes, name: str) -> None:
        mark = hashlib.sha256(data).digest()
        if mark in self._counted:
            return
        pixels = self._deps.pictures.pixels(data)
        if pixels > self._left:
            said = f"the images of one request may have {self._most} pixels together, and {name} is one too many"
            raise _OverBudget(said, errors=(FieldError(name, said),))
        self._left -= pixels
        self._counted.add(mark)


class _OverBudget(TooLarge):
    """As TooLarge, for the request as a whole."""


def image_bytes(text: str, name: str) -> bytes:
    """The bytes of base64 or of a data URI, read as forgivingly as browsers do.

    White space, line breaks, missing padding, the URL-safe alphabet and any label are taken. Raises MalformedBody with
    the field `name`.
    """
    found = _IN_BASE64.match(text := text.strip().removeprefix("\ufeff"))
    if not found and _DATA.match(text):
        return unquote_to_bytes(text.partition(",")[2])
    body = text[found.end() :] if found else text
    if found and "%" in body:
        body = unquote_to_bytes(body).decode("latin-1")
    try:
        if data := base64_text.decode(body):
            return data
        why = "it is empty"
    except ValueError as wrong:
        why = str(wrong)
    said = f"{name} must be base64 or a data URI of base64: {why}"
    raise MalformedBody(said, errors=(FieldError(name, said),))
