"""Product backgrounds: cut the product out, have a scene painted, paste the original product back.

Implements Rendering, and reads the photo of a request.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace

from lambdas.domain import catalogue
from lambdas.domain.backgrounds import JPEG, LOW, Canvas, Unplaceable
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.errors import FieldError, InvalidRequest
from lambdas.domain.failure_boundary import unsent, wall
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.jobs.job import Job
from lambdas.domain.jobs.request import GeneratedImage, ImageRequest, ImageTask
from lambdas.usecases.deps import Deps
from lambdas.usecases.images.rendered_image import RenderedImage

GONE = "the photo of the product is no longer there"


def is_cut_out(request: ImageRequest, photo: bytes, deps: Deps) -> bool:
    """Whether the photo's own alpha channel shows the product. Raises InvalidRequest if it can fit nowhere."""
    try:
        size, product = deps.compositor.product(photo)
        _canvas(request).place(size, product or (0, 0, 1, 1))
    except Unplaceable as no:
        raise _wrong(request, str(no)) from None
    return product is not None


def steps(job: Job, card: ModelCard) -> tuple[ModelCard, ...]:
    """The model that removes the photo's background goes first, where one is needed and has not been paid yet."""
    remover = None if job.request.cut_out or job.cutout is not None else catalogue.card(card.background_remover)
    return (remover, card) if remover else (card,)


def prepare(task: ImageTask, job: Job, deps: Deps) -> ImageTask:
    request, photo = job.request, _photo(job, deps)
    if photo is None:
        raise _wrong(request, GONE)
    if _cuts(task.card):
        with unsent(task.card.provider):
            shown = deps.compositor.cuttable(photo)
        return replace(task, reference=shown, format="png")
    if not task.card.background_remover:  # it does all of it itself
        fmt = "png" if request.format == "jpeg" else request.format
        size = request.width or 0, request.height or 0
        return replace(task, reference=photo, padding=request.padding, generate=size, ratio=None, format=fmt)
    cutout = _cutout(job, deps)
    try:
        with unsent(task.card.provider, Unplaceable):
            stage = deps.compositor.stage(photo, cutout, _canvas(request))
    except Unplaceable as no:
        raise _wrong(request, str(no)) from None
    return replace(
        task,
        reference=stage.image,
        mask=stage.mask,
        generate=stage.size,
        ratio=None,
        format="png",
    )


def finish(job: Job, card: ModelCard, image: GeneratedImage, deps: Deps) -> RenderedImage | None:
    request = job.request
    photo = _photo(job, deps)
    if photo is None:
        raise ProviderFailure(Failure.FAILED, GONE, paid="unknown")
    cutout = _cutout(job, deps)
    try:
        with _codec():
            if _cuts(card):
                deps.compositor.check_cutout(photo, image.data)
                return None
            made = (
                _composed(request, photo, cutout, image, deps)
                if card.background_remover
                else _accepted(request, photo, image, deps)
            )
    except Unplaceable as no:
        failure = ProviderFailure(Failure.INVALID_REQUEST, str(no), paid="unknown")
        failure.field = request.reference_field
        raise failure from None
    if request.format != "jpeg":
        return made
    parts = {**made.components, "exact_pixel_fraction": None}  # what was measured before encoding holds no more
    return replace(made, warnings=(*made.warnings, JPEG), components=parts)


def _codec() -> AbstractContextManager[None]:
    """Around what is done to the pixels of an answer: whatever breaks there is the answer's fault."""
    return wall(Failure.BAD_ANSWER, "the picture could not be read", paid="unknown", passing=(Unplaceable,))


def _composed(
    request: ImageRequest, photo: bytes, cutout: bytes | None, image: GeneratedImage, deps: Deps
) -> RenderedImage:
    made = deps.compositor.compose(image.data, photo, cutout, _canvas(request), request.format)
    return RenderedImage(
        made.image,
        made.size,
        mask=made.mask,
        confidence=made.confidence,
        components=made.components,
        warnings=made.warnings,
    )


def _accepted(request: ImageRequest, photo: bytes, image: GeneratedImage, deps: Deps) -> RenderedImage:
    if image.mask is None or image.confidence is None:
        raise ProviderFailure(Failure.BAD_ANSWER, "the answer had no mask or no confidence")
    data, mask, size = deps.compositor.accept(image.data, image.mask, photo, _canvas(request), request.format, image.at)
    said = image.warnings
    if image.confidence < LOW and not any("confidence" in sentence for sentence in said):
        said = (*said, f"low confidence in the cut-out ({image.confidence:.2f}): look at the mask")
    return RenderedImage(data, size, mask=mask, confidence=image.confidence, components=image.components, warnings=said)


def _wrong(request: ImageRequest, said: str) -> InvalidRequest:
    """What is wrong with the photo, by the name that the client gave it."""
    return InvalidRequest(said, errors=(FieldError(request.reference_field, said),))


def _cuts(card: ModelCard) -> bool:
    return "remove-background" in card.capabilities


def _canvas(request: ImageRequest) -> Canvas:
    return Canvas(request.width, request.height, request.padding)


def _photo(job: Job, deps: Deps) -> bytes | None:
    return deps.blobs.get(job.request.reference_key) if job.request.reference_key else None


def _cutout(job: Job, deps: Deps) -> bytes | None:
    return deps.blobs.get(job.cutout) if job.cutout else None
