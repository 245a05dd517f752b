"""Decodes every picture, of clients and of providers: of known kinds, at a bounded cost, upright and in sRGB.

The file's structure gives its kind and the cost of decoding first; then one decoder runs, on a file that is rebuilt
from the parts of its picture alone. Every exception of a decoder is raised as one of this module's own.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lambdas.adapters.images.colours import to_srgb
from lambdas.adapters.images.files import outlined
from lambdas.adapters.images.jpeg import noted
from lambdas.adapters.images.kinds import is_cut_or_text, named
from lambdas.adapters.images.outline import Broken, Outline
from lambdas.domain.errors import MalformedBody, TooLarge, UnsupportedMediaType

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_MEMORY: Final = 320_000_000  # bytes while decoding a picture
MAX_WORK: Final = 1_000_000_000  # samples processed: 40 times all of the largest upload's, or 100 times a small one's

_BAD: Final = "the image is cut off or damaged"
_TURNS: Final = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # EXIF's orientation -> Pillow's Transpose


@dataclass(frozen=True, slots=True)
class Opened:
    """`picture`: RGB or RGBA, upright, in sRGB, without metadata.

    `file`: a file of its kind with just these pixels and nothing else, if available without encoding. `turned`: the
    same of a JPEG that must be rotated, with the EXIF orientation. `plain`: whether `file` is the input. `warnings` are
    for the sender.
    """

    picture: Image
    kind: str
    lossy: bool
    file: bytes | None = field(repr=False)
    turned: bytes | None = field(default=None, repr=False)
    plain: bool = False
    warnings: tuple[str, ...] = ()


def measured(data: bytes, max_pixels: int) -> Outline:
    """Parse the file's structure. Raises UnsupportedMediaType, MalformedBody and TooLarge."""
    try:
        found = outlined(data)
    except Broken as broken:
        raise MalformedBody(str(broken)) from None
    if found is None:
        kind = named(data)
        if kind is None and is_cut_or_text(data):
            raise MalformedBody("the image could not be read: it must be a whole PNG, JPEG or WebP file")
        raise UnsupportedMediaType(f"an image must be PNG, JPEG or WebP, not {kind or 'a file of another type'}")
    if found.pixels > max_pixels:
        raise TooLarge(f"an image may have {max_pixels} pixels at the most, not {found.pixels}")
    if found.memory > MAX_MEMORY:
        raise TooLarge(f"an image of {found.width}x{found.height} pixels that is stored in this way is too large")
    if found.work > MAX_WORK:
        raise MalformedBody("the image has more scans than one of its size can need")
    return found


def opened(data: bytes, max_pixels: int, enough: tuple[int, int] | None = None) -> Opened:
    """Decode a picture. Raises as `measured`.

    `enough`: the picture may be decoded at a half, a quarter or an eighth, as JPEG can, down to these sides.
    """
    from PIL import Image

    outline = measured(data, max_pixels)
    try:
        picture = _decoded(outline, enough)
        picture, said = to_srgb(picture, outline.colours)
        if (turn := _TURNS.get(outline.orientation)) is not None:
            picture = picture.transpose(Image.Transpose(turn))
    except Exception as error:  # any exception: codecs raise more than they document
        raise MalformedBody(_BAD) from error
    picture.info.clear()
    kept = said is None and outline.frame is None and outline.key is None
    same = kept and outline.orientation == 1
    return Opened(
        picture,
        outline.kind,
        outline.lossy,
        outline.file if same and (outline.direct or outline.kind == "jpeg") else None,
        noted(outline.file, outline.orientation) if kept and not same and outline.kind == "jpeg" else None,
        plain=outline.plain and outline.direct and same,
        warnings=(said,) if said else (),
    )


def _decoded(outline: Outline, enough: tuple[int, int] | None) -> Image:
    from PIL import Image

    if outline.kind == "webp":
        return _webp(outline)
    picture = Image.open(io.BytesIO(outline.file), formats=(outline.kind.upper(),))
    if picture.size != (outline.width, outline.height):
        raise ValueError("another size than its structure says")
    if outline.depth == 16 and picture.mode == "I;16":
        return _deep_grey(picture, outline.key)
    if outline.depth == 16 and outline.key:
        return _deep_colours(picture, outline)
    if enough and outline.kind == "jpeg":
        picture.draft(None, enough[::-1] if outline.orientation > 4 else enough)
    picture.load()
    if outline.key:
        scale = 255 // ((1 << outline.depth) - 1)  # the decoder scaled the samples to 8 bits, but not the key
        key = tuple(value * scale for value in outline.key)
        picture.info["transparency"] = key[0] if len(key) == 1 else key
        return picture.convert("RGBA" if len(key) == 3 else "LA")
    return picture


def _deep_grey(picture: Image, key: tuple[int, ...] | None) -> Image:
    """Return 16 bits of grey as their upper 8. The transparent value is compared in all 16."""
    from PIL import Image

    raw, size = picture.tobytes(), picture.size  # the lower 8 bits come first
    picture.close()  # frees 50 MB at 25 megapixels
    grey = Image.frombytes("L", size, raw[1::2])
    if key is None:
        return grey
    below = Image.frombytes("L", size, raw[::2])
    del raw
    return _with_alpha(grey, [(grey, key[0] >> 8), (below, key[0] & 255)])


def _deep_colours(picture: Image, outline: Outline) -> Image:
    """Return 16-bit colours as their upper 8 bits; the lower ones are decoded to compare the transparent value."""
    from PIL import Image

    assert outline.key  # noqa: S101 - called only for a picture with a key
    below = Image.open(io.BytesIO(outline.file), formats=("PNG",))
    below.tile = [tile._replace(args="RGB;16L") for tile in below.tile]  # selects the second byte of each pair
    picture.load()
    below.load()
    wanted = [(band, value >> 8) for band, value in zip(picture.split(), outline.key, strict=True)]
    wanted += [(band, value & 255) for band, value in zip(below.split(), outline.key, strict=True)]
    return _with_alpha(picture, wanted)


def _with_alpha(picture: Image, clear: list[tuple[Image, int]]) -> Image:
    """Return the picture, transparent where each of the bands has its value."""
    from PIL import ImageChops

    alpha = None
    for band, value in clear:
        other = band.point([0 if level == value else 255 for level in range(256)])
        alpha = other if alpha is None else ImageChops.lighter(alpha, other)
    made = picture.convert("LA" if picture.mode == "L" else "RGBA")
    if alpha is not None:
        made.putalpha(alpha)
    return made


def _webp(outline: Outline) -> Image:
    """Decode with Pillow's decoder itself: its plugin holds a second copy, 100 MB at 25 megapixels."""
    from PIL import Image, _webp

    decoder = _webp.WebPAnimDecoder(outline.file)
    told, _, _, _, mode = decoder.get_info()
    size = outline.frame[2:] if outline.frame else (outline.width, outline.height)
    if told != size:
        raise ValueError("another size than its structure says")
    found = decoder.get_next()
    if found is None:
        raise ValueError("no frame")
    del decoder
    picture = Image.frombuffer("RGBA", size, found[0], "raw", "RGBA", 0, 1)
    if mode != "RGBA":
        picture = picture.convert("RGB")
    if outline.frame and size != (outline.width, outline.height):
        canvas = Image.new("RGBA", (outline.width, outline.height))
        canvas.paste(picture, outline.frame[:2])
        return canvas
    return picture
