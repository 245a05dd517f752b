"""Pictures that come with a request, read into arrays; a bad one is refused, never an error of the batch."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from gpu_worker.contract import Refusal

MOST_PIXELS = 40_000_000
KINDS = ("PNG", "JPEG", "WEBP")


@dataclass(frozen=True, slots=True)
class Picture:
    """`rgb`: height x width x 3. `alpha`: height x width, or None where every pixel is opaque."""

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None


def read(data: bytes) -> Picture:
    """Decode a PNG, JPEG or WebP as it is meant to be seen: turned as its EXIF says. Raises Refusal.

    Colours are taken as they are stored: a colour profile is not applied, since that would change the pixels.
    """
    try:
        with Image.open(io.BytesIO(data), formats=KINDS) as found:
            if found.width * found.height > MOST_PIXELS:
                raise Refusal("too_large", f"the image has more than {MOST_PIXELS} pixels")
            found.load()
            turned = ImageOps.exif_transpose(found)
    except Refusal:
        raise
    except Image.DecompressionBombError:
        raise Refusal("too_large", f"the image has more than {MOST_PIXELS} pixels") from None
    except (OSError, ValueError, SyntaxError, EOFError):
        raise Refusal("invalid_request", "the image cannot be read as PNG, JPEG or WebP") from None
    if turned.mode.startswith("I"):
        raise Refusal("invalid_request", "the image has 16 bits per channel; 8 are taken")
    if not turned.has_transparency_data:
        return Picture(np.asarray(turned.convert("RGB")), None)
    pixels = np.asarray(turned.convert("RGBA"))
    alpha = np.ascontiguousarray(pixels[..., 3])
    return Picture(np.ascontiguousarray(pixels[..., :3]), None if alpha.min() == 255 else alpha)


def fitted(data: bytes, width: int, height: int) -> Image.Image:
    """The picture at that size: scaled to cover it and cropped around its middle, over white where it is clear."""
    picture = read(data)
    image = Image.fromarray(picture.rgb)
    if picture.alpha is not None:
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=Image.fromarray(picture.alpha))
        image = white
    return ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
