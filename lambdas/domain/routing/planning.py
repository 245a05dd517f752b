"""Plans which models are asked for a request, in which order, and what each model drops of the request."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lambdas.domain import catalogue
from lambdas.domain.catalogue import sizes
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.errors import (
    FieldError,
    InvalidRequest,
    NoneAvailable,
    ProviderUnconfigured,
    RetiredModel,
    UnknownModel,
)
from lambdas.domain.jobs.request import (
    BACKGROUND,
    DEFAULT_STRATEGY,
    INPAINT,
    MAX_SEED,
    SAFE_NEGATIVE_PROMPT,
    SCENE_NEGATIVE_PROMPT,
    Dropped,
    ImageRequest,
    ImageTask,
)
from lambdas.domain.providers import ALL, DEMO, PROVIDERS
from lambdas.domain.routing import fallback
from lambdas.domain.routing.health import Health
from lambdas.domain.routing.ranking import rank

WARN_BEFORE = timedelta(days=60)  # a model that ends within this time warns in its answers
_FEW_WORDS = "{} reads only the words of scenes such as 'two red stars on white', and this prompt has others"


@dataclass(frozen=True, slots=True)
class Deployment:
    """What this deployment offers: its configured providers, their health, and its permitted models."""

    configured: frozenset[str]
    default_model: str
    allowed_models: Collection[str] = ()
    healths: Mapping[str, Health] | None = None
    weights: Mapping[str, float] | None = None  # shares of traffic by provider; they precede any strategy
    vocabulary_limited: Collection[str] = ()  # the ids of the available vocabulary-limited models

    def allows(self, model_id: str) -> bool:
        return not self.allowed_models or model_id in self.allowed_models

    def has(self, card: ModelCard) -> bool:
        """Return whether a vocabulary-limited model is available; any other one is if its provider is."""
        return not card.words or card.id in self.vocabulary_limited

    def cards(self, now: float) -> list[ModelCard]:
        """Return the models that could be asked: configured, allowed and not retired."""
        today = datetime.fromtimestamp(now, UTC).date()
        return [
            card
            for card in catalogue.CARDS
            if card.provider in self.configured
            and (card.provider == DEMO or self.allows(card.id))  # the demo replaces any model
            and self.has(card)
            and not catalogue.retired(card.id, today)
        ]


@dataclass(frozen=True, slots=True)
class Plan:
    """The models to ask, in order, and those that cannot be asked with the reason."""

    cards: tuple[ModelCard, ...]
    refused: tuple[tuple[ModelCard, str], ...]


def plan(request: ImageRequest, deployment: Deployment, now: float, rng: random.Random) -> tuple[ModelCard, ...]:
    """Return the models to ask, in order; at least one. Raises as `explained_plan`."""
    return explained_plan(request, deployment, now, rng).cards


def explained_plan(request: ImageRequest, deployment: Deployment, now: float, rng: random.Random) -> Plan:
    """Choose the models to ask, at least one, and say of the others why they are not.

    Raises the 4xx errors for names that are unknown, retired, contradictory or not configured, and for a request that
    no model can serve; NoneAvailable if every suitable model is cooling down.
    """
    _check_providers(request, deployment)
    named = None
    if request.model is not None:
        named = _named(request.model, deployment, now)
        if request.provider not in ("auto", named.provider):
            said = f"model {named.id!r} belongs to provider {named.provider!r}, not {request.provider!r}"
            raise _refused(FieldError("model", said))
        if named.provider not in deployment.configured:
            if deployment.configured != {DEMO}:
                message = f"model {named.id!r} needs provider {named.provider!r}, which is not configured"
                raise ProviderUnconfigured(message, errors=(FieldError("model", message),))
            if (reason := fallback.unsupported_reason(named, request)) and request.task not in named.capabilities:
                raise _refused(reason)
            named = None  # the demo replaces it, which replaced() reports
    pool = deployment.cards(now)
    references = int(request.reference_key is not None) + len(request.more_references)
    reasons = {
        card.id: fallback.unsupported_reason(card, request, references) or _unread(card, request) for card in pool
    }
    if named and (reason := reasons.get(named.id)):
        raise _refused(reason)
    fit = _without_small([card for card in pool if reasons[card.id] is None], (request.model, deployment.default_model))
    wanted = [card for card in fit if request.provider in ("auto", card.provider)]
    if not wanted:
        asked = [card for card in pool if request.provider in ("auto", card.provider)]
        reason = next((found for card in asked if (found := reasons[card.id])), None)
        if request.task == BACKGROUND and not fit:
            raise ProviderUnconfigured("product backgrounds need the GPU worker or Bedrock, and neither is there")
        if request.task == INPAINT and not fit:
            said = "edits with a mask need Bedrock, which is not there"
            raise ProviderUnconfigured(said, errors=(FieldError("mask", said),))
        if reason:
            raise _refused(reason)
        raise NoneAvailable("no configured provider has an allowed model")
    strategy = "balanced" if request.strategy == DEFAULT_STRATEGY else request.strategy
    losses = {card.id: len(dropped(request, card)) + _enlarges(request, card) for card in fit}
    ranking = rank(fit, deployment.healths or {}, strategy, now, rng, deployment.weights, losses)
    model = named.id if named else _preferred(request, deployment, fit, now)
    cards = fallback.candidates(model, request.provider, request.fallback, ranking)
    if request.fallback is True:
        cards += [card for card in ranking.spare if card.provider == DEMO and card not in cards]  # a last resort
    if not cards:
        wait = max(1, round((ranking.free_at or now) - now))
        raise NoneAvailable("every provider that could do this is resting after failures", retry_after=wait)
    return Plan(tuple(cards), tuple(_unasked(cards, reasons, ranking.resting, deployment)))


def _unasked(
    cards: Sequence[ModelCard],
    reasons: Mapping[str, FieldError | None],
    resting: Sequence[ModelCard],
    deployment: Deployment,
) -> Iterator[tuple[ModelCard, str]]:
    """Yield each model of a configured provider that is not asked for a reason of its own, with the reason."""
    for card in catalogue.CARDS:
        if card in cards or card.provider not in deployment.configured:
            continue
        if card.provider != DEMO and not deployment.allows(card.id):
            yield card, "it is not allowed here"
        elif reason := reasons.get(card.id):
            yield card, reason.message
        elif card in resting:
            yield card, "it is resting after failures"


def _refused(wrong: FieldError) -> InvalidRequest:
    return InvalidRequest(wrong.message, errors=(wrong,))


def _check_providers(request: ImageRequest, deployment: Deployment) -> None:
    others = request.fallback if isinstance(request.fallback, tuple) else ()
    for field, provider in (("provider", request.provider), *(("fallback", other) for other in others)):
        if provider == "auto" or provider in deployment.configured:
            continue
        if provider in ALL:
            said = f"provider {provider!r} is not configured here"
            raise ProviderUnconfigured(said, errors=(FieldError(field, said),))
        raise _refused(FieldError(field, f"unknown provider {provider!r}; known are: auto, {', '.join(PROVIDERS)}"))


def _named(model: str, deployment: Deployment, now: float) -> ModelCard:
    if end := catalogue.retired(model, datetime.fromtimestamp(now, UTC).date()):
        raise RetiredModel(f"model {model!r} is retired: {end.reason} Use {end.replacement!r} instead.")
    card = catalogue.card(model)
    if card is None:
        raise UnknownModel(f"unknown model {model!r}; GET /v1/models lists those that exist")
    if not deployment.allows(model):
        raise UnknownModel(f"model {model!r} is not allowed here; allowed are: {', '.join(deployment.allowed_models)}")
    if not deployment.has(card):
        raise ProviderUnconfigured(f"model {model!r} is not here; GET /v1/models lists those that are")
    return card


def _unread(card: ModelCard, request: ImageRequest) -> FieldError | None:
    """Return why a vocabulary-limited model is not asked: the client did not name it and the prompt has other words.

    `unsupported_reason` comes first and refuses prompts that would be shortened, so this is the prompt as sent.
    """
    if card.id == request.model or card.reads(request.prompt):
        return None
    return FieldError("prompt", _FEW_WORDS.format(card.id))


def _enlarges(request: ImageRequest, card: ModelCard) -> bool:
    """Return whether a model of the provider that the client named would generate less than the requested size.

    Another of its models may generate all of it. A strategy that the client named takes precedence.
    """
    if request.provider != card.provider or request.strategy not in (DEFAULT_STRATEGY, "balanced"):
        return False
    size = sizes.plan(card, request.width, request.height)
    return size.generate[0] < size.final[0] or size.generate[1] < size.final[1]


def _without_small(fit: list[ModelCard], named: Collection[str | None]) -> list[ModelCard]:
    """Drop vocabulary-limited models unless they are named, or their provider has nothing better."""
    first = {card.provider: card for card in reversed(fit)}
    return [card for card in fit if not card.words or card.id in named or card is first[card.provider]]


def _preferred(request: ImageRequest, deployment: Deployment, fit: list[ModelCard], now: float) -> str | None:
    """Return the default model, unless it is asleep, for a request without model, provider and strategy."""
    if request.strategy != DEFAULT_STRATEGY or request.provider != "auto":
        return None
    asleep = {provider for provider, seen in (deployment.healths or {}).items() if now < seen.asleep_until}
    return next((card.id for card in fit if card.id == deployment.default_model and card.provider not in asleep), None)


def dropped(request: ImageRequest, card: ModelCard) -> tuple[Dropped, ...]:
    """Return the client's parameters that the model cannot honour, each with the reason."""
    gone = [
        Dropped(name, f"{card.id} has no such parameter")
        for name in ("negative_prompt", "steps", "cfg", "seed")
        if name in request.given and name not in card.honours
    ]
    if "negative_prompt" in request.given and "negative_prompt" in card.honours and not _avoids(request, card):
        reason = f"{card.id} heeds it only where `cfg` is above {card.negative_above_cfg:g}"
        gone.append(Dropped("negative_prompt", reason))
    if "seed" in card.honours and request.seed is not None and not card.seed_min <= request.seed <= card.seed_max:
        reason = f"{card.id} takes seeds from {card.seed_min} to {card.seed_max}; one was drawn instead"
        gone.append(Dropped("seed", reason))
    if "steps" in card.honours and "steps" in request.given and (request.steps or 0) > card.steps_max:
        reason = f"{card.id} takes {card.steps_max} steps at the most and was given those"
        gone.append(Dropped("steps", reason))
    return tuple(gone)


