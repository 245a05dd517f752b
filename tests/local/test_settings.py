"""The local settings: which are read, which are refused, and which the functions receive."""

import sys
from pathlib import Path

import pytest

from local.settings import ROOT, SettingsError, load, parse_env_file

NO_FILE = ROOT / "no such file"


def test_defaults() -> None:
    settings = load({}, NO_FILE, ROOT / "no such folder")
    assert settings.port == 8000
    assert settings.data_dir == ROOT / "data"
    assert settings.functions == {
        "LOG_LEVEL": "INFO",
        "REQUIRE_API_KEY": "0",
        "BEDROCK": "0",
        "DEPLOYED": "0",
        "ENVIRONMENT": "local",
    }
    assert not settings.bedrock_passthrough


def test_the_demo_has_its_model_where_it_can_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def given(**environ: str) -> str | None:
        return load(environ, NO_FILE, tmp_path).functions.get("DEMO_MODEL_DIR")

    assert given() is None
    (tmp_path / "unet.onnx").touch()
    assert given() == str(tmp_path)
    assert given(DEMO_MODEL_DIR="/mine") == "/mine"
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert given() is None


def test_only_settings_reach_the_functions(tmp_path: Path) -> None:
    given = {
        "GEMINI_API_KEY": "k",
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_ENDPOINT_URL": "http://x",
        "HOME": "/",
        "BASE_URL": "",
    }
    functions = load({**given, "DATA_DIR": str(tmp_path)}, NO_FILE).functions
    assert functions["GEMINI_API_KEY"] == "k"
    assert not {"AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL", "HOME", "BASE_URL", "DATA_DIR"} & functions.keys()


def test_bedrock_is_on_when_asked_or_when_its_endpoint_is_given() -> None:
    assert load({"BEDROCK": "true"}, NO_FILE).bedrock_passthrough
    given = load({"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "http://127.0.0.1:9"}, NO_FILE)
    assert given.functions["BEDROCK"] == "1"
    assert not given.bedrock_passthrough


def test_the_environment_goes_before_the_file_and_misspelt_names_are_told(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("API_KEY=file\nDEFAULT_MODEL=m\nGEMINI_APIKEY=oops\nAWS_PROFILE=me\n", "utf-8")
    settings = load({"API_KEY": "shell"}, file)
    assert settings.functions["API_KEY"] == "shell"
    assert settings.functions["DEFAULT_MODEL"] == "m"
    assert settings.unknown == ("GEMINI_APIKEY",)
    assert settings.user["AWS_PROFILE"] == "me"


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("APP_PORT", "abc", "from 0 to 65535"),
        ("APP_PORT", "70000", "from 0 to 65535"),
        ("PRESIGNED_URL_TTL_SECONDS", "0", "from 1 to 604800"),
        ("RATE_LIMIT_PER_MINUTE", "1.5", "from 0 to"),
        ("BUDGET_USD_PER_MONTH", "-1", "from 0 to"),
        ("BUDGET_IMAGES_PER_MONTH", "2.5", "from 0 to"),
        ("REQUIRE_API_KEY", "maybe", "0 or 1"),
        ("LOG_LEVEL", "loud", "one of DEBUG"),
        ("COMFYUI_URL", "localhost:8188", "http://"),
        ("COMFYUI_URL", "http://127.0.0.1:37403,", "http://"),
        ("RUNWARE_BASE_URL", "http://127.0.0.1:x", "http://"),
        ("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", "http://127.0.0.1:99999", "http://"),
        ("PROVIDER_WEIGHTS", "bedrok:3", "bedrock:3,gemini:1"),
        ("BEDROCK_REGION", "us-west", "us-west-2"),
        ("CORS_ALLOW_ORIGINS", "app", "https://app.example.com"),
        ("MAX_MODELS_CACHE", "0", "from 1 to 100"),
        ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "x", "http://"),
        ("API_KEYS", "a/b:key", "tenant:key"),
        ("API_KEYS", "good,acme:", "tenant:key"),
        ("API_KEY", "two words", "tenant:key"),
        ("PROVIDER_CONCURRENCY", "bedrock", "bedrock:10,leonardo_ai:4"),
        ("PROVIDER_CONCURRENCY", "bedrock:1.5", "bedrock:10,leonardo_ai:4"),
        ("MAX_QUEUE_SECONDS", "-1", "from 0 to 86400"),
        ("MAX_QUEUE_SECONDS", "1.5", "from 0 to 86400"),
        ("ALLOWED_HOSTS", "http://a.example", "tunnel.example.com"),
        ("ALLOWED_HOSTS", "a.example:80", "tunnel.example.com"),
        ("ALLOWED_HOSTS", "*", "tunnel.example.com"),
        ("MAX_QUEUE_SECONDS", "x", "from 0 to 86400"),
        ("WEBHOOK_SECRET", "whsec_not base64", "`secret` or `tenant:secret`; a secret is base64"),
        ("WEBHOOK_SECRET", "whsec_", "a secret is base64"),
        ("WEBHOOK_SECRET", "a/b:c2VjcmV0", "a secret is base64"),
        ("WEBHOOK_SECRET", "acme:c2VjcmV0,acme:whsec_b3RoZXI=", "a tenant has one secret"),
    ],
)
def test_a_wrong_value_is_refused_with_a_sentence(name: str, value: str, hint: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} must be .*{hint}"):
        load({name: value}, NO_FILE)


def test_further_names_are_for_the_launcher_alone() -> None:
    given = load({"ALLOWED_HOSTS": " My-Tunnel.example.com, box_1,"}, NO_FILE)
    assert given.hosts == ("my-tunnel.example.com", "box_1")
    assert "ALLOWED_HOSTS" not in given.functions
    assert load({}, NO_FILE).hosts == ()


def test_a_wrong_key_is_not_repeated_in_the_sentence() -> None:
    with pytest.raises(SettingsError) as refused:
        load({"API_KEYS": "a/b:sesame"}, NO_FILE)
    assert "sesame" not in str(refused.value)
    assert load({"API_KEYS": "acme:a:b, plain,"}, NO_FILE).functions["API_KEYS"] == "acme:a:b, plain,"


def test_a_wrong_secret_is_not_repeated_in_the_sentence() -> None:
    with pytest.raises(SettingsError) as refused:
        load({"WEBHOOK_SECRET": "acme:whsec_open-sesame"}, NO_FILE)
    assert "sesame" not in str(refused.value)


def test_provider_concurrency_reaches_the_functions() -> None:
    functions = load({"PROVIDER_CONCURRENCY": "bedrock:10, leonardo_ai:0", "MAX_QUEUE_SECONDS": "0"}, NO_FILE).functions
    assert functions["PROVIDER_CONCURRENCY"] == "bedrock:10, leonardo_ai:0"
    assert functions["MAX_QUEUE_SECONDS"] == "0"


def test_env_file_syntax(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("\ufeff# comment\n\nexport A=1\nB = two words # said\nC='x # y'\nD=\"q\" # z\nE=a#b\nF=\n", "utf-8")
    assert parse_env_file(file) == {"A": "1", "B": "two words", "C": "x # y", "D": "q", "E": "a#b", "F": ""}
    file.write_text("A=1\nnonsense\n", "utf-8")
    with pytest.raises(SettingsError, match="line 2: expected NAME=value"):
        parse_env_file(file)
