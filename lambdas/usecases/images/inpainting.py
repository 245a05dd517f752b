"""Edits by a mask: what the mask shows is painted anew, and every other pixel stays as it was. Implements Rendering."""

from __future__ import annotations

from dataclasses import replace

from lambdas.domain.catalogue import sizes
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.errors import FieldError, InvalidRequest
from lambdas.domain.failure_boundary import unsent, wall
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.jobs.job import Job
from lambdas.domain.jobs.request import GeneratedImage, ImageTask
from lambdas.usecases.deps import Deps
from lambdas.usecases.images.rendered_image import RenderedImage

GONE = "the image that is edited, or its mask, is no longer there"


def steps(job: Job, card: ModelCard) -> tuple[ModelCard, ...]:  # noqa: ARG001 - as the protocol has it
    return (card,)


def prepare(task: ImageTask, job: Job, deps: Deps) -> ImageTask:
    found = _sent(job, deps)
    if found is None:
        raise InvalidRequest(GONE, errors=(FieldError(job.request.reference_field, GONE),))
    with unsent(task.card.provider):
        staged = deps.compositor.stage_edit(*found)
    return replace(
        task,
        reference=staged.image,
        reference_type="image/png",
        mask=staged.mask,
        generate=staged.size,
        ratio=None,
        format="png",
    )


def finish(job: Job, card: ModelCard, image: GeneratedImage, deps: Deps) -> RenderedImage:
    request, found = job.request, _sent(job, deps)
    if found is None:
        raise ProviderFailure(Failure.FAILED, GONE, paid="unknown")
    size = sizes.plan(card, request.width, request.height)
    with wall(Failure.BAD_ANSWER, "the picture could not be read", paid="unknown"):
        edited = deps.compositor.compose_edit(image.data, *found)
        data, came = deps.pictures.fit(edited, size.final, request.format, request.compression)
    return RenderedImage(data, size.final, size.note(came))


def _sent(job: Job, deps: Deps) -> tuple[bytes, bytes] | None:
    """The image and its mask."""
    image, mask = (deps.blobs.get(key) if key else None for key in (job.request.reference_key, job.request.mask_key))
    return None if image is None or mask is None else (image, mask)
