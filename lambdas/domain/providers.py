"""Lists the providers: their ids, the settings that configure them, and their concurrency limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """One provider. Its module is `lambdas.providers.<id>`, its cards are in `lambdas.domain.catalogue.cards.<id>`."""

    id: str
    configured_by: tuple[str, ...]  # fields of Settings, each of which enables it
    secrets: tuple[str, ...] = ()  # settings that a deployment reads from its secret
    max_calls: int = 0  # concurrent ones, by default; 0: no cap


# In the order in which clients see them.
TABLE: Final = (
    ProviderEntry("bedrock", ("bedrock",)),
    ProviderEntry("sagemaker", ("sagemaker_endpoint", "gpu_worker_url")),
    # it queues calls beyond the plan's concurrency
    ProviderEntry("leonardo_ai", ("leonardo_api_key",), secrets=("leonardo_api_key",), max_calls=10),
    ProviderEntry("runware_ai", ("runware_api_key",), secrets=("runware_api_key",)),
    ProviderEntry("gemini", ("gemini_api_key",), secrets=("gemini_api_key",)),
    ProviderEntry("comfyui", ("comfyui_url",), max_calls=4),  # has one GPU
)
DEMO: Final = "demo"  # used locally if no other provider is configured

PROVIDERS: Final = tuple(entry.id for entry in TABLE)
ALL: Final = (*PROVIDERS, DEMO)
SECRETS: Final = tuple(name for entry in TABLE for name in entry.secrets)
