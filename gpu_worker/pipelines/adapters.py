"""Parses, loads and switches LoRA adapters, which are files in one folder."""

from __future__ import annotations

import contextlib
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_worker.contract import Refusal
from gpu_worker.engine.protocol import fault

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_WEIGHT = re.compile(r"[0-9]{0,2}\.?[0-9]{1,6}")
MAX_ADAPTERS = 3
MAX_WEIGHT = 2.0

Chosen = tuple[tuple[str, float], ...]


def parse(model_id: str) -> tuple[str, Chosen]:
    """Split an id such as `model+watercolour+pixels:0.6` into the model and its weighted adapters. Raises Refusal."""
    base, *rest = model_id.split("+")
    chosen: list[tuple[str, float]] = []
    for part in rest:
        name, colon, weight = part.partition(":")
        value = 1.0 if not colon else float(weight) if _WEIGHT.fullmatch(weight) else -1.0
        if not _NAME.fullmatch(name) or not 0.0 < value <= MAX_WEIGHT:
            raise Refusal("unknown_model", f"an adapter is written +name or +name:weight, to {MAX_WEIGHT:g}")
        chosen.append((name, value))
    if len(chosen) > MAX_ADAPTERS or len({name for name, _ in chosen}) < len(chosen):
        raise Refusal("unknown_model", f"at most {MAX_ADAPTERS} adapters, each once")
    return base, tuple(chosen)


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder of `name.safetensors` files. A missing folder has no adapters."""

    path: Path

    def names(self) -> list[str]:
        """Return the names of the adapters, sorted."""
        return sorted(p.stem for p in self.path.glob("*.safetensors") if _NAME.fullmatch(p.stem))

    def file(self, name: str) -> Path:
        """Return an adapter's file. Raises Refusal if there is none."""
        if name not in self.names():
            raise Refusal("unknown_model", f"there is no adapter of the name {name}")
        return self.path / f"{name}.safetensors"


class Active:
    """The adapters of one pipeline: each is loaded once, then switched on and off without changing weights."""

    def __init__(self, pipe: Any, folder: Folder) -> None:
        self._pipe = pipe
        self._folder = folder
        self._tried = 0
        self._loaded: dict[str, str] = {}
        self._now: Chosen | None = ()

    def use(self, chosen: Chosen) -> None:
        """Activate exactly these adapters. Raises Refusal for a file that does not fit the model."""
        if chosen == self._now:
            return
        self._now = None  # unknown until the switch is complete
        for name, _ in chosen:
            if name not in self._loaded:
                self._load(name)
        if chosen:
            self._pipe.enable_lora()
            self._pipe.set_adapters([self._loaded[name] for name, _ in chosen], [weight for _, weight in chosen])
        elif self._loaded:
            self._pipe.disable_lora()
        self._now = chosen

    def _load(self, name: str) -> None:
        file = self._folder.file(name)
        inner = f"adapter_{self._tried}"  # a dot in a name would be parsed as a module path
        self._tried += 1
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Already found a .peft_config.")
                self._pipe.load_lora_weights(str(file), adapter_name=inner, local_files_only=True)
            if self._matrices(inner) < _matrices(file):
                raise ValueError("a part of the file has no place in the model")
        except Exception as error:  # any exception: the loaders read untrusted files
            if fault(str(error)):
                raise  # an error of the device, not of the file
            with contextlib.suppress(Exception):
                self._pipe.delete_adapters(inner)
            raise Refusal("unknown_model", f"the adapter {name} does not fit this model") from error
        self._loaded[name] = inner

    def _matrices(self, inner: str) -> int:
        """Count an adapter's matrices in the pipeline's modules. Raises ValueError if there are none."""
        parts = (part for part in self._pipe.components.values() if hasattr(part, "named_parameters"))
        names = (name for part in parts for name, _ in part.named_parameters())
        found = sum(f".{inner}." in f"{name}." and ".lora_" in name for name in names)
        if not found:
            raise ValueError("nothing of the file has a place in the model")
        return found


def _matrices(file: Path) -> int:
    """Count the matrices in an adapter's file, under any of the names that training tools give them."""
    from safetensors import safe_open

    with safe_open(str(file), framework="pt") as opened:
        return sum(not name.endswith((".alpha", "dora_scale")) for name in opened.keys())  # noqa: SIM118