def replaced(request: ImageRequest, card: ModelCard) -> tuple[Dropped, ...]:
    """Return the note that another model or provider answered than the client named."""
    if request.model is not None and request.model != card.id:
        named = catalogue.card(request.model)
        stands_in = card.provider == DEMO and (named is None or named.provider != DEMO)
        what = "no provider is configured" if stands_in else f"{request.model} gave no image"
        return (Dropped("model", f"{what}: {card.id} answered instead"),)
    if request.provider not in ("auto", card.provider):
        return (Dropped("provider", f"{request.provider} gave no image: {card.provider} answered instead"),)
    return ()


def warnings(card: ModelCard, now: float, prompt: str | None = None) -> tuple[str, ...]:
    """Return the warnings for the client about the model that answers."""
    said = []
    if card.retires_on and card.retires_on - datetime.fromtimestamp(now, UTC).date() <= WARN_BEFORE:
        said.append(f"model {card.id} retires on {card.retires_on.isoformat()}")
    if prompt is not None and not card.reads(prompt):
        said.append(_FEW_WORDS.format(card.id))
    return tuple(said)


def draw_seed(request: ImageRequest, card: ModelCard, rng: random.Random) -> int:
    """Return the client's seed if the model takes it, else a random one with room for the seeds of further images.

    0 is never drawn, even if the card allows it: some services take it for any seed.
    """
    if request.seed is not None and card.seed_min <= request.seed <= card.seed_max:
        return request.seed
    return rng.randint(max(1, card.seed_min), min(card.seed_max, MAX_SEED) - request.n)


