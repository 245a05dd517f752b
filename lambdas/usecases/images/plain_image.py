"""Images of a prompt, and perhaps of a reference image. Implements Rendering."""

from __future__ import annotations

from dataclasses import replace

from lambdas.domain.catalogue import sizes
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.errors import FieldError, InvalidRequest, TooLarge
from lambdas.domain.failure_boundary import wall
from lambdas.domain.failures import Failure
from lambdas.domain.jobs.job import Job
from lambdas.domain.jobs.request import GeneratedImage, ImageRequest, ImageTask
from lambdas.usecases.deps import Deps
from lambdas.usecases.images.rendered_image import RenderedImage


def steps(job: Job, card: ModelCard) -> tuple[ModelCard, ...]:  # noqa: ARG001 - as the protocol has it
    return (card,)


def prepare(task: ImageTask, job: Job, deps: Deps) -> ImageTask:
    """With the reference image, as large as the model needs it."""
    request, card = job.request, task.card
    if not (request.reference_key and card.references):
        return task
    sent = _sent(request.reference_key, request, deps)
    more = tuple((_sent(key, request, deps), kind) for key, kind in request.more_references)
    task = replace(task, more_references=more)
    if not card.reference_side:
        return replace(task, reference=sent)
    try:
        image = deps.pictures.at_least(sent, card.reference_side)
    except TooLarge as error:
        raise _invalid(request, error.detail) from None
    return replace(task, reference=image, reference_type=task.reference_type if image is sent else "image/png")


def finish(job: Job, card: ModelCard, image: GeneratedImage, deps: Deps) -> RenderedImage:
    request = job.request
    size = sizes.plan(card, request.width, request.height)
    with wall(Failure.BAD_ANSWER, "the picture could not be read", paid="unknown"):
        data, came = deps.pictures.fit(image.data, size.final, request.format, request.compression)
    return RenderedImage(data, size.final, size.note(came))


def _sent(key: str, request: ImageRequest, deps: Deps) -> bytes:
    data = deps.blobs.get(key)
    if data is None:
        raise _invalid(request, "the reference image is no longer there")
    return data


def _invalid(request: ImageRequest, detail: str) -> InvalidRequest:
    return InvalidRequest(detail, errors=(FieldError(request.reference_field, detail),))
