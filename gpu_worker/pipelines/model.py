"""Implements the engine's Model for text-to-image and image-to-image, with or without adapters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gpu_worker.contract import PaintRequest, Refusal
from gpu_worker.engine.protocol import Painting, Shape
from gpu_worker.pipelines.adapters import Chosen
from gpu_worker.pipelines.batch import Batches, Item, Run
from gpu_worker.pipelines.pictures import fitted
from gpu_worker.pipelines.table import Spec


class Painter:
    """Implements Model with a Sampler; several Painters, each with its own adapters, may share one."""

    def __init__(self, sampler: Batches, adapters: Chosen = ()) -> None:
        self._sampler = sampler
        self._adapters = adapters

    def shape(self, request: PaintRequest) -> Shape:
        """Return the batch shape. Raises Refusal for an unsupported task, size or number of steps."""
        run = self._run(request)
        return Shape(
            run.task,
            self._sampler.spec.id,
            run.width,
            run.height,
            run.steps,
            run.guidance > 1.0,
            more=(run.windows, bool(run.adapters)),
            only=(run.guidance, run.adapters),
        )

    def paint(
        self, requests: Sequence[PaintRequest], bucket: int, check: Callable[[], None]
    ) -> list[Painting | Refusal]:
        """See Model.paint. A request with an unreadable image is refused by itself."""
        run = self._run(requests[0])
        outcomes: list[Painting | Refusal | None] = [None] * len(requests)
        items: list[Item] = []
        places: list[int] = []
        for place, request in enumerate(requests):
            try:
                items.append(_item(request))
                places.append(place)
            except Refusal as refusal:
                outcomes[place] = refusal
        if items:
            images = self._sampler.paint(run, items, bucket, check)
            for place, image in zip(places, images, strict=True):
                outcomes[place] = (
                    image if isinstance(image, Refusal) else Painting(image, warnings=self._warnings(requests[place]))
                )
        return [outcome for outcome in outcomes if outcome is not None]

    def _run(self, request: PaintRequest) -> Run:
        spec = self._sampler.spec
        steps, guidance = checked(spec, request)
        if min(request.width, request.height) < spec.least:
            raise Refusal("invalid_request", f"{spec.id} paints at least {spec.least} pixels each way")
        if request.width * request.height > spec.most_pixels:
            raise Refusal("invalid_request", f"{spec.id} paints at most {spec.most_pixels} pixels, width times height")
        prompts = (request.prompt, request.negative_prompt) if guidance > 1.0 else (request.prompt,)
        windows = self._sampler.windows(*prompts)
        return Run(request.task, request.width, request.height, steps, guidance, windows, self._adapters)

    def _warnings(self, request: PaintRequest) -> tuple[str, ...]:
        spec = self._sampler.spec
        _, guidance = checked(spec, request)
        said = []
        if request.negative_prompt and guidance <= 1.0:
            said.append(f"negative_prompt has no effect on {spec.id} at a guidance of {guidance:g}")
        if request.width * request.height > 2 * spec.native**2:
            said.append(f"{spec.id} was trained for {spec.native}x{spec.native}; a much larger image may repeat itself")
        return tuple(said)


def checked(spec: Spec, request: PaintRequest) -> tuple[int, float]:
    """Return the request's steps and guidance, or the defaults. Raises Refusal for an unsupported task or steps."""
    if request.task not in spec.tasks:
        raise Refusal("invalid_request", f"{spec.id} does not do {request.task}")
    steps = spec.steps if request.steps is None else request.steps
    if steps > spec.most_steps:
        raise Refusal("invalid_request", f"{spec.id} takes at most {spec.most_steps} steps")
    return steps, spec.guidance if request.guidance is None else request.guidance


def _item(request: PaintRequest) -> Item:
    image = None if request.image is None else fitted(request.image, request.width, request.height)
    return Item(request.prompt, request.negative_prompt, request.seed, image)
