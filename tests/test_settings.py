"""Settings: the contract's names and defaults."""

from __future__ import annotations

import pytest

from lambdas.settings import Settings


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


def test_a_wrong_value_names_its_setting() -> None:
    with pytest.raises(ValueError, match="PRESIGNED_URL_TTL_SECONDS"):
        Settings.of({"PRESIGNED_URL_TTL_SECONDS": "soon"})
