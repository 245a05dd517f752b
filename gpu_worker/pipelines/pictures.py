"""Decodes the pictures of requests into arrays. A bad picture is refused and does not fail the batch."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageCms, ImageOps

from gpu_worker.contract import Refusal
from gpu_worker.pipelines.picture_files import Broken, File, outlined

MAX_PIXELS = 25_000_000
OPAQUE: Final = 250  # an alpha channel with no value below counts as absent
SEEN: Final = 12  # of 255: fainter pixels are not product
CONVERTED: Final = "a colour profile other than sRGB was converted to sRGB"

_UNREADABLE: Final = "the image cannot be read as PNG, JPEG or WebP"
_SPACES: Final = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
_LEVELS: Final = (0, 3, 10, 32, 64, 100, 128, 160, 200, 230, 255)


@dataclass(frozen=True, slots=True)
class Picture:
    """`rgb`: height x width x 3. `alpha`: height x width, None if opaque throughout. `warnings`: sentences."""

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None
    warnings: tuple[str, ...] = ()


def read(data: bytes) -> Picture:
    """Decode a PNG, JPEG or WebP as it is meant to be seen: in sRGB, with its EXIF orientation applied. Raises Refusal.

    The cost of decoding is bounded before: pixels and scans are counted, and metadata is left out.
    """
    try:
        file = outlined(data)
    except Broken:
        raise Refusal("invalid_request", _UNREADABLE) from None
    if file.width * file.height > MAX_PIXELS:
        raise Refusal("too_large", f"the image has more than {MAX_PIXELS} pixels")
    try:
        return _decoded(file)
    except Refusal:
        raise
    except Exception:  # noqa: BLE001  Pillow's decoders raise anything on hostile bytes
        raise Refusal("invalid_request", _UNREADABLE) from None


def _decoded(file: File) -> Picture:
    with Image.open(io.BytesIO(file.data), formats=(file.kind,)) as found:
        if found.size != (file.width, file.height):
            raise ValueError("another size than its structure says")
        if found.mode.startswith("I") or (file.depth == 16 and file.key):
            raise Refusal("invalid_request", "the image has 16 bits per channel; 8 are taken")
        found.load()
        if file.key:
            scale = 255 // ((1 << file.depth) - 1)  # the decoder scaled the samples to 8 bits, but not the key
            key = tuple(value * scale for value in file.key)
            found.info["transparency"] = key[0] if len(key) == 1 else key
        profile, clear = found.info.get("icc_profile"), found.has_transparency_data
        turned = _turned(found)
    alpha = None
    if clear:
        seen = turned.convert("RGBA")
        alpha = seen.getchannel("A")
        turned = turned.convert("L") if turned.mode in ("L", "LA") else seen.convert("RGB")
    plain, warnings = _in_srgb(turned, profile)
    levels = None if alpha is None else np.asarray(alpha)
    return Picture(np.asarray(plain), None if levels is None or levels.min() >= OPAQUE else levels, warnings)


def _turned(found: Image.Image) -> Image.Image:
    try:
        lies = found.getexif().get(0x0112, 1) != 1  # otherwise Pillow would copy it
        return ImageOps.exif_transpose(found) if lies else found
    except Exception:  # noqa: BLE001  a broken EXIF block is ignored
        return found


def _in_srgb(picture: Image.Image, profile: bytes | None) -> tuple[Image.Image, tuple[str, ...]]:
    """Convert to RGB without alpha. A profile that cannot be used is ignored."""
    mode = _SPACES.get(profile[16:20]) if profile else None
    if profile and mode:
        bare = picture if picture.mode == mode else picture.convert("RGB") if mode == "RGB" else None
        if bare is not None and (made := _through(bare, profile)) is not None:
            return made, (CONVERTED,)
    return picture if picture.mode == "RGB" else picture.convert("RGB"), ()


def _through(picture: Image.Image, profile: bytes) -> Image.Image | None:
    """Convert with relative colorimetric intent; None if the profile is broken or changes no colour visibly."""
    try:
        source, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        how = ImageCms.Intent.RELATIVE_COLORIMETRIC
        transform = ImageCms.buildTransform(source, srgb, picture.mode, "RGB", how)
        if picture.mode != "CMYK":
            levels = bytes(n for r in _LEVELS for g in _LEVELS for b in _LEVELS for n in (r, g, b))
            probe = Image.frombytes("RGB", (len(levels) // 3, 1), levels).convert(picture.mode)
            shown = ImageCms.applyTransform(probe, transform)
            if shown is None or np.asarray(ImageChops.difference(shown, probe.convert("RGB"))).max() <= 2:
                return None
        return ImageCms.applyTransform(picture, transform)
    except Exception:  # noqa: BLE001  LittleCMS's binding raises anything on hostile bytes
        return None


def fitted(data: bytes, width: int, height: int) -> Image.Image:
    """Return the picture scaled to cover the size and cropped around its middle; transparency shows as white."""
    picture = read(data)
    image = Image.fromarray(picture.rgb)
    if picture.alpha is not None:
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=Image.fromarray(picture.alpha))
        image = white
    return ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
