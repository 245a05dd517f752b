"""Shorten a long prompt: by a language model if one answers in time, else by dropping its least informative parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from lambdas.domain.failure_boundary import wall
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.jobs.request import ImageRequest
from lambdas.domain.ports.providers import PromptEngine
from lambdas.domain.ports.runtime import Clock
from lambdas.domain.prompts import LIMIT, Method

SECONDS: Final = 10.0  # for all engines together, where an image is waiting for its prompt
BRIEF: Final = 2_500  # characters that a model reads besides the prompt, at the most
MAX_TOKENS: Final = 4_096  # that a paid model is let write, its reasoning included
ENGINES: Final = ("ollama", "bedrock")  # every engine there is, in the order in which they are asked


@dataclass(frozen=True, slots=True)
class Bill:
    """Cost of one call to a language model in USD; `lost_usd`: it may have been charged."""

    provider: str
    model: str
    cost_usd: float = 0.0
    lost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Optimized:
    """The prompt to use. `engine` is the model that wrote it; `seconds` is the time of all calls."""

    text: str
    method: Method
    engine: str | None
    seconds: float
    warnings: tuple[str, ...] = ()
    bills: tuple[Bill, ...] = ()  # of the paid models that were asked, whatever came of it

    @property
    def cost_usd(self) -> float:
        return round(sum(bill.cost_usd for bill in self.bills), 6)

    @property
    def lost_usd(self) -> float:
        return round(sum(bill.lost_usd for bill in self.bills), 6)


@dataclass(frozen=True, slots=True)
class EngineState:
    name: str
    model: str | None  # of an engine that is configured
    configured: bool
    reachable: bool


def is_long(prompt: str) -> bool:
    """Whether a prompt is shortened at all."""
    return len(prompt) >= LIMIT


def most_usd(request: ImageRequest, engines: Sequence[PromptEngine]) -> float:
    """The most that shortening the prompt of a generation can cost; 0 where that is free or not done."""
    if not (request.optimize_prompt and is_long(request.prompt)):
        return 0.0
    return sum(ceiling(engine, request.prompt) for engine in engines)


def ceiling(engine: PromptEngine, prompt: str) -> float:
    """The most that one call can cost."""
    return engine.price.most(len(prompt) + BRIEF, MAX_TOKENS) if engine.price else 0.0


def guess(engine: PromptEngine, prompt: str) -> float:
    """Estimated cost of a call whose charge is unknown."""
    return engine.price.estimate(len(prompt) + BRIEF, LIMIT) if engine.price else 0.0


def optimize(
    prompt: str,
    engines: Sequence[PromptEngine],
    clock: Clock,
    seconds: float = SECONDS,
    paying: Callable[[], None] = lambda: None,
) -> Optimized:
    """A short prompt unchanged, any other in fewer than prompts.LIMIT characters.

    Each engine is asked once, in order, within an equal part of the time left of `seconds`; the deterministic
    compressor after them takes milliseconds. A rewrite that the guard refuses is not used. `paying` is called before
    a paid engine is asked; only its exceptions are raised.
    """
    if not is_long(prompt):
        return Optimized(prompt, "none", None, 0.0)
    from lambdas.domain.prompts import guard  # their patterns take 15 ms to compile; a short prompt needs none
    from lambdas.domain.prompts.compress import compress

    began = clock.now()
    warnings: list[str] = []
    bills: list[Bill] = []
    for asked, engine in enumerate(engines):
        left = began + seconds - clock.now()
        if left <= 0:
            warnings.append(f"there was no time left to ask {engine.name} for a shorter prompt")
            break
        if engine.price:
            paying()
        try:
            with wall(Failure.BAD_ANSWER, "its answer could not be read", paid="unknown"):
                rewrite = engine.rewrite(prompt, LIMIT, left / (len(engines) - asked))
        except ProviderFailure as failure:
            bills += _bills(engine, prompt, failure)
            warnings.append(f"{engine.name} did not shorten the prompt: {failure.detail}")
            continue
        bills += [Bill(engine.name, engine.model, rewrite.cost_usd)] if rewrite.cost_usd else []
        if rewrite.estimated:
            warnings.append(f"what {engine.name} charged for shortening the prompt is estimated by its characters")
        try:
            with wall(Failure.BAD_ANSWER, "could not be judged", paid="no"):
                text = guard.tidy(rewrite.text)
                objection = guard.objection(prompt, text)
        except ProviderFailure as failure:
            objection = failure.detail
        if objection is None:
            return Optimized(text, "llm", engine.model, clock.now() - began, tuple(warnings), tuple(bills))
        warnings.append(f"the rewrite of {engine.name} was not used: it {objection}")
    text = compress(prompt)
    return Optimized(text, "deterministic", None, clock.now() - began, tuple(warnings), tuple(bills))


def _bills(engine: PromptEngine, prompt: str, failure: ProviderFailure) -> list[Bill]:
    """The bill of a failed call."""
    if not engine.price or (failure.paid == "no" and failure.cost_usd is None):
        return []
    if failure.cost_usd is None:
        return [Bill(engine.name, engine.model, lost_usd=guess(engine, prompt))]
    return [Bill(engine.name, engine.model, failure.cost_usd)]


def engine_states(engines: Sequence[PromptEngine], timeout: float) -> list[EngineState]:
    """Every engine in the order of asking; the configured ones are probed in parallel."""
    configured = {engine.name: engine for engine in engines}
    with ThreadPoolExecutor(max(1, len(configured))) as pool:
        answers = dict(zip(configured, pool.map(lambda e: e.health(timeout), configured.values()), strict=True))
    return [
        EngineState(
            name, configured[name].model if name in configured else None, name in configured, answers.get(name, False)
        )
        for name in (*ENGINES, *(n for n in configured if n not in ENGINES))
    ]
