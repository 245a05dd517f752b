"""Bodies of multipart/form-data, which are hostile until read: every part by name, or a refusal that says why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from lambdas.domain.errors import FieldError, InvalidRequest, MalformedBody

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MEDIA_TYPE: Final = "multipart/form-data"
MAX_PARTS: Final = 20
MAX_BOUNDARY: Final = 70  # RFC 2046
ONCE: Final[Mapping[str, int]] = MappingProxyType({})
_NUMBERED: Final = re.compile(r"\[[0-9]{0,3}\]$")


@dataclass(slots=True)
class Part:
    """One field. `filename` is `None` where it is no file."""

    headers: dict[str, str] = field(default_factory=dict)
    data: bytearray = field(default_factory=bytearray)
    name: str = ""
    filename: str | None = None


def read_form(
    body: bytes, content_type: str, many: Mapping[str, int] = ONCE, more: int = 0
) -> Mapping[str, list[Part]]:
    """The parts by their names, in the order in which they came.

    A name of `many` may come so often, also as `name[]` and `name[0]`; any other once. `more`: parts that the form may
    have besides the usual MAX_PARTS. Raises MalformedBody, and InvalidRequest for a name that comes too often.
    """
    from python_multipart.exceptions import MultipartParseError
    from python_multipart.multipart import MultipartParser, parse_options_header

    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= MAX_BOUNDARY:
        raise MalformedBody("multipart/form-data needs a boundary of 1 to 70 characters in its Content-Type")
    reader = _Reader(MAX_PARTS + more)
    try:
        parser = MultipartParser(boundary, reader.callbacks())
        parser.write(body)
        parser.finalize()
    except MultipartParseError as error:
        raise MalformedBody(f"the body is not valid multipart/form-data at byte {max(error.offset, 0)}") from None
    if not reader.ended:
        raise MalformedBody("the body is cut off: its last boundary is missing")
    found: dict[str, list[Part]] = {}
    for part in reader.parts:
        kind, about = parse_options_header(part.headers.get("content-disposition"))
        if kind != b"form-data" or b"name" not in about:
            raise MalformedBody("each part needs a Content-Disposition of form-data with a name")
        part.name = about[b"name"].decode("utf-8", "replace")[:200]
        part.filename = about[b"filename"].decode("utf-8", "replace") if b"filename" in about else None
        if (base := _NUMBERED.sub("", part.name)) in many:
            part.name = base
        same = found.setdefault(part.name, [])
        if len(same) == (most := many.get(part.name, 1)):
            raise _wrong(part.name, "this field may come only once" if most == 1 else f"at most {most} may come")
        same.append(part)
    return found


def text_of(part: Part) -> str:
    """Raises InvalidRequest for a file, and for what is not UTF-8."""
    if part.filename is not None:
        raise _wrong(part.name, "must be a text, not a file")
    try:
        return part.data.decode()
    except UnicodeDecodeError:
        raise _wrong(part.name, "must be a text in UTF-8") from None


def _wrong(name: str, message: str) -> InvalidRequest:
    return InvalidRequest(f"{name}: {message}", errors=(FieldError(name, message),))


class _Reader:
    """Gathers what the parser calls out."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.parts: list[Part] = []
        self.ended = False
        self._name = bytearray()
        self._value = bytearray()

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_part_data": lambda data, start, end: self.parts[-1].data.extend(data[start:end]),
            "on_header_begin": self._header,
            "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.parts) == self.most:
            raise MalformedBody(f"a form may have {self.most} parts at the most")
        self.parts.append(Part())

    def _header(self) -> None:
        self._name, self._value = bytearray(), bytearray()

    def _header_end(self) -> None:
        self.parts[-1].headers[self._name.decode("latin-1").lower()] = self._value.decode("latin-1")

    def _end(self) -> None:
        self.ended = True
