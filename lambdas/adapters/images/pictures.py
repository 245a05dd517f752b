"""Implements the port Pictures with Pillow: any input becomes a picture of the promised size and format."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from lambdas.adapters.images.decoding import Opened, measured, opened
from lambdas.domain.catalogue.model_card import Size
from lambdas.domain.delivery import Recipe
from lambdas.domain.errors import ServiceError, TooLarge
from lambdas.domain.failures import Failure, ProviderFailure

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_UPLOAD_PIXELS: Final = 25_000_000
MAX_PIXELS: Final = MAX_UPLOAD_PIXELS  # of a provider's answer; no model in use generates more

# PNG: level 4 saves a sixth over level 3, level 6 nothing more in twice the time. WebP: lossy, because clients that
# need every pixel choose PNG; method 2 is twice as fast as the default at the same size.
ENCODING: Final[dict[str, dict[str, Any]]] = {
    "png": {"format": "PNG", "compress_level": 4},
    "jpeg": {"format": "JPEG", "quality": 92, "optimize": True},
    "webp": {"format": "WEBP", "quality": 90, "method": 2},
}
# Pictures that are decoded again: lossless in half the time, or JPEG with high quality.
KEEPING: Final[dict[str, dict[str, Any]]] = {
    "png": {"format": "PNG", "compress_level": 1},
    "jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
}


class PillowPictures:
    def fit(self, data: bytes, size: Size, fmt: str, quality: int | None = None) -> tuple[bytes, Size]:
        """See the port. An animation is reduced to its first frame."""
        found = answered(data)
        picture = found.picture
        options = ENCODING[fmt]
        if quality is not None and "quality" in options:
            options = {**options, "quality": max(1, quality)}  # Pillow takes 0 for its default in some versions
        elif found.kind == fmt and found.plain and picture.size == size:
            return data, size
        return _encoded(_covering(picture, size), options), picture.size

    def pixels(self, data: bytes) -> int:
        return measured(data, MAX_UPLOAD_PIXELS).pixels

    def take(self, data: bytes, warn: Callable[[str], object] = str, *, exact: bool = False) -> tuple[bytes, str]:
        """See the port. Returns the file with its picture alone if possible, else encodes it again.

        An opaque picture that was stored with loss is so again, because a PNG would be many times as large.
        """
        found = opened(data, MAX_UPLOAD_PIXELS)
        for sentence in found.warnings:
            warn(sentence)
        if found.file and (found.lossy or found.kind == "png"):
            return found.file, f"image/{found.kind}"
        if exact and found.turned:
            return found.turned, "image/jpeg"
        kind = "jpeg" if found.lossy and found.picture.mode == "RGB" else "png"
        return _encoded(found.picture, KEEPING[kind]), f"image/{kind}"

    def size(self, data: bytes) -> Size:
        found = measured(data, MAX_UPLOAD_PIXELS)
        return found.width, found.height

    def at_least(self, data: bytes, side: int) -> bytes:
        found = measured(data, MAX_UPLOAD_PIXELS)
        scale = side / min(found.width, found.height)
        if scale <= 1:
            return data
        size = (max(side, round(found.width * scale)), max(side, round(found.height * scale)))
        if size[0] * size[1] > MAX_UPLOAD_PIXELS:
            raise TooLarge(f"an image of {found.width}x{found.height} pixels is too narrow: a side needs {side}")
        picture = opened(data, MAX_UPLOAD_PIXELS).picture
        return _encoded(_covering(picture, size), KEEPING["png"])

    def vary(self, data: bytes, recipe: Recipe) -> bytes:
        from lambdas.adapters.images.transforms import variant

        return variant(data, recipe)

    def unwritable(self, text: str) -> str:
        from lambdas.adapters.images.lettering import unwritable

        return unwritable(text)


def decoded(data: bytes) -> Image:
    """Return untrusted bytes as a completely decoded picture, RGB or RGBA. Raises ProviderFailure(bad_answer)."""
    return answered(data).picture


def answered(data: bytes) -> Opened:
    """Open a picture of a provider. Raises ProviderFailure(bad_answer)."""
    try:
        return opened(data, MAX_PIXELS)
    except ServiceError as error:
        said = "the answer was not a whole PNG, JPEG or WebP picture of a usable size"
        raise ProviderFailure(Failure.BAD_ANSWER, said, paid="unknown") from error


def _covering(picture: Image, size: Size) -> Image:
    from PIL import Image, ImageOps

    return picture if picture.size == size else ImageOps.fit(picture, size, Image.Resampling.LANCZOS)


def _encoded(picture: Image, options: dict[str, Any]) -> bytes:
    from PIL import Image

    if options["format"] == "JPEG" and picture.mode == "RGBA":
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture).convert("RGB")
    out = io.BytesIO()
    picture.save(out, **options)
    return out.getvalue()
