"""Draws images locally if no real provider is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lambdas.settings import Settings

if TYPE_CHECKING:
    from lambdas.providers.demo.provider import Demo


def build(settings: Settings) -> Demo:
    """Create the provider. It needs no configuration; with the folder of a model it has one."""
    from lambdas.providers.demo.provider import Demo

    return Demo(settings.demo_model_dir)
