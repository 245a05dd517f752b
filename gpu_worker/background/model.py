"""Implements the engine's Model for product backgrounds: cuts out, generates candidates, chooses, composes, scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gpu_worker.background import confidence as score
from gpu_worker.background.composite import compose
from gpu_worker.background.cutout import Cutout, by_alpha, by_probability
from gpu_worker.background.placement import Placed, conditioning, place, scene_size
from gpu_worker.background.segment import Segmenter
from gpu_worker.contract import MAX_SEED, NOT_EXACT, PaintRequest, Refusal
from gpu_worker.engine.protocol import OutOfMemory, Painting, Shape
from gpu_worker.pipelines.adapters import Chosen
from gpu_worker.pipelines.batch import Batches, Item, Run
from gpu_worker.pipelines.model import checked
from gpu_worker.pipelines.pictures import SEEN, Picture, read

CANDIDATES: Final = 2
FAINT: Final = f"what is fainter than {SEEN} of 255 was not taken for product"
PROMPT: Final = "an empty table in a bright, softly lit room, plain surroundings, product photography"
NEGATIVE: Final = "text, watermark, people, hands, second product, frame"


class BackgroundPainter:
    """Implements Model. Each request is a batch of its own: its candidates, all of one size."""

    def __init__(self, sampler: Batches, segmenter: Callable[[], Segmenter | None], adapters: Chosen = ()) -> None:
        self._sampler = sampler
        self._segmenter = segmenter
        self._adapters = adapters

    def shape(self, request: PaintRequest) -> Shape:
        """Return the batch shape. Raises Refusal for an unsupported task or number of steps."""
        steps, guidance = checked(self._sampler.spec, request)
        return Shape(
            request.task,
            self._sampler.spec.id,
            request.width,
            request.height,
            steps,
            guidance > 1.0,
            bucket=1,
            only=(request.id,),
        )

    def paint(
        self,
        requests: Sequence[PaintRequest],
        bucket: int,  # noqa: ARG002
        check: Callable[[], None],
    ) -> list[Painting | Refusal]:
        """See Model.paint. `bucket` is ignored: the candidates are one batch, or single if memory is short."""
        outcomes: list[Painting | Refusal] = []
        for request in requests:
            check()
            try:
                outcomes.append(self._one(request, check))
            except Refusal as refusal:
                outcomes.append(refusal)
        return outcomes

    def _one(self, request: PaintRequest, check: Callable[[], None]) -> Painting:
        spec = self._sampler.spec
        steps, guidance = checked(spec, request)
        picture = read(request.image or b"")
        cut = self._cut(picture)
        placed = place(cut, request.width, request.height, request.padding)
        check()
        width, height = scene_size(*placed.size, spec.most_pixels)
        shown, mask = conditioning(placed, (width, height))
        prompt, negative = request.prompt or PROMPT, request.negative_prompt or NEGATIVE
        windows = self._sampler.windows(prompt, negative)
        run = Run(request.task, width, height, steps, guidance, windows, self._adapters)
        number = request.candidates or CANDIDATES
        seeds = [(request.seed + n) % (MAX_SEED + 1) for n in range(number)]
        items = [Item(prompt, negative, seed, shown, mask) for seed in seeds]
        try:
            scenes = self._sampler.paint(run, items, number, check)
        except OutOfMemory:
            if number == 1:
                raise
            scenes = self._sampler.paint(run, items, 1, check)
        if not (fine := [(seed, s) for seed, s in zip(seeds, scenes, strict=True) if not isinstance(s, Refusal)]):
            raise Refusal("failed", "the model gave no numbers for this request")
        growth = [self._growth(placed, scene) for _, scene in fine]
        best = min(range(len(fine)), key=lambda n: (growth[n] or 0.0, n))
        check()
        seed, scene = fine[best]
        image, exact = compose(scene, placed)
        parts: dict[str, float | None] = {
            "mask_certainty": None if cut.probability is None else score.mask_certainty(cut.probability),
            "expansion": growth[best],
            "expansion_shown": self._growth(placed, image),
            "edge_clipped": score.edge_clipped(cut.alpha, cut.half),
            "area_fraction": score.area_fraction(cut.alpha, cut.half),
            "exact_pixel_fraction": None if request.format == "jpeg" else exact,  # measured before encoding
        }
        confidence = score.overall(parts)
        return Painting(
            image,
            seed=seed,
            warnings=(*_warnings(request, confidence, parts), *([FAINT] if cut.faint else []), *picture.warnings),
            mask=placed.alpha,
            confidence=confidence,
            components=parts,
            at=placed.at,
        )

    def _cut(self, picture: Picture) -> Cutout:
        if picture.alpha is not None:
            return by_alpha(picture)
        if (segmenter := self._segmenter()) is None:
            raise Refusal("failed", "no segmenter is here, so that only products with an alpha channel can be placed")
        return by_probability(picture, segmenter.probabilities(picture.rgb))

    def _growth(self, placed: Placed, image: NDArray[np.uint8]) -> float | None:
        """Return the object's expansion in an image; None without a segmenter."""
        if (segmenter := self._segmenter()) is None:
            return None
        size = (image.shape[1], image.shape[0])
        alpha = Image.fromarray(placed.alpha)
        given = alpha if alpha.size == size else alpha.resize(size, Image.Resampling.BILINEAR)
        return score.expansion(np.asarray(given, np.float32) / np.float32(255), segmenter.probabilities(image))


def _warnings(request: PaintRequest, confidence: float, parts: dict[str, float | None]) -> tuple[str, ...]:
    said = []
    if request.format == "jpeg":
        said.append(NOT_EXACT)
    if confidence < score.LOW:
        said.append(f"low confidence in the cut-out ({confidence:.2f}): look at the mask")
    if (parts["edge_clipped"] or 0.0) > 0:
        said.append("the product touches the photo's border and may be cut off there")
    return tuple(said)
