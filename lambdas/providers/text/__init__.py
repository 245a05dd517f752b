"""Contains the prompt engines: language models that shorten prompts."""

from __future__ import annotations

from lambdas.domain.ports.providers import PromptEngine
from lambdas.settings import Settings


def engines(settings: Settings) -> tuple[PromptEngine, ...]:
    """Return the configured engines in the order of their use. Nothing is connected yet."""
    found: list[PromptEngine] = []
    if settings.ollama_url:
        from lambdas.providers.text.ollama import Ollama

        found.append(Ollama(settings.ollama_url, settings.ollama_model))
    if settings.bedrock:
        from lambdas.providers.text.bedrock_text import BedrockText

        found.append(BedrockText(settings.bedrock_region, settings.bedrock_text_model))
    return tuple(found)
