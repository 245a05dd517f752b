"""Checks the text of settings, and raises ValueError with a sentence for an invalid one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from lambdas.domain.providers import ALL, SECRETS

TRUE: Final = ("1", "true", "yes", "on")
FALSE: Final = ("0", "false", "no", "off")
LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
ENDPOINTS: Final = "AWS_ENDPOINT_URL"  # and all names with this prefix, which the AWS SDK reads

# Minimum and maximum: a function's run time, AWS's limit for pre-signed URLs, or far above any deployment.
NUMBERS: Final[dict[str, tuple[float, float]]] = {
    "WORKER_CONCURRENCY": (0, 10_000),
    "GENERATION_TIMEOUT_SECONDS": (0, 900),
    "MAX_QUEUE_SECONDS": (0, 86_400),
    "PRESIGNED_URL_TTL_SECONDS": (1, 604_800),
    "JOB_RETENTION_DAYS": (1, 3650),
    "RATE_LIMIT_PER_MINUTE": (0, 1_000_000),
    "BUDGET_USD_PER_MONTH": (0, 1e9),
    "BUDGET_IMAGES_PER_MONTH": (0, 1_000_000_000),
}
WHOLE: Final = ("MAX_QUEUE_SECONDS",)
FRACTION: Final = r"[0-9]{1,12}(\.[0-9]{1,12})?"


def switch(name: str, text: str) -> bool:
    """Parse a switch. Raises ValueError, as all of these, naming the setting and a correct value."""
    if text.lower() not in TRUE + FALSE:
        raise ValueError(f"{name} must be 0 or 1, not {text!r}.")
    return text.lower() in TRUE


def number(name: str, text: str, kind: type) -> int | float:
    """Parse an ASCII number within its limits, whole if `kind` is int or for a setting in WHOLE."""
    least, most = NUMBERS[name]
    whole = kind is int or name in WHOLE
    value: int | float = kind(text) if re.fullmatch(r"[0-9]{1,12}" if whole else FRACTION, text) else least - 1
    if not least <= value <= most:
        what = "a whole number" if whole else "a number"
        raise ValueError(f"{name} must be {what} from {least:g} to {most:.0f}, not {text[:100]!r}.")
    return value


def address(name: str, text: str) -> None:
    """Check the URL of a service. One with an `@` may contain a password, so it is not repeated."""
    if "@" in text:
        raise ValueError(f"{name} must be an address that begins with http:// or https:// and has no user in it.")
    wrong = re.search(r"[^!-~]|[\\<>\"{}|^`,;]", text) or "?" in text or "#" in text
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname or ""  # an invalid port raises only here
    except ValueError:
        wrong, port, host = True, None, ""
    named = re.fullmatch(r"[a-z0-9]([a-z0-9._-]*[a-z0-9.])?|[0-9a-f:.]+", host)
    if wrong or port == 0 or not named or parts.scheme not in ("http", "https"):
        example = "such as http://127.0.0.1:8188 or https://api.example.com/v1"
        raise ValueError(f"{name} must be an address that begins with http:// or https://, {example}, not {text!r}.")


def key(name: str, text: str) -> None:
    """Check the key of a service, which is sent in a header. It is not repeated."""
    if not re.fullmatch(r"[!-~]{1,500}", text):
        raise ValueError(f"{name} must be a key of ASCII characters without spaces.")


def log_level(name: str, text: str) -> None:
    if text.upper() not in LOG_LEVELS:
        raise ValueError(f"{name} must be one of {', '.join(LOG_LEVELS)}, not {text!r}.")


def region(name: str, text: str) -> None:
    if not re.fullmatch(r"[a-z]{2,3}(-[a-z]{3,12}){1,2}-[0-9]{1,2}", text):
        raise ValueError(f"{name} must be a Region of AWS such as us-west-2, not {text!r}.")


def model(name: str, text: str) -> None:
    if not re.fullmatch(r"[!-~]{1,200}", text):
        raise ValueError(f"{name} must be a model's name without spaces, not {text!r}.")


def models(name: str, text: str) -> None:
    for entry in filter(None, map(str.strip, text.split(","))):
        model(name, entry)


def origins(name: str, text: str) -> None:
    for entry in filter(None, map(str.strip, text.split(","))):
        if entry != "*" and not re.fullmatch(r"https?://[A-Za-z0-9.\[\]:-]+", entry):
            raise ValueError(f"{name} must be * or origins such as https://app.example.com, not {entry!r}.")


def shares(name: str, text: str) -> dict[str, float]:
    """Parse a number from 0 for each provider."""
    return {who: float(share) for who, share in _pairs(name, text, r"[0-9]{1,9}(\.[0-9]{1,9})?", "bedrock:3,gemini:1")}


def calls(name: str, text: str) -> dict[str, int]:
    """Parse a whole number from 0 for each provider."""
    return {who: int(most) for who, most in _pairs(name, text, r"[0-9]{1,6}", "bedrock:10,leonardo_ai:4")}


def _pairs(name: str, text: str, pattern: str, example: str) -> list[tuple[str, str]]:
    found = []
    for entry in filter(None, map(str.strip, text.split(","))):
        who, _, what = (part.strip() for part in entry.partition(":"))
        if who not in ALL or not re.fullmatch(pattern, what):
            known = ", ".join(ALL)
            raise ValueError(f"{name} must be such as {example}, not {entry!r}; providers are {known}.")
        found.append((who, what))
    return found


def aliases(name: str, text: str) -> dict[str, str]:
    """Parse pairs of a pattern of names and a model."""
    found = {}
    for entry in filter(None, map(str.strip, text.split(","))):
        pattern, sign, what = (part.strip() for part in entry.partition("="))
        if not sign or not re.fullmatch(r"[!-~]{1,200}", pattern) or not re.fullmatch(r"[!-~]{0,200}", what):
            raise ValueError(f"{name} must be such as gpt-image-1-mini=stabilityai/sdxl-turbo, not {entry!r}.")
        found[pattern] = what
    return found


RULES: Final[Mapping[str, Callable[[str, str], object]]] = {
    **dict.fromkeys(("BASE_URL", "GPU_WORKER_URL", "COMFYUI_URL", "OLLAMA_URL"), address),
    **dict.fromkeys(("LEONARDO_BASE_URL", "RUNWARE_BASE_URL", "GEMINI_BASE_URL"), address),
    **dict.fromkeys(("DEFAULT_MODEL", "OLLAMA_MODEL", "BEDROCK_TEXT_MODEL"), model),
    **dict.fromkeys((name.upper() for name in SECRETS), key),
    "ALLOWED_MODELS": models,
    "OPENAI_MODELS": aliases,
    "BEDROCK_REGION": region,
    "LOG_LEVEL": log_level,
    "CORS_ALLOW_ORIGINS": origins,
    "PROVIDER_WEIGHTS": shares,
    "PROVIDER_CONCURRENCY": calls,
}
