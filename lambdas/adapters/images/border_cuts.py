"""Cuts a product out by the colour of its photo's border, with Pillow alone.

Pixels of that colour are ground if they are connected to the border: an area enclosed by the product, such as a white
label on white, stays with it. The rim is as opaque as the product's share of it, and has the product's colour.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from PIL.Image import Image

NEAR: Final = 16  # of 255: up to this distance from the border's colour a pixel is ground
FAR: Final = 48  # from this distance on it is product, if no solid pixel is near to compare it with
SURE: Final = 0.9  # a rim pixel of this share is fully product: otherwise texture would be taken for softness
REACH: Final = 3  # pixels: distance from the rim within which the product's colour is sampled
SIDE: Final = 512  # pixels: connected areas are searched at no larger size
TILE: Final = 256  # pixels per side of a tile
MAX_RIM: Final = 0.5  # share of the product

_RAMP: Final = [round(255 * min(1.0, max(0.0, (level - NEAR) / (FAR - NEAR)))) for level in range(256)]
_RUN: Final = re.compile(rb"\xff+")


def cut(rgb: Image, ground: tuple[int, int, int]) -> tuple[Image, Image, Image, float]:
    """Return colours, alpha, distance from the ground (0 to 255), and the enclosed ground's share of the product."""
    from PIL import Image, ImageChops

    bands = ImageChops.difference(rgb, Image.new("RGB", rgb.size, ground)).split()
    far = ImageChops.lighter(ImageChops.lighter(bands[0], bands[1]), bands[2])
    near = far.point([255] * (NEAR + 1) + [0] * (255 - NEAR))
    outside = _hanging_together(near)
    solid = ImageChops.invert(outside)
    wide = _grown(_grown(outside))
    core = ImageChops.subtract(solid, wide)
    count = solid.histogram()[255]
    enclosed = ImageChops.darker(near, solid).histogram()[255] / count if count else 0.0
    colours, alpha = rgb.copy(), solid.copy()
    rim = ImageChops.darker(solid, wide)
    if rim.histogram()[255] > MAX_RIM * count:  # not a product on a plain ground, and slow to process
        return colours, ImageChops.darker(solid, far.point(_RAMP)), far, enclosed
    for top in range(0, rgb.height, TILE):
        for left in range(0, rgb.width, TILE):
            right, bottom = min(rgb.width, left + TILE), min(rgb.height, top + TILE)
            if rim.crop((left, top, right, bottom)).getbbox() is None:
                continue
            room = (
                max(0, left - REACH),
                max(0, top - REACH),
                min(rgb.width, right + REACH),
                min(rgb.height, bottom + REACH),
            )
            made, opacity = _rim(*(picture.crop(room) for picture in (rgb, far, solid, core)))
            inner = left - room[0], top - room[1], right - room[0], bottom - room[1]
            colours.paste(made.crop(inner), (left, top))
            alpha.paste(opacity.crop(inner), (left, top))
    return colours, alpha, far, enclosed


def _rim(rgb: Image, far: Image, solid: Image, core: Image) -> tuple[Image, Image]:
    """Return a tile's colours and alpha without ground in its rim, from the core pixels near each rim pixel."""
    from PIL import Image, ImageChops

    near = _about(core, core)
    known = near.point([0] * 16 + [255] * 240)
    share = _divided(far, near, _about(far, core), 1 / SURE)
    opacity = Image.composite(share, far.point(_RAMP), known)
    opacity = Image.composite(solid, ImageChops.darker(opacity, solid), core)
    mean = Image.merge(
        "RGB", [_divided(_about(band, core), near.point([255] * 256), near, 1.0) for band in rgb.split()]
    )
    soft = opacity.point([0] + [255] * 254 + [0])
    return Image.composite(mean, rgb, ImageChops.darker(soft, known)), opacity


def _about(band: Image, core: Image) -> Image:
    """Return the mean around each pixel of the band in the core, counting 0 elsewhere."""
    from PIL import ImageChops, ImageFilter

    return ImageChops.multiply(band, core).filter(ImageFilter.BoxBlur(REACH))


def _grown(mask: Image) -> Image:
    """Return the mask extended by its neighbours. A filter of Pillow takes three times as long."""
    from PIL import ImageChops

    width, height = mask.size
    made = mask
    for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        made = ImageChops.lighter(made, mask.crop((x, y, x + width, y + height)))
    return made


def _divided(one: Image, times: Image, by: Image, factor: float) -> Image:
    from PIL import ImageMath

    def work(of: dict[str, Any]) -> Any:
        return of["convert"](of["min"](of["a"] * of["b"] * factor / of["max"](of["c"], 1), 255) + 0.5, "L")

    floats = {name: picture.convert("F") for name, picture in (("a", one), ("b", times), ("c", by))}
    made: Image = ImageMath.lambda_eval(work, **floats)
    return made


def _hanging_together(near: Image) -> Image:
    """Return the part of the pixels of 255 that is connected to the border of the picture."""
    from PIL import ImageChops

    factor = 1
    small: Image = ImageChops.invert(near)
    while max(small.size) > SIDE:
        step = min(8, -(-max(small.size) // SIDE))
        small, factor = small.reduce(step).point([0] + [255] * 255), factor * step
    reached = _reached(ImageChops.invert(small))
    if factor == 1:
        return reached
    whole: Image = reached.resize((reached.width * factor, reached.height * factor), 0).crop((0, 0, *near.size))
    for _ in range(factor + 1):  # adds the pixels at the product's edge that the coarse search left out
        whole = ImageChops.darker(_grown(whole), near)
    return whole


def _reached(mask: Image) -> Image:
    """Return the part of a mask that is connected to its border by sides, run by run."""
    from PIL import Image

    width, height = mask.size
    data = mask.tobytes()
    parents: list[int] = [0]  # of each run; 0 is the border

    def root(run: int) -> int:
        while parents[run] != run:
            parents[run] = parents[parents[run]]
            run = parents[run]
        return run

    rows: list[list[tuple[int, int, int]]] = []
    above: list[tuple[int, int, int]] = []
    for y in range(height):
        row = []
        at = 0
        for found in _RUN.finditer(data[y * width : (y + 1) * width]):
            start, end = found.span()
            number = len(parents)
            parents.append(number)
            row.append((start, end, number))
            if y in (0, height - 1) or start == 0 or end == width:
                parents[number] = 0
            while at < len(above) and above[at][1] <= start:
                at += 1
            other = at
            while other < len(above) and above[other][0] < end:
                one, two = sorted((root(number), root(above[other][2])))
                parents[two] = one
                other += 1
        rows.append(row)
        above = row
    made = bytearray(width * height)
    for y, row in enumerate(rows):
        for start, end, number in row:
            if root(number) == 0:
                made[y * width + start : y * width + end] = b"\xff" * (end - start)
    return Image.frombytes("L", mask.size, bytes(made))
