"""A prompt and its analysis, and the engines that shorten prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lambdas.api.schemas.common import Body, Prompt, View
from lambdas.domain.prompts import Method
from lambdas.usecases.prompts.optimize import EngineState, Optimized, is_long

if TYPE_CHECKING:
    from lambdas.domain.prompts.analysis import Analysis


class ValidatePromptBody(Body):
    """POST /unified/validate-prompt."""

    prompt: Prompt


class KeywordView(View):
    keyword: str
    score: float = Field(ge=0, le=1, description="Relative to the best keyword.")


class AnalysisView(View):
    complexity_score: float = Field(ge=0, le=1, description="How many different things it asks for, and how densely.")
    readability: float = Field(ge=0, le=100, description="100 is easiest: 100 - LIX.")
    keywords: list[KeywordView] = Field(description="Best first.")

    @classmethod
    def of(cls, analysis: Analysis) -> AnalysisView:
        return cls(
            complexity_score=analysis.complexity_score,
            readability=analysis.readability,
            keywords=[KeywordView(keyword=k.keyword, score=k.score) for k in analysis.keywords],
        )


class ValidatedPromptView(View):
    """POST /unified/validate-prompt."""

    valid: Literal[True] = Field(description="A prompt that is not valid is answered with 400.")
    original_length: int = Field(description="Characters.")
    needs_optimization: bool = Field(description="Whether it has 3,000 characters or more.")
    optimized_prompt: str = Field(description="What a provider would be sent; the prompt itself if it is short.")
    optimized_length: int
    method: Method
    engine: str | None = Field(description="The language model that wrote it.")
    analysis: AnalysisView = Field(description="Of the prompt as it was sent.")
    warnings: list[str]

    @classmethod
    def of(cls, prompt: str, optimized: Optimized, analysis: Analysis) -> ValidatedPromptView:
        return cls(
            valid=True,
            original_length=len(prompt),
            needs_optimization=is_long(prompt),
            optimized_prompt=optimized.text,
            optimized_length=len(optimized.text),
            method=optimized.method,
            engine=optimized.engine,
            analysis=AnalysisView.of(analysis),
            warnings=list(optimized.warnings),
        )


class EngineView(View):
    name: str
    model: str | None = Field(description="Of an engine that is configured.")
    configured: bool
    reachable: bool


class PromptHealthView(View):
    """GET /unified/prompt-validator/health."""

    status: Literal["ok", "degraded"] = Field(description="`degraded`: a configured engine does not answer.")
    method: Literal["llm", "deterministic"] = Field(description="How a long prompt would be shortened now.")
    engines: list[EngineView] = Field(description="In the order in which they are asked.")

    @classmethod
    def of(cls, states: list[EngineState]) -> PromptHealthView:
        down = any(state.configured and not state.reachable for state in states)
        return cls(
            status="degraded" if down else "ok",
            method="llm" if any(state.reachable for state in states) else "deterministic",
            engines=[
                EngineView(name=s.name, model=s.model, configured=s.configured, reachable=s.reachable) for s in states
            ],
        )