def image_task(request: ImageRequest, card: ModelCard, seed: int, index: int) -> ImageTask:
    """Return the task of the job's image number `index`: seeds count up from the job's, within the model's range."""
    size = sizes.plan(card, request.width, request.height)
    usual = SCENE_NEGATIVE_PROMPT if request.task == BACKGROUND else SAFE_NEGATIVE_PROMPT
    avoid = request.negative_prompt or usual
    direct = request.format in card.formats and size.generate == size.final and request.compression is None
    if request.seed is not None and card.seed_min <= request.seed <= card.seed_max:
        seed = request.seed  # the job's may be a random one, for a model that does not take the client's
    span = card.seed_max - card.seed_min + 1

    def takes(name: str) -> bool:
        return name in card.honours and (name in request.given or not card.distilled)

    return ImageTask(
        card=card,
        prompt=request.prompt,
        negative_prompt=avoid if _avoids(request, card) else None,
        seed=card.seed_min + (seed - card.seed_min + index) % span,
        generate=size.generate,
        ratio=size.ratio,
        steps=min(request.steps, card.steps_max) if request.steps and takes("steps") else None,
        cfg=request.cfg if takes("cfg") else None,
        format=request.format if direct else _lossless(card),  # an image that will be scaled is requested lossless
    )


def _avoids(request: ImageRequest, card: ModelCard) -> bool:
    return fallback.heeds(card, request, "negative_prompt")


def _lossless(card: ModelCard) -> str:
    return "png" if "png" in card.formats else card.formats[0]
