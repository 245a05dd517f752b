"""Measures what a computed variant costs beside Pillow alone, in the same process and run.

`python -m benchmarks.delivery`: CPU milliseconds, the least of the rounds, and their ratio. The goal is 1.15 for the
first line; a stored variant costs no decoding at all, and a request that is known (304) no object either.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace

os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "1")

from PIL import Image

from lambdas.adapters.images.transforms import variant
from lambdas.domain.delivery import Recipe
from tests.support.deliveries import Shelf, saved

SIDE = 1024


def photo() -> Image.Image:
    """Noise over a gradient: about as hard to encode as a photograph, 1.8 MB as a PNG."""
    size = (SIDE, SIDE)
    noise = [Image.effect_noise(size, 24).resize(size) for _ in range(3)]
    grounds = [
        Image.linear_gradient("L").resize(size),
        Image.radial_gradient("L").resize(size),
        Image.new("L", size, 90),
    ]
    return Image.merge("RGB", [Image.blend(a, b, 0.3) for a, b in zip(grounds, noise, strict=True)])


def alone(data: bytes, size: tuple[int, int], kind: str, **options: object) -> bytes:
    picture = Image.open(io.BytesIO(data)).resize(size, Image.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def spent(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    logging.disable(logging.INFO)
    source = photo()
    png, jpeg = saved(source), saved(source, "jpeg", quality=92)
    webp = Recipe((512, 512), cover=False, format="webp", quality=80)
    small = replace(webp, size=(256, 256), format="jpeg", quality=82)
    cases: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "1024 PNG to 512 WebP": (
            lambda: alone(png, (512, 512), "WEBP", quality=80, method=4),
            lambda: variant(png, webp),
        ),
        "1024 JPEG to 256 JPEG": (
            lambda: alone(jpeg, (256, 256), "JPEG", quality=82, progressive=True, optimize=True),
            lambda: variant(jpeg, small),
        ),
    }
    print(f"{'':24}{'Pillow alone':>14}{'ours':>10}{'ratio':>8}")
    for name, (theirs, ours) in cases.items():
        pairs = [(spent(theirs), spent(ours)) for _ in range(rounds)]
        least = [min(times) for times in zip(*pairs, strict=True)]
        print(f"{name:24}{least[0]:>11.1f} ms{least[1]:>7.1f} ms{least[1] / least[0]:>8.2f}")
    shelf = Shelf(png)
    tag = shelf.get("w=512&format=webp").headers["ETag"]
    stored = min(spent(lambda: shelf.get("w=512&format=webp")) for _ in range(rounds))
    known = min(spent(lambda: shelf.get("w=512&format=webp", **{"If-None-Match": tag})) for _ in range(rounds))
    print(f"{'a stored variant, served':24}{'':>14}{stored:>7.1f} ms")
    print(f"{'a known variant, 304':24}{'':>14}{known:>7.1f} ms")


if __name__ == "__main__":
    main()
