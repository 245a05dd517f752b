"""The port Pictures with Pillow: hostile until decoded, then of the promised size and format and nothing more."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

from lambdas.adapters.picture_files import is_plain, png_ends
from lambdas.domain.errors import MalformedBody, ProviderFailure, TooLarge, UnsupportedMediaType
from lambdas.domain.model_card import Size

if TYPE_CHECKING:
    from PIL.Image import Image

KINDS: Final = ("PNG", "JPEG", "WEBP")  # of the 43 decoders of Pillow, some of which call other programs
MAX_PIXELS: Final = 40_000_000
MAX_UPLOAD_PIXELS: Final = 25_000_000

# PNG: the step from 3 to 4 saves a sixth, that to 6 nothing for twice the time. WebP: lossy, because who wants every
# pixel asks for PNG; method 2 is twice as fast as the default at the same size.
ENCODING: Final[dict[str, dict[str, Any]]] = {
    "png": {"format": "PNG", "compress_level": 4},
    "jpeg": {"format": "JPEG", "quality": 92, "optimize": True},
    "webp": {"format": "WEBP", "quality": 90, "method": 2},
}


class PillowPictures:
    def fit(self, data: bytes, size: Size, fmt: str) -> tuple[bytes, Size]:
        """See the port. Scaled to cover and cropped at the centre; the first frame of an animation."""
        picture = decoded(data)
        kind = str(picture.format).lower()
        if kind == fmt and picture.size == size and picture.mode in ("RGB", "RGBA") and is_plain(data, kind):
            return data, size
        upright = _upright(picture)
        return _encoded(_covering(upright, size), fmt), upright.size

    def take(self, data: bytes) -> tuple[bytes, str]:
        """See the port."""
        from PIL import Image

        try:
            with Image.open(io.BytesIO(data)) as opened:
                kind, pixels = opened.format, opened.width * opened.height
        except Image.DecompressionBombError:
            raise TooLarge(f"an image may have {MAX_UPLOAD_PIXELS} pixels at the most") from None
        except Exception:  # noqa: BLE001  Pillow's decoders raise anything on hostile bytes
            raise MalformedBody("the image could not be read: it must be a whole PNG, JPEG or WebP file") from None
        if kind not in KINDS:
            raise UnsupportedMediaType(f"an image must be PNG, JPEG or WebP, not {kind}")
        if pixels > MAX_UPLOAD_PIXELS:
            raise TooLarge(f"an image may have {MAX_UPLOAD_PIXELS} pixels at the most, not {pixels}")
        try:
            picture = _upright(decoded(data))
        except ProviderFailure:
            raise MalformedBody("the image is cut off or damaged") from None
        return _encoded(picture, "png"), "image/png"


def decoded(data: bytes) -> Image:
    """Hostile bytes as a picture that is wholly there. Raises ProviderFailure("bad_answer")."""
    from PIL import Image

    try:
        picture = Image.open(io.BytesIO(data), formats=KINDS)
        width, height = picture.size
        if width * height > MAX_PIXELS:
            raise ValueError("too many pixels")
        picture.load()
        if picture.format == "PNG" and not png_ends(data):
            raise ValueError("truncated")
    except Exception as error:
        raise ProviderFailure(
            "bad_answer", "the answer was not a whole PNG, JPEG or WebP picture of a usable size", paid="unknown"
        ) from error
    return picture


def _upright(picture: Image) -> Image:
    """As RGB or RGBA, turned as its EXIF says, and free of every note that an encoder would copy."""
    from PIL import ImageOps

    try:
        picture = ImageOps.exif_transpose(picture)
    except Exception:  # noqa: BLE001  a broken EXIF block turns nothing
        picture = picture.copy()
    if picture.mode == "I;16":
        picture = picture.point(lambda value: value / 256).convert("L")  # convert alone would cut off at 255
    picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    picture.info.clear()
    return picture


def _covering(picture: Image, size: Size) -> Image:
    from PIL import Image, ImageOps

    return picture if picture.size == size else ImageOps.fit(picture, size, Image.Resampling.LANCZOS)


def _encoded(picture: Image, fmt: str) -> bytes:
    from PIL import Image

    if fmt == "jpeg" and picture.mode == "RGBA":
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture).convert("RGB")
    out = io.BytesIO()
    picture.save(out, **ENCODING[fmt])
    return out.getvalue()
