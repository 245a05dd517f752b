"""LoRA adapters by name, from one folder: which there are, and which are active in a pipeline."""

from __future__ import annotations

import contextlib
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_worker.contract import Refusal
from gpu_worker.painting import fault

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_WEIGHT = re.compile(r"[0-9]{0,2}\.?[0-9]{1,6}")
MOST = 3
MOST_WEIGHT = 2.0

Chosen = tuple[tuple[str, float], ...]


def parse(model_id: str) -> tuple[str, Chosen]:
    """`model+watercolour+pixels:0.6` is the model with two adapters. Raises Refusal for what is no name or weight."""
    base, *rest = model_id.split("+")
    chosen: list[tuple[str, float]] = []
    for part in rest:
        name, colon, weight = part.partition(":")
        value = 1.0 if not colon else float(weight) if _WEIGHT.fullmatch(weight) else -1.0
        if not _NAME.fullmatch(name) or not 0.0 < value <= MOST_WEIGHT:
            raise Refusal("unknown_model", f"an adapter is written +name or +name:weight, to {MOST_WEIGHT:g}")
        chosen.append((name, value))
    if len(chosen) > MOST or len({name for name, _ in chosen}) < len(chosen):
        raise Refusal("unknown_model", f"at most {MOST} adapters, each once")
    return base, tuple(chosen)


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder with `name.safetensors` files. One that is not there has none."""

    path: Path

    def names(self) -> list[str]:
        """The adapters there are."""
        return sorted(p.stem for p in self.path.glob("*.safetensors") if _NAME.fullmatch(p.stem))

    def file(self, name: str) -> Path:
        """The file of an adapter. Raises Refusal."""
        if name not in self.names():
            raise Refusal("unknown_model", f"there is no adapter of the name {name}")
        return self.path / f"{name}.safetensors"


class Active:
    """The adapters of one pipeline's modules: each is loaded once, and switched on and off without touching weights."""

    def __init__(self, pipe: Any, folder: Folder) -> None:
        self._pipe = pipe
        self._folder = folder
        self._tried = 0
        self._loaded: dict[str, str] = {}
        self._now: Chosen | None = ()

    def use(self, chosen: Chosen) -> None:
        """Switch to exactly these. Raises Refusal for a file that does not fit the model."""
        if chosen == self._now:
            return
        self._now = None  # until the switch is done
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
        inner = f"adapter_{self._tried}"  # a dot in a name would be read as a path of modules
        self._tried += 1
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Already found a .peft_config.")
                self._pipe.load_lora_weights(str(file), adapter_name=inner, local_files_only=True)
        except (ValueError, KeyError, RuntimeError, OSError) as error:
            if fault(str(error)):
                raise  # the device's and not the file's
            with contextlib.suppress(ValueError, KeyError):
                self._pipe.delete_adapters(inner)
            raise Refusal("unknown_model", f"the adapter {name} does not fit this model") from error
        self._loaded[name] = inner
