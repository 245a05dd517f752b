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


def prepare(order: ImageTask, job: Job, deps: Deps) -> ImageTask:
    request, photo = job.request, _photo(job, deps)
    if photo is None:
        raise _wrong(request, GONE)
    if _cuts(order.card):
        with unsent(order.card.provider):
            shown = deps.compositor.cuttable(photo)
        return replace(order, reference=shown, format="png")
    if not order.card.background_remover:  # it does all of it itself
        fmt = "png" if request.format == "jpeg" else request.format
        size = request.width or 0, request.height or 0
        return replace(order, reference=photo, padding=request.padding, generate=size, ratio=None, format=fmt)
    cutout = _cutout(job, deps)
    try:
        with unsent(order.card.provider, Unplaceable):
            stage = deps.compositor.stage(photo, cutout, _canvas(request))
    except Unplaceable as no:
        raise _wrong(request, str(no)) from None
    return replace(
        order,
        reference=stage.image,
        mask=stage.mask,
        generate=stage.size,
        ratio=None,
        format="png",
    )


def finish(job: Job, card: ModelCard, painted: GeneratedImage, deps: Deps) -> RenderedImage | None:
    request = job.request
    photo = _photo(job, deps)
    if photo is None:
        raise ProviderFailure(Failure.FAILED, GONE, paid="unknown")
    cutout = _cutout(job, deps)
    try:
        with _codec():
            if _cuts(card):
                deps.compositor.check_cutout(photo, painted.data)
                return None
            made = (
                _composed(request, photo, cutout, painted, deps)
                if card.background_remover
                else _accepted(request, photo, painted, deps)
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
    request: ImageRequest, photo: bytes, cutout: bytes | None, painted: GeneratedImage, deps: Deps
) -> RenderedImage:
    made = deps.compositor.compose(painted.data, photo, cutout, _canvas(request), request.format)
    return RenderedImage(
        made.image,
        made.size,
        mask=made.mask,
        confidence=made.confidence,
        components=made.components,
        warnings=made.warnings,
    )


def _accepted(request: ImageRequest, photo: bytes, painted: GeneratedImage, deps: Deps) -> RenderedImage:
    if painted.mask is None or painted.confidence is None:
        raise ProviderFailure(Failure.BAD_ANSWER, "the answer had no mask or no confidence")
    data, mask, size = deps.compositor.accept(
        painted.data, painted.mask, photo, _canvas(request), request.format, painted.at
    )
    said = painted.warnings
    if painted.confidence < LOW and not any("confidence" in sentence for sentence in said):
        said = (*said, f"low confidence in the cut-out ({painted.confidence:.2f}): look at the mask")
    return RenderedImage(
        data, size, mask=mask, confidence=painted.confidence, components=painted.components, warnings=said
    )


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
