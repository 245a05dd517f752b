"""Defines the environments that can be deployed, and the settings that a deployment passes to the service."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parent.parent

REGION_OF_BEDROCK = "us-west-2"  # of every image model, independent of the stack's region and BEDROCK_REGION


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The values above which an alarm is raised."""

    server_error_percent: float
    latency_p95_seconds: float
    oldest_message_seconds: int
    usd_per_day: float  # what the providers charge


@dataclass(frozen=True, slots=True)
class Gpu:
    """The GPU endpoint's figures. `instance_types` is best first: the next one is used if one is unavailable."""

    instance_types: tuple[str, ...]
    max_instances: int
    batch: int  # images painted at once, which is also the number of concurrent requests per instance
    models: tuple[str, ...]  # their weights are staged; the first is loaded before an instance serves
    idle_minutes: int  # without work until an alarm is raised
    asleep_minutes: int  # of waiting without an instance until an alarm is raised


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
    webhook_concurrency: int
    cors_origins: tuple[str, ...]
    thresholds: Thresholds
    gpu: Gpu


GPU_MODES = ("async", "realtime", "off")
# By the worker's model ids; the other models' licences need no acceptance.
LICENCES: dict[str, str] = {
    "stabilityai/sdxl-turbo": "https://huggingface.co/stabilityai/sdxl-turbo/blob/main/LICENSE.md",
}
_GPU = Gpu(
    instance_types=("ml.g6e.xlarge", "ml.g6.xlarge", "ml.g5.xlarge"),  # 48, 24 and 24 GB of GPU memory
    max_instances=1,
    batch=4,
    models=("stabilityai/sdxl-turbo", "diffusers/stable-diffusion-xl-1.0-inpainting-0.1"),
    idle_minutes=60,
    asleep_minutes=20,
)

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
            webhook_concurrency=5,
            cors_origins=("*",),
            thresholds=Thresholds(
                server_error_percent=5, latency_p95_seconds=25, oldest_message_seconds=900, usd_per_day=20
            ),
            gpu=_GPU,
        ),
        Environment(
            name="prod",
            protected=True,
            retention_days=365,
            log_retention_days=90,
            throttle_rate=100,
            throttle_burst=400,
            worker_concurrency=20,
            webhook_concurrency=20,
            cors_origins=("*",),  # keys travel in headers, never in cookies; CORS_ALLOW_ORIGINS narrows it
            thresholds=Thresholds(
                server_error_percent=1, latency_p95_seconds=20, oldest_message_seconds=300, usd_per_day=200
            ),
            gpu=replace(_GPU, max_instances=4),
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
        "MAX_QUEUE_SECONDS",
        "METRICS_ENABLED",
        "OLLAMA_MODEL",
        "OLLAMA_URL",
        "OPENAI_MODELS",
        "PRESIGNED_URL_TTL_SECONDS",
        "PROVIDER_CONCURRENCY",
        "PROVIDER_WEIGHTS",
        "RATE_LIMIT_PER_MINUTE",
        "REQUIRE_API_KEY",
        "RUNWARE_BASE_URL",
    }
)

# Bytes of all settings together: a function's variables, its own included, may have 4 KB.
MAX_SETTINGS = 2_000

SECRETS: frozenset[str] = frozenset({"LEONARDO_API_KEY", "RUNWARE_API_KEY", "GEMINI_API_KEY"})


def environment(name: str) -> Environment:
    """Return the environment of that name."""
    try:
        return ENVIRONMENTS[name]
    except KeyError:
        known = ", ".join(ENVIRONMENTS)
        raise SystemExit(f"There is no environment {name!r}. Choose one of: {known} (-c env=...).") from None


def gpu_mode(context: Mapping[str, object]) -> str:
    """Return how the GPU worker is deployed: `async` (scales to zero), `realtime` or `off`."""
    mode = str(context.get("gpu", GPU_MODES[0]))
    if mode not in GPU_MODES:
        raise SystemExit(f"There is no gpu mode {mode!r}. Choose one of: {', '.join(GPU_MODES)} (-c gpu=...).")
    return mode


def gpu_serving(context: Mapping[str, object]) -> str:
    """Return the mode of the endpoint that the service calls: `gpu_serving` if it is given, else `gpu`.

    A deployment gives it while the endpoint of its mode does not exist: `off`, or the mode of the endpoint that does.
    """
    serving = str(context.get("gpu_serving", gpu_mode(context)))
    if serving not in GPU_MODES:
        raise SystemExit(f"gpu_serving must be one of {', '.join(GPU_MODES)}, not {serving!r}.")
    return serving


def gpu(environment: Environment, context: Mapping[str, object]) -> Gpu:
    """Return the environment's figures, overridden by the context's `gpu_instance_types` and `gpu_max_instances`."""
    types = [part.strip() for part in str(context.get("gpu_instance_types", "")).split(",") if part.strip()]
    most = str(context.get("gpu_max_instances", environment.gpu.max_instances))
    if not most.isascii() or not most.isdigit() or int(most) < 1:
        raise SystemExit(f"gpu_max_instances must be a whole number from 1, not {most!r}.")
    if len(types) > 5 or not all(re.fullmatch(r"ml\.[a-z0-9]+\.[a-z0-9]+", name) for name in types):
        raise SystemExit("gpu_instance_types must be one to five names such as ml.g5.xlarge, between commas.")
    given = tuple(types) or environment.gpu.instance_types
    return replace(environment.gpu, instance_types=given, max_instances=int(most))


def thresholds(environment: Environment, context: Mapping[str, object]) -> Thresholds:
    """Return the environment's thresholds, overridden by the context's `alarm_usd_per_day`."""
    given = str(context.get("alarm_usd_per_day", environment.thresholds.usd_per_day))
    if not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,2})?", given):
        raise SystemExit(f"alarm_usd_per_day must be an amount in USD such as 50, not {given!r}.")
    return replace(environment.thresholds, usd_per_day=float(given))


def settings(context: Mapping[str, object]) -> dict[str, str]:
    """Return the settings in a CDK context: its keys in capitals. Refuses unknown ones, such as misspelt names."""
    given = {key: value for key, value in context.items() if key.isupper()}
    for key in sorted(given.keys() - SETTINGS):
        if key in SECRETS:
            raise SystemExit(f"{key} is a secret and would stand in the template. Put it into the provider secret.")
        raise SystemExit(f"{key} is no setting of a deployment. Known ones: {', '.join(sorted(SETTINGS))}.")
    if sum(len(key) + len(str(value).encode()) for key, value in given.items()) > MAX_SETTINGS:
        most = f"A Lambda function takes 4 KB of variables in all, of which settings may have {MAX_SETTINGS} bytes."
        raise SystemExit(f"The settings are too long together. {most}")
    found = {key: str(value).strip() for key, value in sorted(given.items())}  # as the service reads them
    if found:
        _check(found)
    return found


def _check(given: Mapping[str, str]) -> None:
    """Check the settings with the service's own code in another process, since it is not imported here."""
    most = given.get("MAX_MODELS_CACHE", "1")  # of the GPU worker, which is no part of the service
    if not re.fullmatch(r"[0-9]{1,3}", most) or not 1 <= int(most) <= 100:
        raise SystemExit(f"MAX_MODELS_CACHE must be a whole number from 1 to 100, not {most!r}.")
    environment = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    command = [sys.executable, "-m", "lambdas.settings"]
    found = subprocess.run(  # noqa: S603
        command, cwd=ROOT, env={**environment, **given}, capture_output=True, text=True, check=False
    )
    if found.returncode:
        raise SystemExit(found.stderr.strip().rpartition("\n")[2])
