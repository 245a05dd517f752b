"""Reads and checks `.env` and the environment, and selects the settings that the functions receive."""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local import webhook_secrets

ROOT = Path(__file__).resolve().parent.parent
DEMO_MODEL = ROOT / "gpu_worker" / "scenes" / "weights"

# Passed to the functions when set; the deployed template has the same names.
_NAMES = """
    DEFAULT_MODEL ALLOWED_MODELS OPENAI_MODELS PROVIDER_WEIGHTS
    MAX_MODELS_CACHE REQUIRE_API_KEY API_KEY API_KEYS GENERATION_TIMEOUT_SECONDS
    METRICS_ENABLED BASE_URL LEONARDO_API_KEY RUNWARE_API_KEY GEMINI_API_KEY LEONARDO_BASE_URL RUNWARE_BASE_URL
    GEMINI_BASE_URL COMFYUI_URL OLLAMA_URL OLLAMA_MODEL BEDROCK BEDROCK_REGION BEDROCK_TEXT_MODEL GPU_WORKER_URL
    AWS_ENDPOINT_URL_BEDROCK_RUNTIME AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME RATE_LIMIT_PER_MINUTE BUDGET_USD_PER_MONTH
    BUDGET_IMAGES_PER_MONTH ALLOW_PRIVATE_URLS WEBHOOK_SECRET PRESIGNED_URL_TTL_SECONDS CORS_ALLOW_ORIGINS LOG_LEVEL
    JOB_RETENTION_DAYS PROVIDER_CONCURRENCY MAX_QUEUE_SECONDS DEMO_MODEL_DIR
"""
FUNCTION_SETTINGS = frozenset(_NAMES.split())
LOCAL_SETTINGS = frozenset({"APP_PORT", "DATA_DIR", "ALLOWED_HOSTS"})

SWITCHES = ("REQUIRE_API_KEY", "METRICS_ENABLED", "BEDROCK", "ALLOW_PRIVATE_URLS")
NUMBERS: dict[str, tuple[int, int]] = {
    "APP_PORT": (0, 65535),  # 0: any free port
    "MAX_MODELS_CACHE": (1, 100),
}
HOSTS = re.compile(r"(\s*[A-Za-z0-9_][A-Za-z0-9._-]{0,252}\s*(,|$))+")
KEY = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}:[!-~]+|[!-9;-~]*"  # empty after a surplus comma
TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


class SettingsError(ValueError):
    """An unusable setting; the message names it and describes a correct value."""


@dataclass(frozen=True)
class Settings:
    """The settings of one local run."""

    port: int
    data_dir: Path
    functions: Mapping[str, str]  # environment of every function
    user: Mapping[str, str]  # the user's environment with `.env`, for the launcher alone
    hosts: tuple[str, ...] = ()  # further names under which the service may be addressed
    unknown: tuple[str, ...] = ()  # unknown names in `.env`

    @property
    def bedrock_passthrough(self) -> bool:
        """Whether functions reach the real Bedrock through the front, signed with the user's credentials."""
        return self.functions["BEDROCK"] == "1" and "AWS_ENDPOINT_URL_BEDROCK_RUNTIME" not in self.functions


