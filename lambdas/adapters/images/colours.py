"""Converts the colours of a decoded picture to sRGB, by the colour information of its file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

from lambdas.adapters.images.outline import Colours
from lambdas.adapters.images.profiles import written

if TYPE_CHECKING:
    from PIL.Image import Image

CONVERTED: Final = "a colour profile other than sRGB was converted to sRGB"
IGNORED: Final = "a colour profile could not be read and was ignored"

_CLASSES: Final = (b"scnr", b"mntr", b"prtr", b"spac")
_SPACES: Final = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
_SAME: Final = 2  # of 255: a profile that moves no colour by more is equivalent to sRGB
_PROBES: Final = (0, 3, 10, 32, 64, 100, 128, 160, 200, 230, 255)


class _Unreadable(Exception):
    """The profile is broken, or is for another kind of picture."""


def to_srgb(picture: Image, colours: Colours) -> tuple[Image, str | None]:
    """Return the picture as RGB or RGBA, and a warning for the client or `None`. `picture` may be changed.

    The intent is relative colorimetric. A profile that is broken, or for another kind of picture, is ignored.
    """
    profile = written(colours) if colours.profile is None else colours.profile
    if profile is None:
        return _as_rgb(picture), None
    try:
        made = _through(picture, profile)
    except Exception:  # noqa: BLE001  LittleCMS's binding raises anything on hostile bytes
        return _as_rgb(picture), IGNORED
    return (_as_rgb(picture), None) if made is None else (made, CONVERTED)


def _through(picture: Image, profile: bytes) -> Image | None:
    """Convert to sRGB; `None` if it is sRGB already. Raises _Unreadable and LittleCMS's exceptions."""
    from PIL import ImageCms

    mode = _SPACES.get(profile[16:20])
    if mode is None or profile[36:40] != b"acsp" or profile[12:16] not in _CLASSES:
        raise _Unreadable
    alpha = picture.getchannel("A") if picture.mode == "LA" and mode == "L" else None
    if mode == "RGB":
        if picture.mode == "CMYK":
            raise _Unreadable
        picture = _as_rgb(picture)
    elif picture.mode not in ((mode, "LA") if mode == "L" else (mode,)):
        raise _Unreadable
    source, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    how = ImageCms.Intent.RELATIVE_COLORIMETRIC
    if mode != "CMYK" and _same(ImageCms.buildTransform(source, srgb, mode, "RGB", how), mode):
        return None
    if mode == "RGB":
        transform = ImageCms.buildTransform(source, srgb, picture.mode, picture.mode, how)
        ImageCms.applyTransform(picture, transform, inPlace=True)
        return picture
    grey = picture.getchannel("L") if picture.mode == "LA" else picture
    made = ImageCms.applyTransform(grey, ImageCms.buildTransform(source, srgb, mode, "RGB", how))
    if made is None:
        raise _Unreadable
    if alpha is not None:
        made.putalpha(alpha)
    return made


def _same(transform: Any, mode: str) -> bool:
    """Return whether the transform moves none of a set of colours by more than _SAME. Raises _Unreadable."""
    from PIL import Image, ImageChops, ImageCms

    if mode == "L":
        probe = Image.frombytes("L", (256, 1), bytes(range(256)))
    else:
        levels = bytes(n for red in _PROBES for green in _PROBES for blue in _PROBES for n in (red, green, blue))
        probe = Image.frombytes("RGB", (len(levels) // 3, 1), levels)
    made = ImageCms.applyTransform(probe, transform)
    if made is None:
        raise _Unreadable
    extrema: Any = ImageChops.difference(made, probe.convert("RGB")).getextrema()
    return bool(max(most for _, most in extrema) <= _SAME)


def _as_rgb(picture: Image) -> Image:
    if picture.mode in ("RGB", "RGBA"):
        return picture
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")
