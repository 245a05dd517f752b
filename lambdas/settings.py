"""Reads every setting of the service from the environment. `python -m lambdas.settings` checks them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields

from lambdas import settings_rules as rules
from lambdas.domain.aliases import OPENAI


@dataclass(frozen=True, slots=True)
class Settings:
    """Each field is read from the environment variable of its name in capitals. Empty text means unset."""

    # set by the template
    jobs_table: str = ""
    images_table: str = ""
    projects_table: str = ""
    providers_table: str = ""
    keys_table: str = ""
    images_bucket: str = ""
    jobs_queue_url: str = ""
    webhooks_queue_url: str = ""
    worker_function: str = ""
    worker_concurrency: int = 0
    provider_secret_arn: str = ""
    environment: str = "dev"
    deployed: bool = False

    # section 3.6 and 10 of the contract
    default_model: str = "stabilityai/sdxl-turbo"
    allowed_models: tuple[str, ...] = ()
    openai_models: tuple[str, ...] = ()  # what OpenAI's names stand for besides the default model: name=model
    provider_weights: tuple[str, ...] = ()  # shares of traffic, such as bedrock:3,gemini:1
    provider_concurrency: tuple[str, ...] = ()  # concurrent calls, such as bedrock:10; 0 removes a default
    require_api_key: bool = False
    api_key: tuple[str, ...] = ()
    api_keys: tuple[str, ...] = ()
    generation_timeout_seconds: float = 0.0
    max_queue_seconds: float = 900.0
    presigned_url_ttl_seconds: int = 300
    metrics_enabled: bool = False
    base_url: str = ""
    cors_allow_origins: tuple[str, ...] = ("*",)
    log_level: str = "INFO"
    job_retention_days: int = 30
    rate_limit_per_minute: int = 0  # per tenant, as the budgets; 0: no limit
    budget_usd_per_month: float = 0.0
    budget_images_per_month: int = 0
    bedrock: bool = False
    bedrock_region: str = "us-west-2"
    bedrock_text_model: str = "openai.gpt-oss-20b-1:0"
    gpu_worker_url: str = ""
    sagemaker_endpoint: str = ""  # the project's own endpoint; set by the template if there is one
    sagemaker_async: bool = False  # whether that endpoint receives its work through S3
    leonardo_api_key: str = ""
    leonardo_base_url: str = "https://cloud.leonardo.ai/api/rest"
    runware_api_key: str = ""
    runware_base_url: str = "https://api.runware.ai/v1"
    gemini_api_key: str = ""
    gemini_base_url: str = "https://generativelanguage.googleapis.com/v1beta"
    comfyui_url: str = ""
    ollama_url: str = ""
    ollama_model: str = "gpt-oss:20b"
    allow_private_urls: bool = False
    demo_model_dir: str = ""  # local only: the folder of the demo's small model
    webhook_secret: tuple[str, ...] = ()  # local only: `secret` of the tenant `default`, or `tenant:secret`

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Settings:
        """Read the settings, and check the AWS SDK's settings that are addresses.

        Raises ValueError with a sentence that names the setting and describes a correct value.
        """
        values: dict[str, object] = {}
        for f in fields(cls):
            text = environ.get(f.name.upper(), "").strip()
            if text:
                values[f.name] = _read(f.name.upper(), text, f.default)
        for name, text in environ.items():
            if name.startswith(rules.ENDPOINTS) and text.strip():
                rules.address(name, text.strip())
        return cls(**values)  # type: ignore[arg-type]

    @classmethod
    def live(cls) -> Settings:
        return cls.of(os.environ)

    @property
    def weights(self) -> dict[str, float]:
        """The share of traffic by provider."""
        return rules.shares("PROVIDER_WEIGHTS", ",".join(self.provider_weights))

    @property
    def concurrency(self) -> dict[str, int]:
        """The concurrent calls by provider, as given."""
        return rules.calls("PROVIDER_CONCURRENCY", ",".join(self.provider_concurrency))

    @property
    def aliases(self) -> dict[str, str]:
        """The model by pattern of OpenAI's names, of OPENAI_MODELS; empty for the default model."""
        return {**OPENAI, **rules.aliases("OPENAI_MODELS", ",".join(self.openai_models))}

    @property
    def local_keys(self) -> dict[str, str]:
        """The tenant by key, of API_KEY and API_KEYS (`tenant:key` or `key` of the tenant `default`)."""
        entries = (entry if ":" in entry else f":{entry}" for entry in (*self.api_keys, *self.api_key))
        pairs = (entry.partition(":") for entry in entries)  # a tenant has no colon, a key may
        return {key: tenant or "default" for tenant, _, key in pairs if key}

    @property
    def local_webhook_secrets(self) -> dict[str, str]:
        """The signing secret by tenant, of WEBHOOK_SECRET."""
        pairs = (entry.rpartition(":") for entry in self.webhook_secret)  # a secret has no colon
        return {tenant or "default": secret for tenant, _, secret in pairs if secret}


def _read(name: str, text: str, default: object) -> object:
    if name in rules.RULES:
        rules.RULES[name](name, text)
    if isinstance(default, bool):
        return rules.switch(name, text)
    if isinstance(default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if isinstance(default, (int, float)):
        return rules.number(name, text, type(default))
    return text


if __name__ == "__main__":
    # run before settings are passed to functions that are started or deployed
    try:
        Settings.live()
    except ValueError as wrong:
        sys.exit(str(wrong))
