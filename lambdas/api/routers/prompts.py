"""The routes about prompts."""

from __future__ import annotations

from typing import Final

from lambdas.api.bodies_prompts import ValidatePromptBody
from lambdas.api.call import Call
from lambdas.api.routes import Answer, Route, json_answer
from lambdas.api.views_prompts import PromptHealthView, ValidatedPromptView
from lambdas.usecases.prompts.optimize import engine_states
from lambdas.usecases.prompts.validate import validate_prompt

SECONDS: Final = 20.0  # for the engines; nothing else waits here
HEALTH_SECONDS: Final = 4.0


def _validate(call: Call) -> Answer:
    from lambdas.domain.prompts.analysis import analyse  # a cold start has no use for it

    prompt: str = call.payload.prompt
    seconds = min(SECONDS, call.deadline - call.deps.clock.now())
    optimized = validate_prompt(call.tenant, prompt, seconds, call.deps)
    return json_answer(ValidatedPromptView.of(prompt, optimized, analyse(prompt)))


def _health(call: Call) -> Answer:
    return json_answer(PromptHealthView.of(engine_states(call.deps.engines, HEALTH_SECONDS)))


ROUTES = (
    Route(
        "POST",
        "/unified/validate-prompt",
        "What a prompt is like, and how it would be shortened",
        _validate,
        {200: ValidatedPromptView},
        body=ValidatePromptBody,
        errors=(400, 413, 415, 500),
        tag="prompts",
    ),
    Route(
        "GET",
        "/unified/prompt-validator/health",
        "Which engines that shorten prompts can be reached",
        _health,
        {200: PromptHealthView},
        errors=(500,),
        paid=True,  # a text model on Bedrock is asked for a few tokens, once a minute
        tag="prompts",
    ),
)
