"""Compares the catalogue with the models of the configured accounts: `python -m lambdas.providers.models_check`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

from lambdas.domain import catalogue
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.failures import ProviderFailure
from lambdas.domain.providers import TABLE
from lambdas.providers.models_check import aws, comfyui, services
from lambdas.providers.models_check import findings as f
from lambdas.providers.registry import ProviderRegistry
from lambdas.settings import Settings

HELP = """\
Compares the catalogue with what the configured accounts really have. Nothing is painted and nothing is paid for.

The settings are those of the service, read from the environment of this process alone: neither `.env` nor the
secret of a deployment is looked into, so give a key that stands there as a variable. AWS is asked with the
credentials of the environment; they need bedrock:ListFoundationModels, and sagemaker:DescribeEndpoint for an endpoint.
"""
STATES = """\
exit status:
  0  all is well: every model that could be looked up is there
  1  a model is gone, or is legacy and ends within 60 days or without a date
  2  a service could not be asked, or a setting cannot be read

1 goes before 2. A model that ALLOWED_MODELS leaves out is skipped. `unchecked` and `not in the catalogue` fail nothing.
"""


def look(settings: Settings, today: date, timeout: float) -> list[f.Finding]:
    """Ask every configured service. Returns a finding for each model, and for each service that is not configured."""
    on = ProviderRegistry(settings).configured()
    found: list[f.Finding] = []
    checks = _checks(settings)
    for entry in TABLE:
        provider, check = entry.id, checks[entry.id]
        if provider not in on:
            names = " or ".join(name.upper() for name in entry.configured_by)
            found.append(f.Finding(provider, "-", f.SKIPPED, f"not configured ({names})"))
            continue
        cards = catalogue.cards_of(provider)
        served = tuple(c for c in cards if not settings.allowed_models or c.id in settings.allowed_models)
        left_out = [
            f.Finding(provider, c.id, f.SKIPPED, "ALLOWED_MODELS leaves it out") for c in cards if c not in served
        ]
        found += (_asked(provider, "-", check, settings, served, timeout) if served else []) + left_out
    if settings.bedrock:
        found += _asked(aws.PROMPTS, settings.bedrock_text_model, aws.text_model, settings, (), timeout)
    if settings.ollama_url:
        found += _asked(services.PROMPTS, settings.ollama_model, services.ollama, settings, (), timeout)
    else:
        found.append(f.Finding(services.PROMPTS, "-", f.SKIPPED, "not configured (OLLAMA_URL)"))
    return [f.dated(finding, today) for finding in found]


def main(arguments: Sequence[str], environ: Mapping[str, str], today: date) -> int:
    """Print the table. Returns the exit status."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("models-check", description=HELP, epilog=STATES, formatter_class=form)
    parser.add_argument("--timeout", type=float, default=15.0, help="seconds for one service in all (default: 15)")
    timeout = parser.parse_args(arguments).timeout
    try:
        settings = Settings.of(environ)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    found = look(settings, today, timeout)
    sys.stdout.write(f.table(found))
    return f.exit_status(found, today)


def _checks(s: Settings) -> dict[str, f.Check]:
    """Return the check of each provider, which is free."""
    return {
        "bedrock": aws.bedrock,
        "sagemaker": services.worker if s.gpu_worker_url else aws.sagemaker,
        "leonardo_ai": services.leonardo,
        "runware_ai": services.runware,
        "gemini": services.gemini,
        "comfyui": comfyui.comfyui,
    }


def _asked(
    provider: str, model: str, check: f.Check, settings: Settings, cards: tuple[ModelCard, ...], timeout: float
) -> list[f.Finding]:
    try:
        return check(settings, cards, timeout)
    except ProviderFailure as failure:
        return [f.Finding(provider, model, f.NOT_ASKED, failure.detail)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ, datetime.now(UTC).date()))
