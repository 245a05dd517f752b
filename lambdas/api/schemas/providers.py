"""Providers and how they are."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from pydantic import Field

from lambdas.api.schemas.common import Parameter, View
from lambdas.domain.iso_time import iso
from lambdas.domain.jobs.request import Format
from lambdas.domain.routing.health import Status
from lambdas.usecases.catalogue.list_providers import ProviderRow


class ProviderLimits(View):
    """The widest among the provider's models."""

    prompt_characters: int
    reference_images: int
    seconds: float = Field(description="A call that has not answered by then is given up.")
    parameters: list[Parameter] = Field(description="What at least one model honours.")
    formats: list[Format] = Field(description="What the provider encodes itself; every format is served.")


class ProviderView(View):
    id: str
    configured: bool
    status: Literal[Status, "unconfigured"]
    models: list[str]
    capabilities: list[str]
    success_rate: float | None = Field(
        description="0 to 1, of recent calls: an older call counts less. null: none lately."
    )
    latency_p50: float | None = Field(description="Seconds, of the latest successes.")
    latency_p95: float | None = Field(description="Seconds, of the latest successes.")
    price_per_image: float | None = Field(description="USD, of the provider's default model, the first in `models`.")
    prices: dict[str, float] = Field(description="USD per image, by model.")
    limits: ProviderLimits
    cooldown_until: str | None = Field(description="While cooling down: when the provider is tried again.")

    @classmethod
    def of(cls, row: ProviderRow) -> ProviderView:
        rounded = None if row.success_rate is None else round(row.success_rate, 4)
        return cls(**(asdict(row) | {"success_rate": rounded, "cooldown_until": iso(row.cooldown_until)}))


class ProvidersView(View):
    providers: list[ProviderView]
