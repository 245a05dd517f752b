"""The ways to an image: plain, an edit by a mask, a product's background. The one place that tells them apart."""

from __future__ import annotations

from typing import Protocol

from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.jobs.job import Job
from lambdas.domain.jobs.request import (
    BACKGROUND,
    INPAINT,
    TEXT_TO_IMAGE,
    GeneratedImage,
    ImageRequest,
    ImageTask,
    Task,
)
from lambdas.usecases.deps import Deps
from lambdas.usecases.images import inpainting, plain_image, product_background
from lambdas.usecases.images.rendered_image import RenderedImage


class Rendering(Protocol):
    """Implemented by the modules plain_image, inpainting and product_background."""

    def steps(self, job: Job, card: ModelCard) -> tuple[ModelCard, ...]:
        """The models to ask, and pay, one after the other for `card`'s image."""

    def prepare(self, task: ImageTask, job: Job, deps: Deps) -> ImageTask:
        """The task with the pictures that its model is shown. Raises InvalidRequest and ProviderFailure."""

    def finish(self, job: Job, card: ModelCard, image: GeneratedImage, deps: Deps) -> RenderedImage | None:
        """The picture to store; `None` for a good cut-out, which is none of the job's. Raises ProviderFailure."""


def rendering_of(request: ImageRequest) -> Rendering:
    return _RENDERINGS[request.task]


_RENDERINGS: dict[Task, Rendering] = {
    TEXT_TO_IMAGE: plain_image,
    INPAINT: inpainting,
    BACKGROUND: product_background,
}
