"""Makes a variant of a stored picture with Pillow.

The order of the steps is fixed: orientation, colours to sRGB (both by the decoder), size, grayscale, blur, watermark,
encoding. A variant has no metadata but the mark that says how the picture came about.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

from lambdas.adapters.images.decoding import opened
from lambdas.adapters.images.lettering import write
from lambdas.adapters.images.pictures import MAX_PIXELS
from lambdas.domain.delivery import Recipe
from lambdas.domain.errors import ServiceError

if TYPE_CHECKING:
    from PIL.Image import Image

LARGE: Final = 768 * 768  # pixels: from here on WebP's better compression takes too long
FINE: Final = 90  # JPEG: above this quality colours keep their full resolution
GAP: Final = 3.0  # how many times larger than the result a picture is that a fast filter has made smaller
_TERMS: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_XMP: Final = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" Iptc4xmpExt:DigitalSourceType="{}"/>'
    '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)


def variant(data: bytes, recipe: Recipe) -> bytes:
    """Return the variant's file. Raises InvalidRequest for a watermark that has no room."""
    try:
        picture = opened(data, MAX_PIXELS, enough=_enough(recipe)).picture
    except ServiceError as error:  # the client did not send this picture
        raise ServiceError("the stored image cannot be read") from error
    picture = _sized(picture, recipe)
    if recipe.grayscale:
        picture = picture.convert("LA" if picture.mode == "RGBA" else "L")
    if recipe.blur:
        picture = _blurred(picture, recipe.blur)
    if recipe.watermark:
        picture = write(picture, recipe.watermark)
    return _encoded(picture, recipe)


def _enough(recipe: Recipe) -> tuple[int, int]:
    """Return the size from which on a JPEG's own, faster, scaling is followed by a good filter unseen."""
    return 2 * recipe.size[0], 2 * recipe.size[1]


def _sized(picture: Image, recipe: Recipe) -> Image:
    from PIL import Image

    box = _cut(picture.size, recipe.size) if recipe.cover else None
    if picture.size == recipe.size:
        return picture
    return picture.resize(recipe.size, Image.Resampling.LANCZOS, box=box, reducing_gap=GAP)


def _cut(source: tuple[int, int], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the largest part of the source that has the size's proportion, from its middle."""
    scale = min(source[0] / size[0], source[1] / size[1])
    width, height = size[0] * scale, size[1] * scale
    left, top = (source[0] - width) / 2, (source[1] - height) / 2
    return left, top, min(source[0], left + width), min(source[1], top + height)


def _blurred(picture: Image, radius: float) -> Image:
    """Blur colours by their opacity, so that what is clear does not colour its surroundings."""
    from PIL import ImageFilter

    mode = picture.mode
    weighted = {"RGBA": "RGBa", "LA": "La"}.get(mode, mode)
    blurred: Image = picture.convert(weighted).filter(ImageFilter.GaussianBlur(radius))
    return blurred.convert(mode)


def _encoded(picture: Image, recipe: Recipe) -> bytes:
    from PIL import Image, PngImagePlugin

    if recipe.format == "jpeg" and picture.mode in ("RGBA", "LA"):
        paper = Image.new("RGBA", picture.size, "white")
        flat = "L" if picture.mode == "LA" else "RGB"
        picture = Image.alpha_composite(paper, picture.convert("RGBA")).convert(flat)
    mark = mark_of(composite=recipe.composite)
    options: dict[str, Any] = {"xmp": mark}
    if recipe.format == "png":
        notes = PngImagePlugin.PngInfo()
        notes.add_itxt("XML:com.adobe.xmp", mark.decode())
        options = {"compress_level": 4, "pnginfo": notes}
    elif recipe.format == "jpeg":
        fine = recipe.quality is not None and recipe.quality > FINE
        options |= {"quality": recipe.quality, "progressive": True, "optimize": True, "subsampling": 0 if fine else 2}
    elif recipe.format == "webp":
        large = picture.width * picture.height > LARGE
        options |= {"quality": recipe.quality, "method": 2 if large else 4}
    else:
        options |= {"quality": recipe.quality, "speed": 8}
    out = io.BytesIO()
    picture.save(out, recipe.format.upper(), **options)
    return out.getvalue()


def mark_of(*, composite: bool) -> bytes:
    """Return XMP with IPTC's digital source type: a trained model made the picture, or a part of it."""
    word = "compositeWithTrainedAlgorithmicMedia" if composite else "trainedAlgorithmicMedia"
    return _XMP.format(_TERMS + word).encode()
