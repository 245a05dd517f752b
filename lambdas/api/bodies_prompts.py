"""What clients may send about prompts."""

from __future__ import annotations

from lambdas.api.bodies import Body, Prompt


class ValidatePromptBody(Body):
    """POST /unified/validate-prompt."""

    prompt: Prompt
