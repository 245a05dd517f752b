"""Reads and checks the worker's settings, all from environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

CHOICES: Final = {
    "decoder": ("full", "tiny"),
    "segmenter": ("birefnet", "isnet", "u2netp"),
    "speed": ("compile", "eager", "graph"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Each field is read from the environment variable of its name in capitals. Empty text means unset."""

    default_model: str = "stabilityai/sdxl-turbo"
    preload_models: tuple[str, ...] = ()  # loaded before `/ping` answers 200; empty: the default model
    allowed_models: tuple[str, ...] = ()  # empty: all models of the table
    max_models_cache: int = 2
    model_dir: str = "/opt/ml/model"
    lora_dir: str = "/opt/ml/model/loras"
    weights_s3_uri: str = ""  # s3://bucket/prefix; searched for files missing in model_dir
    weights_dir: str = "/tmp/weights"  # noqa: S108 - downloads, inside the worker's own container
    weights_hub: int = 1  # 0: never download from the hub
    decoder: str = "full"  # tiny: a small decoder, faster and slightly less sharp
    speed: str = "graph"  # GPU only: eager, graph (CUDA graphs) or compile (compiled, with CUDA graphs)
    segmenter: str = "birefnet"  # isnet and u2netp are smaller models
    device: str = ""  # cuda or cpu; empty: cuda if available

    # Pixels depend on the batch size, so only a single bucket gives the same bytes for the same request at any time.
    buckets: tuple[int, ...] = (4,)
    queue_size: int = 64  # requests in the worker: being read, waiting, painted or encoded
    generation_timeout_seconds: float = 0.0  # counted from a request's first byte; 0: no limit
    hang_seconds: float = 120.0  # a step that runs this long past its deadline is hung; the process then ends
    drain_seconds: float = 25.0  # SageMaker kills the process 30 s after SIGTERM

    bind_host: str = "0.0.0.0"  # noqa: S104 - the container is reached from outside
    sagemaker_bind_to_port: int = 8080
    log_level: str = "INFO"

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Settings:
        """Read the settings. Raises ValueError for a value that is not a number, too small or not a known choice."""
        values: dict[str, object] = {}
        for f in fields(cls):
            if text := environ.get(f.name.upper(), "").strip():
                values[f.name] = _read(f.name.upper(), text, f.default)
        made = cls(**values)  # type: ignore[arg-type]
        for name, least in (("max_models_cache", 1), ("queue_size", 1), ("drain_seconds", 0), ("hang_seconds", 0)):
            if getattr(made, name) < least:
                raise ValueError(f"{name.upper()} must be at least {least}")
        for name, known in CHOICES.items():
            if getattr(made, name) not in known:
                raise ValueError(f"{name.upper()} must be one of: {', '.join(known)}")
        if not made.buckets or min(made.buckets) < 1:
            raise ValueError("BUCKETS must be numbers from 1")
        return made


def load() -> Settings:
    """Read the settings of this process. Raises ValueError."""
    return Settings.of(os.environ)


def _read(name: str, text: str, default: object) -> object:
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        if isinstance(default, tuple):
            return tuple(int(part) for part in parts) if name == "BUCKETS" else parts
        if isinstance(default, (int, float)):
            return type(default)(text)
    except ValueError:
        raise ValueError(f"{name} must be a number") from None
    return text
