"""What a service wants of a picture to start from, beyond what every upload has been checked for."""

from __future__ import annotations

import io
from typing import Final

from lambdas.domain.errors import ProviderFailure

MOST_PIXELS: Final = 25_000_000  # as of an upload


def at_least(image: bytes, side: int) -> bytes:
    """The picture as it is, or enlarged in proportion so that neither side has fewer pixels than `side`, as a PNG.

    Raises ProviderFailure("invalid_request") for one so narrow that it would become far too long.
    """
    from PIL import Image

    with Image.open(io.BytesIO(image)) as opened:
        scale = side / min(opened.size)
        if scale <= 1:
            return image
        size = (max(side, round(opened.width * scale)), max(side, round(opened.height * scale)))
        if size[0] * size[1] > MOST_PIXELS:
            raise ProviderFailure("invalid_request", f"the reference image needs {side} pixels a side")
        enlarged = opened.resize(size, Image.Resampling.LANCZOS)
    out = io.BytesIO()
    enlarged.save(out, "PNG")
    return out.getvalue()
