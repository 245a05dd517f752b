"""Backgrounds of the GPU worker's double: its own placement, compositing and scoring, around a drawn scene."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gpu_worker.background import confidence as score
from gpu_worker.background.composite import compose
from gpu_worker.background.cutout import by_alpha, by_probability
from gpu_worker.background.placement import place, scene_size
from gpu_worker.contract import PaintRequest
from gpu_worker.pipelines.pictures import read

SCENE_PIXELS = 256 * 256


def scene(asked: PaintRequest) -> dict[str, Any]:
    """The fields of the answer that are a background's: image, mask, size, confidence, components, warnings, place.

    Raises Refusal.
    """
    picture = read(asked.image or b"")
    cut = by_alpha(picture) if picture.alpha is not None else by_probability(picture, _probability(picture.rgb))
    placed = place(cut, asked.width, asked.height, asked.padding)
    width, height = scene_size(*placed.size, SCENE_PIXELS)
    ink = hashlib.sha256(repr((asked.prompt, asked.negative_prompt, asked.seed)).encode()).digest()
    drawn = np.random.default_rng(list(ink)).integers(0, 256, (height, width, 3), np.uint8)
    made, exact = compose(drawn, placed)
    parts: dict[str, float | None] = {
        "mask_certainty": None if cut.probability is None else score.mask_certainty(cut.probability),
        "expansion": None,
        "edge_clipped": score.edge_clipped(cut.alpha),
        "area_fraction": score.area_fraction(cut.alpha),
        "exact_pixel_fraction": exact,
    }
    confidence = score.overall(parts)
    return {
        "image": _file(Image.fromarray(made), asked.format),
        "mask": _file(Image.fromarray(placed.alpha), "png"),
        "width": placed.size[0],
        "height": placed.size[1],
        "confidence": confidence,
        "components": parts,
        "warnings": (f"low confidence in the cut-out ({confidence:.2f}): look at the mask",)
        if confidence < score.LOW
        else (),
        "at": placed.at,
    }


def spoilt(answer: dict[str, Any], kind: str) -> dict[str, Any]:
    """The answer of a worker that is not what it should be."""
    if kind == "no_mask":
        return {name: value for name, value in answer.items() if name != "mask"}
    if kind == "no_place":
        return {name: value for name, value in answer.items() if name != "at"}
    if kind == "wrong_confidence":
        return answer | {"confidence": 1.5}
    if kind == "wrong_place":
        return answer | {"at": [answer["at"][0] + 1, answer["at"][1]]}
    picture: Image.Image = Image.open(io.BytesIO(base64.b64decode(answer["image"])))
    if kind == "other_size":
        picture = picture.resize((picture.width + 8, picture.height))
    if kind == "other_pixels":
        picture = picture.point([min(255, level + 1) for level in range(256)] * 3)
    return answer | {"image": base64.b64encode(_file(picture, answer["format"])).decode()}


def _probability(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """As a segmenter would say it of a product on a plain ground: what differs from the corner."""
    far = np.abs(rgb.astype(np.int16) - rgb[0, 0]).max(axis=-1)
    return np.asarray(np.clip(far / 24, 0, 1), np.float32)


def _file(picture: Image.Image, fmt: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, fmt.upper(), **({"lossless": True} if fmt == "webp" else {}))
    return out.getvalue()