def load(
    environ: Mapping[str, str] | None = None, env_file: Path = ROOT / ".env", demo_model: Path = DEMO_MODEL
) -> Settings:
    """Read the settings of the environment, which override those of `env_file`. Raises SettingsError.

    `demo_model` is the folder of the demo's small model, which is used if it exists and can be run.
    """
    written = parse_env_file(env_file) if env_file.is_file() else {}
    user = {**written, **(os.environ if environ is None else environ)}
    values = {name: user[name].strip() for name in FUNCTION_SETTINGS | LOCAL_SETTINGS if user.get(name, "").strip()}
    for name, value in values.items():
        values[name] = _checked(name, value)
    if given := {name: value for name, value in values.items() if name in FUNCTION_SETTINGS}:
        _check_functions(given)
    bedrock_here = "AWS_ENDPOINT_URL_BEDROCK_RUNTIME" in values
    functions = {
        "LOG_LEVEL": "INFO",
        "REQUIRE_API_KEY": "0",
        **({"DEMO_MODEL_DIR": str(demo_model)} if runnable(demo_model) else {}),
        **{name: value for name, value in values.items() if name in FUNCTION_SETTINGS},
        "BEDROCK": "1" if bedrock_here else values.get("BEDROCK", "0"),
        "DEPLOYED": "0",
        "ENVIRONMENT": "local",
    }
    return Settings(
        port=int(values.get("APP_PORT", "8000")),
        data_dir=(ROOT / Path(values.get("DATA_DIR", "data")).expanduser()).resolve(),
        functions=functions,
        user=user,
        hosts=tuple(name.strip().lower() for name in values.get("ALLOWED_HOSTS", "").split(",") if name.strip()),
        unknown=tuple(
            sorted(n for n in written if n not in FUNCTION_SETTINGS | LOCAL_SETTINGS and not n.startswith("AWS_"))
        ),
    )


def runnable(model: Path) -> bool:
    """Return whether the folder has a small model's graphs and ONNX Runtime is installed."""
    return (model / "unet.onnx").is_file() and importlib.util.find_spec("onnxruntime") is not None


def parse_env_file(path: Path) -> dict[str, str]:
    """Parse `NAME=value` lines with the quotes, `export` and comments of dotenv files. Raises SettingsError."""
    values: dict[str, str] = {}
    for number, raw in enumerate(path.read_text("utf-8-sig").splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(r"(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)", line)
        if not match:
            raise SettingsError(f"{path.name}, line {number}: expected NAME=value, found {line[:40]!r}.")
        name, value = match.groups()
        quoted = re.match(r"""(["'])(.*?)\1\s*(?:#.*)?$""", value)
        values[name] = quoted.group(2) if quoted else re.split(r"(?:^|\s)#", value, maxsplit=1)[0].strip()
    return values


def _checked(name: str, value: str) -> str:
    """Return the value in the form that the functions and the banner expect. Raises SettingsError."""
    if name in SWITCHES and value.lower() in TRUE + FALSE:
        return "1" if value.lower() in TRUE else "0"
    if name in NUMBERS:
        low, high = NUMBERS[name]
        if not re.fullmatch(r"[0-9]{1,9}", value) or not low <= int(value) <= high:
            raise SettingsError(f"{name} must be a number from {low} to {high}, not {value!r}.")
    if name == "ALLOWED_HOSTS" and not HOSTS.fullmatch(value):
        raise SettingsError(f"ALLOWED_HOSTS must be names such as tunnel.example.com,my-machine, not {value!r}.")
    if name == "WEBHOOK_SECRET":
        try:
            webhook_secrets.parse(value)
        except ValueError as error:
            raise SettingsError(
                f"WEBHOOK_SECRET must be secrets separated by commas, each `secret` or `tenant:secret`; {error}."
            ) from error
    if name in ("API_KEY", "API_KEYS") and not all(re.fullmatch(KEY, entry.strip()) for entry in value.split(",")):
        raise SettingsError(
            f"{name} must be keys separated by commas, each `key` or `tenant:key`; "
            "a tenant has 1 to 63 letters, digits, '.', '_' and '-'."
        )
    return value.upper() if name == "LOG_LEVEL" else value


def _check_functions(values: Mapping[str, str]) -> None:
    """Run the service's own check in a process, as its code is not imported here. Raises SettingsError."""
    environment = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    command = [sys.executable, "-m", "lambdas.settings"]
    found = subprocess.run(
        command, cwd=ROOT, env={**environment, **values}, capture_output=True, text=True, check=False
    )
    if found.returncode:
        raise SettingsError(found.stderr.strip().rpartition("\n")[2])
