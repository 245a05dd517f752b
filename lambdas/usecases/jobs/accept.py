"""Accept a request, or refuse it before anything of it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lambdas.domain.catalogue import sizes
from lambdas.domain.catalogue.model_card import Size
from lambdas.domain.errors import BudgetExceeded, Overloaded
from lambdas.domain.jobs.job import Job
from lambdas.domain.jobs.request import BACKGROUND, MAX_SIDE, MIN_SIDE, SIDE_STEP, Draft, ImageRequest
from lambdas.usecases.deps import Deps
from lambdas.usecases.images.attachments import Attachment, Intake
from lambdas.usecases.images.product_background import is_cut_out
from lambdas.usecases.jobs.submit_job import Caller, first_job, submit_job
from lambdas.usecases.webhooks.check_url import Verdict, check_webhooks, with_webhook


def accept(draft: Draft, caller: Caller, deps: Deps, *, queued: bool = False) -> tuple[Job, bool]:
    """Returns the job, and whether it is an earlier one, answered again under its Idempotency-Key.

    Such an answer needs the key's row and its job alone: it is the same whatever has become of the webhook's address,
    of the bucket or of the model. A refused request leaves no upload, message, project or record behind, except that
    the month's budget may fill up between its check and the transaction that stores the job. Its upload is then left
    to the bucket's lifecycle rule, because a concurrent request may rely on the same object, and its message finds no
    job. `queued`: the job is to go through the queue. Raises the errors of the webhook, the picture and submit_job.
    """
    if earlier := _answered(caller, deps):
        return earlier, True
    try:
        verdicts = check_webhooks((draft.request,), caller.tenant, deps)
        request, attachment = complete(draft, verdicts, Intake(caller.tenant, deps), deps)
        return submit_job(request, caller, deps, attachment=attachment, queued=queued)
    except (BudgetExceeded, Overloaded):
        # The same request may have come twice at once, and the other one have taken what was left.
        if earlier := _answered(caller, deps):
            return earlier, True
        raise


def complete(
    draft: Draft, verdicts: Mapping[str, Verdict], intake: Intake, deps: Deps
) -> tuple[ImageRequest, Attachment | None]:
    """The request with its webhook and its picture checked. Raises what is wrong with either; stores nothing."""
    request = with_webhook(draft.request, verdicts)
    if draft.picture is None:
        return request, None
    product = request.task == BACKGROUND
    picture = intake.take(draft.picture, draft.picture_field, exact=product)
    request = replace(
        request,
        reference_key=picture.key,
        reference_type=picture.media_type,
        reference_field=draft.picture_field,
        warnings=picture.warnings,
    )
    if product:
        request = replace(request, cut_out=is_cut_out(request, picture.data, deps))
    if draft.more:
        more = tuple(intake.take(text, draft.picture_field) for text in draft.more)
        request = replace(
            request,
            more_references=tuple((other.key, other.media_type) for other in more),
            warnings=(*request.warnings, *(said for other in more for said in other.warnings)),
        )
        picture = replace(picture, others=more)
    if draft.mask is not None:
        mask = intake.mask(draft.mask, "mask", picture)
        request, picture = replace(request, mask_key=mask.key), replace(picture, others=(mask,))
    if draft.keeps_shape and request.width is None:
        width, height = _size_like(deps.pictures.size(picture.data), whole=draft.mask is not None)
        request = replace(request, width=width, height=height)
    return request, picture


def _size_like(size: Size, *, whole: bool) -> Size:
    """The size of an image that is made of a picture; `whole`: where only a part of it is painted anew."""
    if whole and max(size) <= MAX_SIDE:
        return size
    return sizes.of_shape(size, MIN_SIDE, MAX_SIDE, SIDE_STEP)


def _answered(caller: Caller, deps: Deps) -> Job | None:
    """The job that was made under the key before. Raises IdempotencyMismatch."""
    key = caller.idempotency_key
    used = deps.jobs.used(caller.tenant, key, deps.clock.now()) if key else None
    return first_job(used, caller, deps) if used else None
