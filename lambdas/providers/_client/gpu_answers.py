"""Reads the GPU worker's answers other than images: a product's mask and confidence, and purged models."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from lambdas.domain.base64_text import decode
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.jobs.request import GeneratedImage
from lambdas.domain.ports.providers import Purged
from lambdas.providers._client.hostile_json import mapping

MAX_PARTS: Final = 20
MAX_OF_A_PART: Final = 1e9  # the parts of a confidence are shares and ratios
MAX_WARNINGS: Final = 10
MAX_MODELS: Final = 100
MAX_SECONDS: Final = 3600.0  # no call lasts longer
MAX_OFFSET: Final = 25_000_000  # pixels; no upload has more in total, so no side is longer


def with_mask(image: GeneratedImage, answer: dict[str, Any], who: str) -> GeneratedImage:
    """Return the image with the mask, confidence and warnings of its product. Raises ProviderFailure."""
    try:
        mask = decode(answer.get("mask", ""))
    except ValueError:
        mask = b""
    confidence, parts, said = (answer.get(name) for name in ("confidence", "components", "warnings"))
    if not mask or not _is_number(confidence) or not 0 <= confidence <= 1:  # type: ignore[operator]
        raise ProviderFailure(Failure.BAD_ANSWER, f"{who} gave no mask, or no confidence from 0 to 1")
    return replace(
        image,
        mask=mask,
        confidence=float(confidence or 0),
        components=_parts(parts) if isinstance(parts, dict) else {},
        warnings=tuple(str(text)[:200] for text in said[:MAX_WARNINGS]) if isinstance(said, list) else (),
        at=_corner(answer.get("at"), who),
    )


def with_times(image: GeneratedImage, answer: dict[str, Any]) -> GeneratedImage:
    """Return the image with the seconds of the answer, without invalid numbers."""
    times = mapping(answer.get("timings"))
    known = {name: float(times[name]) for name in ("paint", "load") if _is_seconds(times.get(name))}
    return replace(image, painted=known.get("paint"), loaded=known.get("load"))


def to_purged(answer: object, who: str) -> Purged:
    """Read the answer to a purge. Raises ProviderFailure(bad_answer)."""
    lists = [mapping(answer).get(name) for name in ("removed", "remaining")]
    if not all(isinstance(found, list) for found in lists):
        raise ProviderFailure(Failure.BAD_ANSWER, f"{who} answered in an unknown form")
    removed, remaining = (tuple(str(name)[:200] for name in (found or ())[:MAX_MODELS]) for found in lists)
    return Purged(removed, remaining)


def _corner(at: object, who: str) -> tuple[int, int] | None:
    """Return the photo's position on the canvas. It is negative where the canvas cuts off an edge of the photo."""
    if at is None:
        return None
    if isinstance(at, list) and len(at) == 2 and all(type(n) is int and abs(n) <= MAX_OFFSET for n in at):
        return at[0], at[1]
    raise ProviderFailure(Failure.BAD_ANSWER, f"{who} did not say in whole pixels where the product is")


def _parts(parts: dict[str, Any]) -> dict[str, float | None]:
    return {
        str(name)[:40]: None if value is None else float(value)
        for name, value in list(parts.items())[:MAX_PARTS]
        if value is None or (_is_number(value) and abs(value) < MAX_OF_A_PART)
    }


def _is_seconds(value: object) -> bool:
    return _is_number(value) and 0 <= value <= MAX_SECONDS  # type: ignore[operator]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
