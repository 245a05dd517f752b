"""Shorten a long prompt: by a language model where one answers in time, else by leaving out what says least."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Literal

from lambdas.domain.errors import ProviderFailure
from lambdas.domain.ports import Clock, PromptEngine
from lambdas.domain.prompts import LIMIT

SECONDS: Final = 10.0  # for all engines together, where an image is waiting for its prompt
ENGINES: Final = ("ollama", "bedrock")  # every engine there is, in the order in which they are asked


@dataclass(frozen=True, slots=True)
class Optimized:
    """The prompt to use. `engine` is the model that wrote it; `seconds` is what finding it took."""

    text: str
    method: Literal["none", "llm", "deterministic"]
    engine: str | None
    seconds: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineState:
    name: str
    model: str | None  # of an engine that is configured
    configured: bool
    reachable: bool


def is_long(prompt: str) -> bool:
    """Whether a prompt is shortened at all."""
    return len(prompt) >= LIMIT


def optimize(prompt: str, engines: Sequence[PromptEngine], clock: Clock, seconds: float = SECONDS) -> Optimized:
    """The prompt as it is when it is short enough, else in fewer than prompts.LIMIT characters. Never fails.

    Each engine is asked once, in order, and gets an equal part of the time that is left of `seconds`; the whole
    ends with them, as the compressor takes milliseconds. A rewrite that the guard refuses is not used.
    """
    if not is_long(prompt):
        return Optimized(prompt, "none", None, 0.0)
    from lambdas.domain.prompts import guard  # their patterns take 15 ms to compile; a short prompt needs none
    from lambdas.domain.prompts.compress import compress

    began = clock.now()
    warnings = []
    for asked, engine in enumerate(engines):
        left = began + seconds - clock.now()
        if left <= 0:
            warnings.append(f"there was no time left to ask {engine.name} for a shorter prompt")
            break
        try:
            rewrite = guard.tidy(engine.rewrite(prompt, LIMIT, left / (len(engines) - asked)))
        except ProviderFailure as failure:
            warnings.append(f"{engine.name} did not shorten the prompt: {failure.detail}")
            continue
        objection = guard.objection(prompt, rewrite)
        if objection is None:
            return Optimized(rewrite, "llm", engine.model, clock.now() - began, tuple(warnings))
        warnings.append(f"the rewrite of {engine.name} was not used: it {objection}")
    text = compress(prompt)
    return Optimized(text, "deterministic", None, clock.now() - began, tuple(warnings))


def engine_states(engines: Sequence[PromptEngine], timeout: float) -> list[EngineState]:
    """Every engine, in the order in which they are asked; all that are configured are tried at once."""
    configured = {engine.name: engine for engine in engines}
    with ThreadPoolExecutor(max(1, len(configured))) as pool:
        answers = dict(zip(configured, pool.map(lambda e: e.health(timeout), configured.values()), strict=True))
    return [
        EngineState(
            name, configured[name].model if name in configured else None, name in configured, answers.get(name, False)
        )
        for name in (*ENGINES, *(n for n in configured if n not in ENGINES))
    ]
