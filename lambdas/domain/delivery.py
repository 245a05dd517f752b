"""Plans what a stored image becomes on delivery (size, format, steps) from its record, before its file is read."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from dataclasses import asdict, dataclass
from typing import Final, Literal

from lambdas.domain.catalogue.model_card import Size
from lambdas.domain.errors import FieldError, InvalidRequest
from lambdas.domain.jobs.job import StoredImage
from lambdas.domain.jobs.request import MAX_SIDE

MAX_BLUR: Final = 100
MAX_WATERMARK: Final = 64
MAX_VARIANTS: Final = 64  # stored for one image; the oldest gives way to a new one
# Part of every variant's name and ETag. A change of what the steps or the encoders make raises it.
VERSION: Final = 1

Fit = Literal["cover", "contain", "fill"]
Target = Literal["png", "jpeg", "webp", "avif", "auto"]
EXTENSIONS: Final = {"png": "png", "jpeg": "jpg", "webp": "webp", "avif": "avif"}
MEDIA_TYPES: Final = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "avif": "image/avif"}
DEFAULT_QUALITY: Final = {"jpeg": 82, "webp": 80, "avif": 60}
_BEST: Final = ("avif", "webp")  # what `auto` chooses from, the smallest first


@dataclass(frozen=True, slots=True)
class Wish:
    """The transforms that a client asks for; `None` is a parameter that it did not send."""

    w: int | None = None
    h: int | None = None
    fit: Fit | None = None
    format: Target | None = None
    quality: int | None = None
    blur: float | None = None
    grayscale: bool | None = None
    watermark: str | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """One variant of an image, with every default filled in. `cover`: cut to the size's proportion, not distorted."""

    size: Size
    cover: bool
    format: str
    quality: int | None  # None for PNG
    blur: float = 0.0
    grayscale: bool = False
    watermark: str = ""
    composite: bool = False  # a product photo on a made background, as the mark of its origin says

    @property
    def digest(self) -> str:
        """Equal for wishes that mean the same, different for any others."""
        said = json.dumps({**asdict(self), "version": VERSION}, sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()[:20]

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self.format]

    @property
    def extension(self) -> str:
        return EXTENSIONS[self.format]


def recipe_of(image: StoredImage, wish: Wish, accept: str) -> Recipe | None:
    """Return the variant that is asked for; `None` where that is the original itself.

    `accept` is the request's header, which counts for the format `auto` alone. Raises InvalidRequest for a wish that
    this image cannot fulfil.
    """
    source = image.width, image.height
    kind = _best_of(accept, image.format) if wish.format == "auto" else wish.format or image.format
    if wish.quality is not None and kind == "png" and wish.format != "auto":
        raise _refused("quality", "PNG keeps every pixel and has no quality; leave it out, or choose another format")
    if wish.fit is not None and wish.w is None and wish.h is None:
        raise _refused("fit", "says how an image fits into w and h, and neither was sent")
    size = _size(source, wish)
    recipe = Recipe(
        size,
        cover=wish.fit in (None, "cover")
        and size[0] * source[1] != size[1] * source[0]
        and None not in (wish.w, wish.h),
        format=kind,
        quality=None if kind == "png" else wish.quality or DEFAULT_QUALITY[kind],
        blur=wish.blur or 0.0,
        grayscale=bool(wish.grayscale),
        watermark=wish.watermark or "",
        composite=bool(image.mask_key),
    )
    lossy = wish.quality is not None and kind != "png"
    if (size, kind) == (source, image.format) and not (lossy or recipe.blur or recipe.grayscale or recipe.watermark):
        return None
    return recipe


def checked_text(text: str) -> str:
    """Return a watermark's text in its composed form. Raises ValueError for one that cannot be written on a line.

    Whether the font has each of its characters is for the port Pictures to say.
    """
    text = unicodedata.normalize("NFC", text)
    if not text.strip():
        raise ValueError("must not be blank")
    if len(text) > MAX_WATERMARK:
        raise ValueError(f"may have {MAX_WATERMARK} characters at the most, not {len(text)}")
    return text


def unwritable(character: str) -> InvalidRequest:
    """Return the refusal of a watermark with a character that the font cannot write."""
    name = unicodedata.name(character, "no character of Unicode")
    return _refused("watermark", f"U+{ord(character):04X} ({name}) cannot be written: the font has no sign for it")


def too_long(size: Size) -> InvalidRequest:
    """Return the refusal of a watermark that has no room."""
    return _refused("watermark", f"the text is too long for an image of {size[0]}x{size[1]} pixels")


def _size(source: Size, wish: Wish) -> Size:
    """Raises InvalidRequest where the side that follows by proportion would be too long."""
    width, height = source
    if wish.w is not None and wish.h is not None:
        if wish.fit != "contain":
            return wish.w, wish.h
        by_width = wish.w * height <= wish.h * width
        return (wish.w, _part(height, wish.w, width)) if by_width else (_part(width, wish.h, height), wish.h)
    if wish.w is not None:
        return wish.w, _followed("w", _part(height, wish.w, width))
    if wish.h is not None:
        return _followed("h", _part(width, wish.h, height)), wish.h
    return source


def _part(side: int, asked: int, of: int) -> int:
    """Return side * asked / of, rounded half up, at least 1."""
    return max(1, (2 * side * asked + of) // (2 * of))


def _followed(name: str, other: int) -> int:
    if other > MAX_SIDE:
        raise _refused(name, f"the other side would have {other} pixels by proportion; {MAX_SIDE} is the most")
    return other


def _best_of(accept: str, source: str) -> str:
    """Return the best format that the client names in its Accept header; wildcards say nothing of a format."""
    named = set()
    for part in accept.lower().split(","):
        media_type, *parameters = (word.strip() for word in part.split(";"))
        if not any(_is_zero(parameter) for parameter in parameters):
            named.add(media_type)
    return next((kind for kind in _BEST if MEDIA_TYPES[kind] in named), source)


def _is_zero(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and value.strip().strip("0.") == ""


def _refused(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(f"{field}: {message}", errors=(FieldError(field, message),))
