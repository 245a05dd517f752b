"""Products drawn here: shapes with texture and soft edges, with an alpha channel or on a plain ground."""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Product:
    """`coverage` is the true share of each pixel, 0 to 1; `rgb` the photo's colours."""

    rgb: Array
    coverage: Array

    def file(self, alpha: bool, kind: str = "PNG") -> bytes:
        pixels = self.rgb
        if alpha:
            pixels = np.dstack([pixels, np.round(self.coverage * 255).astype(np.uint8)])
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
        return out.getvalue()


def draw(
    seed: int, width: int = 160, height: int = 120, scale: float = 1.0, at: tuple[float, float] = (0, 0)
) -> Product:
    """A shape of the seed in the middle of the picture, moved by `at`, filled with noise over a colour."""
    rng = np.random.default_rng(seed)
    fine = 4
    mask = Image.new("L", (width * fine, height * fine))
    pen = ImageDraw.Draw(mask)
    reach = scale * min(width, height) * fine * rng.uniform(0.25, 0.4)
    x, y = (width / 2 + at[0]) * fine, (height / 2 + at[1]) * fine
    wide, tall = reach, reach * rng.uniform(0.6, 1.0)
    box = (x - wide, y - tall, x + wide, y + tall)
    kind = seed % 4
    if kind == 0:
        pen.ellipse(box, fill=255)
    elif kind == 1:
        pen.rounded_rectangle(box, radius=reach / 4, fill=255)
    elif kind == 2:
        turns = np.sort(rng.uniform(0, 2 * np.pi, 9))
        far = rng.uniform(0.6, 1.0, 9)
        corners = zip(x + wide * far * np.cos(turns), y + tall * far * np.sin(turns), strict=True)
        pen.polygon([(float(a), float(b)) for a, b in corners], fill=255)
    else:
        pen.ellipse(box, fill=255)
        pen.ellipse((x - wide / 3, y - tall / 3, x + wide / 3, y + tall / 3), fill=0)
    coverage = np.asarray(mask.resize((width, height), Image.Resampling.BOX), np.float32) / 255
    colour = rng.integers(30, 226, 3)
    texture = np.clip(colour + rng.normal(0, 25, (height, width, 3)), 0, 255)
    ground = np.full((height, width, 3), 245.0)
    rgb = texture * coverage[..., None] + ground * (1 - coverage[..., None])
    return Product(np.round(rgb).astype(np.uint8), coverage)


def softened(coverage: Array, radius: float) -> Array:
    """The same with a softer edge."""
    levels = Image.fromarray(np.round(coverage * 255).astype(np.uint8))
    return np.asarray(levels.filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255


def falls(scores: list[float]) -> bool:
    """Each is lower than the one before."""
    return all(better > worse for better, worse in itertools.pairwise(scores))
