"""Contract 3.6 and 10: the names and defaults of settings."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from lambdas import settings_rules
from lambdas.settings import Settings

ROOT = Path(__file__).parent.parent


def test_defaults_of_the_contract() -> None:
    settings = Settings.of({})
    assert settings.default_model == "stabilityai/sdxl-turbo"
    assert settings.presigned_url_ttl_seconds == 300
    assert settings.generation_timeout_seconds == 0
    assert settings.bedrock_region == "us-west-2"
    assert settings.cors_allow_origins == ("*",)
    assert (settings.require_api_key, settings.metrics_enabled, settings.bedrock) == (False, False, False)


def test_values_are_read_by_kind() -> None:
    read = Settings.of(
        {"REQUIRE_API_KEY": "1", "ALLOWED_MODELS": "a, b,", "PRESIGNED_URL_TTL_SECONDS": "60", "BASE_URL": "  "}
    )
    assert read.require_api_key is True
    assert read.allowed_models == ("a", "b")
    assert read.presigned_url_ttl_seconds == 60
    assert read.base_url == ""


def test_weights() -> None:
    assert Settings.of({"PROVIDER_WEIGHTS": "bedrock:3, gemini:0.5"}).weights == {"bedrock": 3.0, "gemini": 0.5}
    for wrong in ("bedrock", "bedrock:", "bedrock:-1", "bedrock:nan", "bedrock:inf"):
        with pytest.raises(ValueError, match="PROVIDER_WEIGHTS"):
            _ = Settings.of({"PROVIDER_WEIGHTS": wrong}).weights


def test_12_7_openais_names_of_models() -> None:
    every = {"gpt-image-*": "", "dall-e-*": "", "chatgpt-image-*": ""}
    assert Settings.of({}).aliases == every
    given = Settings.of({"OPENAI_MODELS": "gpt-image-1-mini = a/b, dall-e-*=c:1,"})
    assert given.aliases == {**every, "gpt-image-1-mini": "a/b", "dall-e-*": "c:1"}


def test_calls_at_a_time() -> None:
    assert Settings.of({"PROVIDER_CONCURRENCY": "bedrock:3, leonardo_ai:0"}).concurrency == {
        "bedrock": 3,
        "leonardo_ai": 0,
    }
    assert (Settings.of({}).concurrency, Settings.of({}).max_queue_seconds) == ({}, 900)
    for wrong in ("bedrock", "bedrock:", "bedrock:-1", "bedrock:1.5", "bedrock:²"):
        with pytest.raises(ValueError, match="PROVIDER_CONCURRENCY"):
            _ = Settings.of({"PROVIDER_CONCURRENCY": wrong}).concurrency


def test_both_names_of_keys_take_several_and_a_key_may_hold_a_colon() -> None:
    read = Settings.of({"API_KEY": "solo, acme:k1", "API_KEYS": "umbrella:a:b,plain,"})
    assert read.local_keys == {"solo": "default", "k1": "acme", "a:b": "umbrella", "plain": "default"}


def test_webhook_secrets_of_several_tenants() -> None:
    read = Settings.of({"WEBHOOK_SECRET": "whsec_AAAA, acme:whsec_BBBB=,umbrella:CCCC,"})
    assert read.local_webhook_secrets == {"default": "whsec_AAAA", "acme": "whsec_BBBB=", "umbrella": "CCCC"}


ADDRESSES = [
    "BASE_URL",
    "GPU_WORKER_URL",
    "COMFYUI_URL",
    "OLLAMA_URL",
    "LEONARDO_BASE_URL",
    "RUNWARE_BASE_URL",
    "GEMINI_BASE_URL",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
    "AWS_ENDPOINT_URL_S3",
]
NO_ADDRESSES = [
    "http://127.0.0.1:37403,",
    "http://127.0.0.1:x",
    "http://127.0.0.1:99999",
    "http://127.0.0.1:-1",
    "http://127.0.0.1:0",
    "127.0.0.1:80",
    "localhost:8188",
    "ftp://h/",
    "http:/h",
    "http://",
    "https:///p",
    "http://h/a,b",
    "http://h?key=x",
    "http://h#x",
    "http://[::1",
    "http://h\\x",
    "http://-h",
    "http://ho_st!/",
    "http://hö.test",
    "file:///etc/passwd",
    "http://h/<x>",
    "http://u:hunter2@h/",
    "http://hunter2@h",
]


@pytest.mark.parametrize("name", ADDRESSES)
def test_an_address_that_no_call_could_use_is_refused_at_the_start(name: str) -> None:
    for wrong in [*NO_ADDRESSES, "http://a b/", "http://h/\x00"]:
        with pytest.raises(
            ValueError, match=f"^{name} must be an address that begins with http:// or https://"
        ) as told:
            Settings.of({name: wrong})
        assert "hunter2" not in str(told.value)
    for right in (
        "http://127.0.0.1:8188",
        "https://api.runware.ai/v1/",
        "http://[::1]:8080",
        "http://ollama_1:11434/a-b",
    ):
        Settings.of({name: right})


NUMBERS = {
    "WORKER_CONCURRENCY": 5,
    "GENERATION_TIMEOUT_SECONDS": 2.5,
    "MAX_QUEUE_SECONDS": 60,
    "PRESIGNED_URL_TTL_SECONDS": 60,
    "JOB_RETENTION_DAYS": 30,
    "RATE_LIMIT_PER_MINUTE": 60,
    "BUDGET_USD_PER_MONTH": 0.5,
    "BUDGET_IMAGES_PER_MONTH": 100,
}


def test_every_number_has_its_limits() -> None:
    """A field that is added without them fails to be read at all."""
    kinds = {f.name.upper(): type(f.default) for f in fields(Settings)}
    assert (
        {name for name, kind in kinds.items() if kind in (int, float)}
        == NUMBERS.keys()
        == settings_rules.NUMBERS.keys()
    )
    for name, good in NUMBERS.items():
        assert getattr(Settings.of({name: f" {good} "}), name.lower()) == good
        odd = ["-1", "nan", "inf", "1e3", "1_0", "\u0663", "0x10", "", "9" * 5000, "99999999999", "5 6", "5,"]
        odd += ["1.5"] if isinstance(good, int) else []
        for wrong in filter(None, odd):
            with pytest.raises(ValueError, match=f"^{name} must be a (whole )?number from [01] to [0-9]+, not "):
                Settings.of({name: wrong})


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        ("LOG_LEVEL", "loud", "info"),
        ("BEDROCK_REGION", "Oregon", "us-gov-west-1"),
        ("BEDROCK", "maybe", "off"),
        ("REQUIRE_API_KEY", "2", "TRUE"),
        ("METRICS_ENABLED", "enabled", "1"),
        ("ALLOW_PRIVATE_URLS", "y", "no"),
        ("CORS_ALLOW_ORIGINS", "app.example.com", "https://app.example.com, http://localhost:3000"),
        ("CORS_ALLOW_ORIGINS", "https://app.example.com/", "*"),
        ("DEFAULT_MODEL", "a model", "a/model"),
        ("ALLOWED_MODELS", "a/b c/d", "a/b, c/d,"),
        ("OPENAI_MODELS", "gpt-image-1", "gpt-image-1=a/b, dall-e-*=,"),
        ("OPENAI_MODELS", "gpt-image-1=a model", "gpt-image-*=a/b"),
        ("OLLAMA_MODEL", "gpt oss", "gpt-oss:20b"),
        ("BEDROCK_TEXT_MODEL", "gpt\u200b", "openai.gpt-oss-20b-1:0"),
        ("PROVIDER_WEIGHTS", "bedrok:3", "bedrock:3"),
        ("PROVIDER_WEIGHTS", "bedrock:1_0", "bedrock:1.5,"),
        ("PROVIDER_CONCURRENCY", "leonardo:4", "leonardo_ai:4"),
        ("GEMINI_API_KEY", "AI za", "AIza-_key"),
        ("RUNWARE_API_KEY", "clé", "key"),
        ("LEONARDO_API_KEY", "a\nb", "0c2f1c8e"),
    ],
)
def test_words_and_lists(name: str, wrong: str, right: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be ") as told:
        Settings.of({name: wrong})
    assert "KEY" not in name or name == "REQUIRE_API_KEY" or wrong not in str(told.value)
    Settings.of({name: right})


def test_whoever_hands_settings_on_can_ask_for_a_sentence() -> None:
    command = [sys.executable, "-m", "lambdas.settings"]
    for value, said in (("http://127.0.0.1:37403,", "COMFYUI_URL must be an address"), ("http://127.0.0.1:37403", "")):
        found = subprocess.run(
            command, env={"COMFYUI_URL": value}, capture_output=True, text=True, cwd=ROOT, check=False
        )
        assert (found.returncode, found.stderr[:30], found.stdout) == (1 if said else 0, said, "")


def test_a_wrong_value_names_its_setting() -> None:
    with pytest.raises(ValueError, match="PRESIGNED_URL_TTL_SECONDS"):
        Settings.of({"PRESIGNED_URL_TTL_SECONDS": "soon"})
