"""The two ways to an image: plain, or a background around a product. The one place that tells them apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from lambdas.domain.catalogue.model_card import ModelCard, Size
from lambdas.domain.catalogue.sizes import Sizing
from lambdas.domain.jobs.job import Job
from lambdas.domain.jobs.request import BACKGROUND, GeneratedImage, ImageRequest, ImageTask
from lambdas.usecases.deps import Deps


@dataclass(frozen=True, slots=True)
class RenderedImage:
    """A picture as it is stored. `sizing` says how it came to its size; the rest is of a background alone."""

    data: bytes
    size: Size
    sizing: Sizing | None = None
    mask: bytes | None = None
    confidence: float | None = None
    components: Mapping[str, float | None] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Rendering(Protocol):
    """Implemented by the modules plain_image and product_background."""

    def steps(self, job: Job, card: ModelCard) -> tuple[ModelCard, ...]:
        """The models to ask, and pay, one after the other for `card`'s image."""

    def prepare(self, task: ImageTask, job: Job, deps: Deps) -> ImageTask:
        """The task with the pictures that its model is shown. Raises InvalidRequest and ProviderFailure."""

    def finish(self, job: Job, card: ModelCard, image: GeneratedImage, deps: Deps) -> RenderedImage | None:
        """The picture to store; `None` for a good cut-out, which is none of the job's. Raises ProviderFailure."""


def rendering_of(request: ImageRequest) -> Rendering:
    from lambdas.usecases.images import plain_image, product_background

    return product_background if request.task == BACKGROUND else plain_image
