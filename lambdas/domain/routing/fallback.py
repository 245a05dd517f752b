"""Chooses the candidates of a request, and decides after which failures the next one is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.errors import FieldError
from lambdas.domain.failures import CONSEQUENCES, Failure, Paid
from lambdas.domain.jobs.request import BACKGROUND, INPAINT, TEXT_TO_IMAGE, ImageRequest
from lambdas.domain.prompts import LIMIT
from lambdas.domain.routing.ranking import Ranking

_MADE: Final = {TEXT_TO_IMAGE: "images of its own", BACKGROUND: "product backgrounds", INPAINT: "edits with a mask"}
MAX_LOSSES: Final = 2  # calls of one image with unknown outcome before the last one


def may_fall_back(code: Failure, paid: Paid, losses: int = 0) -> bool:
    """Return whether the next candidate is asked after a failure of this code.

    `paid` is the failure's: `unknown` if the call may have been charged. `losses` counts the earlier `unknown` calls
    for the same image. Such a call is never repeated at the same provider, and its attempt stays on the receipt.
    Another provider is asked, because the client allows it by `fallback` and needs the image; but only MAX_LOSSES
    times, so that a broken network cannot charge one image once per candidate.
    """
    return CONSEQUENCES[code].fallback and (paid == "no" or losses < MAX_LOSSES)


def unsupported_reason(card: ModelCard, request: ImageRequest, references: int = 0) -> FieldError | None:
    """Return why the model cannot serve the request with `references` reference images, and the wrong field.

    `None` if it can. A parameter that the model would drop is no reason: ranking counts it, the answer reports it.
    """
    if request.task not in card.capabilities:
        others = "mask" if request.task == INPAINT else "provider"
        return FieldError("model" if request.model else others, f"{card.id} makes no {_MADE[request.task]}")
    references = references if request.task == TEXT_TO_IMAGE else 0  # it is the photo that is worked on
    if references and "image-to-image" not in card.capabilities:
        return FieldError(request.reference_field, f"{card.id} takes no reference image")
    if references > card.references:
        said = f"{card.id} takes {card.references} reference images, not {references}"
        return FieldError(request.reference_field, said)
    length = len(request.prompt)
    if request.optimize_prompt and length >= LIMIT:
        length = LIMIT - 1  # the maximum after shortening
    if length > card.prompt_max:
        said = f"{card.id} takes prompts of {card.prompt_max} characters; this one has {length}"
        return FieldError("prompt", said)
    avoided = len(request.negative_prompt or "") if heeds(card, request, "negative_prompt") else 0
    if avoided > card.negative_prompt_max:
        said = f"{card.id} takes negative prompts of {card.negative_prompt_max} characters; this one has {avoided}"
        return FieldError("negative_prompt", said)
    return None


def heeds(card: ModelCard, request: ImageRequest, name: str) -> bool:
    """Return whether the parameter has an effect at this model, with the request's other parameters."""
    if name not in card.honours:
        return False
    return name != "negative_prompt" or (_cfg(card, request) or 0) > card.negative_above_cfg


def _cfg(card: ModelCard, request: ImageRequest) -> float | None:
    """Return the guidance for the model: a distilled one ignores a route's default."""
    return request.cfg if "cfg" in card.honours and ("cfg" in request.given or not card.distilled) else None


def candidates(model: str | None, provider: str, fallback: bool | Sequence[str], ranking: Ranking) -> list[ModelCard]:
    """Return the models to ask, in order; empty if all that the client allows are cooling down.

    The client's `model` is first, else its `provider` (unless `auto`). Then, with `fallback` true, the others as
    ranked, those of the same provider last. A list of providers or models is used in its order, and is the whole choice
    if nothing else is named. With `fallback` false there is one candidate.
    """
    pool = (*ranking.ready, *ranking.spare)
    wished = [name for name in (model or provider,) if name != "auto"]
    if not isinstance(fallback, bool):
        wished += fallback
    named = [card for name in wished if (card := _find(name, pool)) is not None]
    if fallback is False:
        return named if wished else list(ranking.ready[:1])
    if fallback is True:
        asked = {card.provider for card in named}
        named += sorted(ranking.ready, key=lambda card: card.provider in asked)
    return list({card.id: card for card in named}.values())


def _find(name: str, pool: Sequence[ModelCard]) -> ModelCard | None:
    """Return the model of that name, or the best one of the provider of that name."""
    return next((card for card in pool if name in (card.id, card.provider)), None)
