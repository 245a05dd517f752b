"""Every setting of the worker; the only reader of its environment."""

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
    """A field's name in capitals is its environment variable. Empty text means unset."""

    default_model: str = "stabilityai/sdxl-turbo"
    preload_models: tuple[str, ...] = ()  # loaded before `/ping` is 200; the default model where none is named
    allowed_models: tuple[str, ...] = ()  # empty: all of the table
    max_models_cache: int = 2
    model_dir: str = "/opt/ml/model"
    lora_dir: str = "/opt/ml/model/loras"
    weights_s3_uri: str = ""  # s3://bucket/prefix, asked for what model_dir lacks
    weights_dir: str = "/tmp/weights"  # noqa: S108 - where downloads are kept, in a container of our own
    weights_hub: int = 1  # 0: never download from the hub
    decoder: str = "full"  # tiny: a small one, faster and a little less sharp
    speed: str = "graph"  # on a GPU: eager, graph (recorded launches), compile (compiled and recorded)
    segmenter: str = "birefnet"  # isnet and u2netp are smaller
    device: str = ""  # cuda, cpu; empty: the best one there is

    # Pixels depend on the size of a batch, so that only one size makes the same request the same bytes at any time.
    buckets: tuple[int, ...] = (4,)
    queue_size: int = 64  # requests inside: being read, waiting, painted or encoded
    generation_timeout_seconds: float = 0.0  # from a request's first byte; 0 is none
    hang_seconds: float = 120.0  # a step that goes on so long after that time is over hangs: the process ends
    drain_seconds: float = 25.0  # SageMaker kills 30 s after SIGTERM

    bind_host: str = "0.0.0.0"  # noqa: S104 - a container is reached from outside
    sagemaker_bind_to_port: int = 8080
    log_level: str = "INFO"

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Settings:
        """Read the settings. Raises ValueError with the name of one that is no such number, or too small."""
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
    """The settings of this process."""
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
