"""Images drawn on the spot, where no real provider is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lambdas.settings import Settings

if TYPE_CHECKING:
    from lambdas.providers.demo.provider import Demo


def build(settings: Settings) -> Demo:
    """The provider. It needs no configuration; with a folder for it, it has a model."""
    from lambdas.providers.demo.provider import Demo

    return Demo(settings.demo_model_dir)
