"""A picture as it is stored, whichever way it was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lambdas.domain.catalogue.model_card import Size
from lambdas.domain.catalogue.sizes import Sizing


@dataclass(frozen=True, slots=True)
class RenderedImage:
    """`sizing` says how it came to its size; the rest is of a background alone."""

    data: bytes
    size: Size
    sizing: Sizing | None = None
    mask: bytes | None = None
    confidence: float | None = None
    components: Mapping[str, float | None] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
