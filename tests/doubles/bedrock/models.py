"""The models of the Bedrock double: their request schemas, their pictures, and those that have ended."""

from __future__ import annotations

import base64
import hashlib
import io
import time
from typing import Any

RATIOS = {
    "1:1": (1024, 1024),
    "16:9": (1344, 768),
    "9:16": (768, 1344),
    "3:2": (1216, 832),
    "2:3": (832, 1216),
    "5:4": (1152, 896),
    "4:5": (896, 1152),
    "21:9": (1536, 640),
    "9:21": (640, 1536),
}
STYLES = [
    "3d-model",
    "analog-film",
    "anime",
    "cinematic",
    "comic-book",
    "digital-art",
    "enhance",
    "fantasy-art",
    "isometric",
    "line-art",
    "low-poly",
    "modeling-compound",
    "neon-punk",
    "origami",
    "photographic",
    "pixel-art",
    "tile-texture",
]


def _model(max_seed: int, formats: list[str], **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["prompt"],
        "additionalProperties": False,
        "properties": {
            "prompt": {"type": "string", "minLength": 1, "maxLength": 10_000},
            "negative_prompt": {"type": "string", "maxLength": 10_000},
            "aspect_ratio": {"enum": list(RATIOS)},
            "seed": {"type": "integer", "minimum": 0, "maximum": max_seed},
            "output_format": {"enum": formats},
            **more,
        },
    }


_FROM_IMAGE: dict[str, Any] = {
    "mode": {"enum": ["text-to-image", "image-to-image"]},
    "image": {"type": "string", "minLength": 1},
    "strength": {"type": "number", "minimum": 0, "maximum": 1},
}
_SD35_RULES: dict[str, Any] = {
    "if": {"properties": {"mode": {"const": "image-to-image"}}, "required": ["mode"]},
    "then": {"required": ["image", "strength"], "not": {"required": ["aspect_ratio"]}},
    "else": {"not": {"anyOf": [{"required": ["image"]}, {"required": ["strength"]}]}},
}

# The models that answer on demand, in us-west-2 only.
SCHEMAS: dict[str, dict[str, Any]] = {
    "stability.stable-image-core-v1:1": _model(4294967295, ["jpeg", "png"], style_preset={"enum": STYLES}),
    "stability.stable-image-ultra-v1:1": _model(4294967295, ["jpeg", "png"], **_FROM_IMAGE),
    "stability.sd3-5-large-v1:0": {**_model(4294967294, ["jpeg", "png", "webp"], **_FROM_IMAGE), **_SD35_RULES},
}

ENDED = frozenset(
    {
        "stability.stable-diffusion-xl-v0",
        "stability.stable-diffusion-xl-v1",
        "stability.stable-diffusion-xl-v1:0",
        "stability.sd3-large-v1:0",
        "stability.stable-image-core-v1:0",
        "stability.stable-image-ultra-v1:0",
        "amazon.nova-canvas-v1:0",
        "amazon.titan-image-generator-v1",
        "amazon.titan-image-generator-v2:0",
    }
)

# These answer only under the inference profile `us.` and are otherwise refused.
PROFILE_ONLY = frozenset(
    f"stability.{name}-v1:0"
    for name in [
        "stable-image-inpaint",
        "stable-outpaint",
        "stable-image-search-replace",
        "stable-image-search-recolor",
        "stable-image-erase-object",
        "stable-image-remove-background",
        "stable-image-control-sketch",
        "stable-image-control-structure",
        "stable-image-style-guide",
        "stable-style-transfer",
        "stable-creative-upscale",
        "stable-conservative-upscale",
        "stable-fast-upscale",
    ]
)


def size_of(image: str) -> tuple[int, int] | None:
    """Of a picture as base64; `None` where it is none."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(base64.b64decode(image, validate=True)), formats=("PNG", "JPEG", "WEBP")) as opened:
            opened.load()
            return opened.size
    except (OSError, ValueError, SyntaxError):
        return None


def wrong_start(body: dict[str, Any]) -> str | None:
    """What a model that starts from a picture would not take of it."""
    if "image" not in body:
        return None
    size = size_of(body["image"])
    return (
        None if size and min(size) >= 64 else "Malformed input request: image must have 64 pixels a side at the least"
    )


def paint(body: dict[str, Any]) -> bytes:
    """A picture of the ratio's size, or of that of the picture it starts from, whose bytes depend on the body alone."""
    from PIL import Image, ImageOps

    said = f"{body['prompt']}\n{body.get('negative_prompt')}\n{body.get('seed') or time.time_ns()}"
    size = RATIOS[body.get("aspect_ratio", "1:1")]
    if body.get("mode") == "image-to-image":
        said, size = f"{said}\n{body['image']}", size_of(body["image"]) or size
    ink = hashlib.sha256(said.encode()).digest()
    shade = Image.radial_gradient("L").resize(size)
    picture = ImageOps.colorize(shade, tuple(ink[:3]), tuple(ink[3:6]), mid=tuple(ink[6:9]))
    out = io.BytesIO()
    picture.save(out, body.get("output_format", "png").upper(), compress_level=1)
    return out.getvalue()
