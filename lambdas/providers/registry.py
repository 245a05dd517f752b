"""The providers of this deployment: which are configured, and each one's module on first use."""

from __future__ import annotations

from importlib import import_module

from lambdas.domain.ports import Provider
from lambdas.domain.routing import DEMO
from lambdas.providers import MODULES
from lambdas.settings import Settings


class ProviderRegistry:
    """The port Providers. The demo is there only where nothing else is, and never when deployed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: dict[str, Provider] = {}

    def configured(self) -> frozenset[str]:
        real = {"bedrock": self._settings.bedrock}
        found = frozenset(name for name, on in real.items() if on)
        return found or (frozenset() if self._settings.deployed else frozenset({DEMO}))

    def get(self, provider_id: str) -> Provider:
        if provider_id not in self._made:
            self._made[provider_id] = import_module(MODULES[provider_id]).build(self._settings)
        return self._made[provider_id]
