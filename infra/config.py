"""The environments that can be deployed, as data, and the settings that a deployment may pass through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

REGION_OF_BEDROCK = "us-west-2"  # where every model of the catalogue lives, whatever the region of the stack


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on an alarm rings."""

    server_error_percent: float
    latency_p95_seconds: float
    oldest_message_seconds: int


@dataclass(frozen=True, slots=True)
class Environment:
    """One deployment's figures. `protected` keeps tables, images and secrets when a stack is deleted."""

    name: str
    protected: bool
    retention_days: int  # of images and of the records that describe them
    log_retention_days: int
    throttle_rate: int
    throttle_burst: int
    worker_concurrency: int
    cors_origins: tuple[str, ...]
    thresholds: Thresholds


ENVIRONMENTS: dict[str, Environment] = {
    environment.name: environment
    for environment in (
        Environment(
            name="dev",
            protected=False,
            retention_days=30,
            log_retention_days=14,
            throttle_rate=100,
            throttle_burst=400,
            worker_concurrency=5,
            cors_origins=("*",),
            thresholds=Thresholds(server_error_percent=5, latency_p95_seconds=25, oldest_message_seconds=900),
        ),
        Environment(
            name="prod",
            protected=True,
            retention_days=365,
            log_retention_days=90,
            throttle_rate=100,
            throttle_burst=400,
            worker_concurrency=20,
            cors_origins=("*",),  # keys travel in headers, never in cookies; CORS_ALLOW_ORIGINS narrows it
            thresholds=Thresholds(server_error_percent=1, latency_p95_seconds=20, oldest_message_seconds=300),
        ),
    )
}

SETTINGS: frozenset[str] = frozenset(
    {
        "ALLOWED_MODELS",
        "BASE_URL",
        "BEDROCK_REGION",
        "BEDROCK_TEXT_MODEL",
        "BUDGET_IMAGES_PER_MONTH",
        "BUDGET_USD_PER_MONTH",
        "COMFYUI_URL",
        "CORS_ALLOW_ORIGINS",
        "DEFAULT_MODEL",
        "GEMINI_BASE_URL",
        "GENERATION_TIMEOUT_SECONDS",
        "JOB_RETENTION_DAYS",
        "LEONARDO_BASE_URL",
        "LOG_LEVEL",
        "MAX_MODELS_CACHE",
        "METRICS_ENABLED",
        "OLLAMA_MODEL",
        "OLLAMA_URL",
        "PRESIGNED_URL_TTL_SECONDS",
        "PROVIDER_WEIGHTS",
        "RATE_LIMIT_PER_MINUTE",
        "REQUIRE_API_KEY",
        "RUNWARE_BASE_URL",
    }
)

SECRETS: frozenset[str] = frozenset({"LEONARDO_API_KEY", "RUNWARE_API_KEY", "GEMINI_API_KEY"})


def environment(name: str) -> Environment:
    """The environment of that name."""
    try:
        return ENVIRONMENTS[name]
    except KeyError:
        known = ", ".join(ENVIRONMENTS)
        raise SystemExit(f"There is no environment {name!r}. Choose one of: {known} (-c env=...).") from None


def settings(context: Mapping[str, object]) -> dict[str, str]:
    """The settings in a CDK context: its keys in capitals. An unknown one is refused, so that a typing error shows."""
    given = {key: value for key, value in context.items() if key.isupper()}
    for key in sorted(given.keys() - SETTINGS):
        if key in SECRETS:
            raise SystemExit(f"{key} is a secret and would stand in the template. Put it into the provider secret.")
        raise SystemExit(f"{key} is no setting of a deployment. Known ones: {', '.join(sorted(SETTINGS))}.")
    return {key: str(value) for key, value in sorted(given.items())}
