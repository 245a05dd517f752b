"""Knows which providers are configured, and creates each on first use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module

from lambdas.domain.catalogue.cards.scenes import DEMO_SCENES, GPU_SCENES
from lambdas.domain.ports.providers import Provider, TicketProvider
from lambdas.domain.providers import DEMO, SECRETS, TABLE
from lambdas.settings import Settings


def vocabulary_limited(settings: Settings) -> frozenset[str]:
    """Return the vocabulary-limited models that are available.

    The demo's needs its folder. The GPU worker's is in every worker, but a worker may not be allowed to serve it: a
    local one is assumed to be, an endpoint if the settings name the model.
    """
    named = {settings.default_model, *settings.allowed_models}
    there = {DEMO_SCENES: settings.demo_model_dir, GPU_SCENES: settings.gpu_worker_url or GPU_SCENES in named}
    return frozenset(model for model, here in there.items() if here)


class ProviderRegistry:
    """Implements the port Providers. The demo is configured if no other provider is, and never when deployed.

    `secrets` returns the keys from the secret, by the names of their settings. A provider is created again when its
    keys change.
    """

    def __init__(self, settings: Settings, secrets: Callable[[], Mapping[str, str]] = dict) -> None:
        self._settings = settings
        self._secrets = secrets
        self._made: dict[str, tuple[Settings, Provider | TicketProvider]] = {}

    def configured(self) -> frozenset[str]:
        s = self._current()
        found = frozenset(entry.id for entry in TABLE if any(getattr(s, name) for name in entry.configured_by))
        return found or (frozenset() if s.deployed else frozenset({DEMO}))

    def get(self, provider_id: str) -> Provider | TicketProvider:
        settings = self._current()
        made = self._made.get(provider_id)
        if made is None or made[0] != settings:
            made = settings, import_module(f"lambdas.providers.{provider_id}").build(settings)
            self._made[provider_id] = made
        return made[1]

    def _current(self) -> Settings:
        secrets = self._secrets()
        found = {name: value for name in SECRETS if (value := secrets.get(name.upper()))}
        return replace(self._settings, **found) if found else self._settings  # type: ignore[arg-type]
