"""Who is asked for an image when the first choice does not give it, and when nobody else is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.errors import FieldError
from lambdas.domain.failures import CONSEQUENCES, Failure, Paid
from lambdas.domain.jobs.request import BACKGROUND, ImageRequest
from lambdas.domain.prompts import LIMIT
from lambdas.domain.routing.ranking import Ranking

MAX_LOSSES: Final = 2  # calls of one image that may have been paid for in vain before the last one


def may_fall_back(code: Failure, paid: Paid, losses: int = 0) -> bool:
    """Whether the next candidate is asked after a failure of this code.

    `paid` is the failure's own: `unknown` where the call may have been charged. `losses` counts the earlier calls
    for the same image that were `unknown` too. Such a call is never made again: the same provider is not asked twice,
    and the attempt stays on the receipt as it ended. Another provider is asked, because the client allowed that by
    `fallback` and needs the image; but not without end, so that a broken network cannot cost one image six times.
    """
    return CONSEQUENCES[code].fallback and (paid == "no" or losses < MAX_LOSSES)


def unsupported_reason(card: ModelCard, request: ImageRequest, references: int = 0) -> FieldError | None:
    """Why the model cannot serve the request with its `references` reference images, and which field asks too much.

    `None` where it can. What it would merely drop of the request is no reason: that is counted by routing, and said in
    the answer.
    """
    if request.task not in card.capabilities:
        named = "model" if request.model else "provider"
        what = "product backgrounds" if request.task == BACKGROUND else "images of its own"
        return FieldError(named, f"{card.id} makes no {what}")
    references = 0 if request.task == BACKGROUND else references  # the product itself, which every such model takes
    if references and "image-to-image" not in card.capabilities:
        return FieldError(request.reference_field, f"{card.id} takes no reference image")
    if references > card.references:
        said = f"{card.id} takes {card.references} reference images, not {references}"
        return FieldError(request.reference_field, said)
    length = len(request.prompt)
    if request.optimize_prompt and length >= LIMIT:
        length = LIMIT - 1  # it will be shortened to that at the most
    if length > card.prompt_max:
        said = f"{card.id} takes prompts of {card.prompt_max} characters; this one has {length}"
        return FieldError("prompt", said)
    avoided = len(request.negative_prompt or "") if heeds(card, request, "negative_prompt") else 0
    if avoided > card.negative_prompt_max:
        said = f"{card.id} takes negative prompts of {card.negative_prompt_max} characters; this one has {avoided}"
        return FieldError("negative_prompt", said)
    return None


def heeds(card: ModelCard, request: ImageRequest, name: str) -> bool:
    """Whether the parameter of that name does something at this model, as the request stands."""
    if name not in card.honours:
        return False
    return name != "negative_prompt" or (_cfg(card, request) or 0) > card.negative_above_cfg


def _cfg(card: ModelCard, request: ImageRequest) -> float | None:
    """The guidance that the model is given: a distilled one takes what the client sent, and no route's own."""
    return request.cfg if "cfg" in card.honours and ("cfg" in request.given or not card.distilled) else None


def candidates(model: str | None, provider: str, fallback: bool | Sequence[str], ranking: Ranking) -> list[ModelCard]:
    """The models to ask, in order; empty where those that the client allows are all resting.

    What the client named goes first: its `model`, else its `provider` (unless `auto`). Then, with `fallback` true, the
    others as they are ranked, those of the same provider last. A list of providers or models is kept to in its order,
    and is the whole choice where nothing else was named. With `fallback` false there is one candidate.
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
    """The model of that name, or the best one of the provider of that name."""
    return next((card for card in pool if name in (card.id, card.provider)), None)
