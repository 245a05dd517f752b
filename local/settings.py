"""Reads `.env` and the environment, checks the values and says which of them the functions receive."""

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

# Given to the functions when set; the deployed template takes the same names.
_NAMES = """
    DEFAULT_MODEL ALLOWED_MODELS PROVIDER_WEIGHTS
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
    "APP_PORT": (0, 65535),  # 0 takes any free port
    "MAX_MODELS_CACHE": (1, 100),
}
HOSTS = re.compile(r"(\s*[A-Za-z0-9_][A-Za-z0-9._-]{0,252}\s*(,|$))+")
KEY = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}:[!-~]+|[!-9;-~]*"  # empty after a comma too many
TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


class SettingsError(ValueError):
    """A setting that cannot be used; the message says which and what would be right."""


@dataclass(frozen=True)
class Settings:
    """What one local run needs to know."""

    port: int
    data_dir: Path
    functions: Mapping[str, str]  # environment handed to every function
    user: Mapping[str, str]  # the user's own environment with `.env`, for the launcher alone
    hosts: tuple[str, ...] = ()  # names under which the service may be asked, beside this machine's own
    unknown: tuple[str, ...] = ()  # names in `.env` that nothing reads

    @property
    def bedrock_passthrough(self) -> bool:
        """Whether functions reach the real Bedrock through the front, signed with the user's own credentials."""
        return self.functions["BEDROCK"] == "1" and "AWS_ENDPOINT_URL_BEDROCK_RUNTIME" not in self.functions


def load(
    environ: Mapping[str, str] | None = None, env_file: Path = ROOT / ".env", demo_model: Path = DEMO_MODEL
) -> Settings:
    """Settings of the environment over those of `env_file`; raises SettingsError with a sentence.

    `demo_model` is the folder of the small model that the demo paints with, where it is there and can be run.
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
    """Whether the folder has the graphs of a small model, and what runs them is installed."""
    return (model / "unet.onnx").is_file() and importlib.util.find_spec("onnxruntime") is not None


def parse_env_file(path: Path) -> dict[str, str]:
    """`NAME=value` lines; quotes, `export` and comments as dotenv files have them."""
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
    """The value of a setting of this run, or in the form in which the functions and the banner read it."""
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
    """Asks the service itself, whose code is not this one's, what it thinks of its settings."""
    environment = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    command = [sys.executable, "-m", "lambdas.settings"]
    found = subprocess.run(
        command, cwd=ROOT, env={**environment, **values}, capture_output=True, text=True, check=False
    )
    if found.returncode:
        raise SettingsError(found.stderr.strip().rpartition("\n")[2])
