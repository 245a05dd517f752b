"""The providers by name: which there are, what configures each, and how much each bears at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """One provider. Its module is `lambdas.providers.<id>`, its cards are in `lambdas.domain.catalogue.cards.<id>`."""

    id: str
    configured_by: tuple[str, ...]  # fields of Settings, any one of which turns it on
    secrets: tuple[str, ...] = ()  # those of its settings that a deployment reads from its secret
    max_calls: int = 0  # at a time, where a deployment does not say otherwise; 0 is no cap


# In the order in which they are shown.
TABLE: Final = (
    ProviderEntry("bedrock", ("bedrock",)),
    ProviderEntry("sagemaker", ("sagemaker_endpoint", "gpu_worker_url")),
    # queues what goes beyond a plan's concurrency
    ProviderEntry("leonardo_ai", ("leonardo_api_key",), secrets=("leonardo_api_key",), max_calls=10),
    ProviderEntry("runware_ai", ("runware_api_key",), secrets=("runware_api_key",)),
    ProviderEntry("gemini", ("gemini_api_key",), secrets=("gemini_api_key",)),
    ProviderEntry("comfyui", ("comfyui_url",), max_calls=4),  # has one GPU
)
DEMO: Final = "demo"  # answers where none of these is configured, and never when deployed

PROVIDERS: Final = tuple(entry.id for entry in TABLE)
ALL: Final = (*PROVIDERS, DEMO)
SECRETS: Final = tuple(name for entry in TABLE for name in entry.secrets)
