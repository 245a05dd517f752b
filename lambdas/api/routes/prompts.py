"""The routes about prompts."""

from __future__ import annotations

from typing import Final

from lambdas.api.answer import Answer, json_answer
from lambdas.api.call import Call
from lambdas.api.route import BodyRoute, PlainRoute, Route
from lambdas.api.schemas.prompts import PromptHealthView, ValidatedPromptView, ValidatePromptBody
from lambdas.usecases.prompts.optimize import engine_states
from lambdas.usecases.prompts.validate import validate_prompt

SECONDS: Final = 20.0  # for the engines; nothing else waits here
HEALTH_SECONDS: Final = 4.0


def _validate(call: Call, body: ValidatePromptBody) -> Answer:
    from lambdas.domain.prompts.analysis import analyse  # a cold start has no use for it

    prompt = body.prompt
    seconds = min(SECONDS, call.deadline - call.deps.clock.now())
    optimized = validate_prompt(call.tenant, prompt, seconds, call.deps)
    return json_answer(ValidatedPromptView.of(prompt, optimized, analyse(prompt)))


def _health(call: Call) -> Answer:
    return json_answer(PromptHealthView.of(engine_states(call.deps.engines, HEALTH_SECONDS)))


ROUTES: tuple[Route, ...] = (
    BodyRoute(
        method="POST",
        path="/unified/validate-prompt",
        summary="What a prompt is like, and how it would be shortened",
        handle=_validate,
        answers={200: ValidatedPromptView},
        body=ValidatePromptBody,
        errors=(400, 413, 415, 500),
        tag="prompts",
    ),
    PlainRoute(
        method="GET",
        path="/unified/prompt-validator/health",
        summary="Which engines that shorten prompts can be reached",
        handle=_health,
        answers={200: PromptHealthView},
        errors=(500,),
        paid=True,
        tag="prompts",
    ),
)
