"""Stability's editing services of the Bedrock double: their input checks and their pictures."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import Any

_PICTURE: dict[str, Any] = {"type": "string", "minLength": 1}
_FORMAT: dict[str, Any] = {"enum": ["jpeg", "png", "webp"]}
CUT = "us.stability.stable-image-remove-background-v1:0"
PAINT = "us.stability.stable-image-inpaint-v1:0"
MAX_PIXELS = 9_437_184

SCHEMAS: dict[str, dict[str, Any]] = {
    CUT: {
        "type": "object",
        "required": ["image"],
        "additionalProperties": False,
        "properties": {"image": _PICTURE, "output_format": _FORMAT},
    },
    PAINT: {
        "type": "object",
        "required": ["prompt", "image"],
        "additionalProperties": False,
        "properties": {
            "prompt": {"type": "string", "minLength": 1, "maxLength": 10_000},
            "negative_prompt": {"type": "string", "maxLength": 10_000},
            "image": _PICTURE,
            "mask": _PICTURE,
            "grow_mask": {"type": "integer", "minimum": 0, "maximum": 20},
            "seed": {"type": "integer", "minimum": 0, "maximum": 4294967294},
            "output_format": _FORMAT,
        },
    },
}


def wrong(body: dict[str, Any]) -> str | None:
    """What the service would say of the call's pictures; `None` where it would take them."""
    for name in ("image", "mask"):
        if name not in body:
            continue
        try:
            picture = _open(body[name])
        except (OSError, ValueError):
            return f"{name} is no picture"
        width, height = picture.size
        if min(width, height) < 64 or width * height > MAX_PIXELS or not 0.4 <= width / height <= 2.5:
            return f"{name} of {width}x{height} is not within the limits"
    return None


def edit(model: str, body: dict[str, Any]) -> bytes:
    """The picture without what has the colour of its corner, or with new surroundings.

    As the real model does, the second changes a little also what it was told to leave.
    """
    from PIL import Image, ImageChops, ImageOps

    picture = _open(body["image"]).convert("RGB")
    if model == CUT:
        ground = Image.new("RGB", picture.size, picture.getpixel((0, 0)))
        far = ImageChops.difference(picture, ground).convert("L")
        picture.putalpha(far.point([0] * 12 + [255] * 244))
    else:
        ink = hashlib.sha256(repr((body["prompt"], body.get("negative_prompt"), body.get("seed"))).encode()).digest()
        shade = Image.radial_gradient("L").resize(picture.size)
        scene = ImageOps.colorize(shade, tuple(ink[:3]), tuple(ink[3:6]), mid=tuple(ink[6:9]))
        left = ImageChops.add(picture, Image.new("RGB", picture.size, (1, 2, 3)))
        picture = Image.composite(scene, left, _open(body["mask"]).convert("L").resize(picture.size))
    out = io.BytesIO()
    picture.save(out, body.get("output_format", "png").upper())
    return out.getvalue()


def _open(text: str) -> Any:
    from PIL import Image

    return Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=("PNG", "JPEG", "WEBP"))
