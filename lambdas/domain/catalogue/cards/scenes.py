"""Defines the vocabulary and sizes of the project's own small model, which generates scenes of shapes."""

from __future__ import annotations

from typing import Final

from lambdas.domain.catalogue.model_card import Size

DEMO_SCENES: Final = "demo/scenes-1"
GPU_SCENES: Final = "image-api/scenes-1"
SIDE: Final = 128  # pixels of width and height
LICENCE: Final = "MIT, as the project"
PROMPT_MAX: Final = 100  # characters; longer than every caption of its training
_COLOURS: Final = "red green blue yellow orange purple pink brown black white grey"
_SHAPES: Final = "circle square triangle star diamond heart cross ring"
_MORE: Final = "circles squares triangles stars diamonds hearts crosses rings small large a one two three four and"
_WHERE: Final = "on at in the to of left right top bottom above below centre corner"
_OTHERS: Final = "picture image an draw background"
WORDS: Final = frozenset(" ".join((_COLOURS, _SHAPES, _MORE, _WHERE, _OTHERS)).split())
# The sizes that the demo makes of the square, by extending its borders.
RATIOS: Final[dict[str, Size]] = {
    "1:1": (128, 128),
    "16:9": (228, 128),
    "9:16": (128, 228),
    "3:2": (192, 128),
    "2:3": (128, 192),
    "4:3": (171, 128),
    "3:4": (128, 171),
    "21:9": (299, 128),
    "9:21": (128, 299),
}
