"""Keeps models in memory: loads a model at its first use and unloads the least recently used one."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from gpu_worker.contract import Refusal
from gpu_worker.engine.protocol import Model, base_of
from gpu_worker.models.weights import Missing
from gpu_worker.pipelines.adapters import Chosen, Folder, parse
from gpu_worker.pipelines.table import Spec
from gpu_worker.settings import Settings

log = logging.getLogger(__name__)


class Loaded(Protocol):
    """A model in memory, usable with any adapters."""

    def model(self, adapters: Chosen) -> Model:
        """Return the model with these adapters."""
        ...

    def close(self) -> None:
        """Free the memory."""
        ...


class Registry:
    """Implements Models. `load` brings a model into memory; `most` bounds the number of models there."""

    def __init__(
        self, table: Iterable[Spec], load: Callable[[Spec], Loaded], most: int, loras: Folder | None = None
    ) -> None:
        self._table = {spec.id: spec for spec in table}
        self._load = load
        self._most = most
        self._loras = loras
        self._here: OrderedDict[str, Loaded] = OrderedDict()

    def get(self, model_id: str) -> Model:
        """See Models.get. Raises Refusal.

        Other models are unloaded before the loading, since two that do not fit together would not fit for a moment
        either.
        """
        base, adapters = parse(model_id)
        spec = self._table.get(base)
        if spec is None:
            raise Refusal("unknown_model", f"the models are: {', '.join(self._table)}")
        for name, _ in adapters:
            (self._loras or Folder(Path())).file(name)
        if base not in self._here:
            while len(self._here) >= self._most:
                self._close(next(iter(self._here)))
            try:
                self._here[base] = self._load(spec)
            except Missing as missing:
                log.error("cannot load %s: %s", base, missing)
                raise Refusal("failed", f"the weights of {base} are not on this worker") from None
        self._here.move_to_end(base)
        return self._here[base].model(adapters)

    def purge(self, model_id: str | None) -> tuple[list[str], list[str]]:
        """See Models.purge. Adapters are unloaded with their model."""
        removed = [name for name in self.loaded() if model_id is None or base_of(model_id) == name]
        for name in removed:
            self._close(name)
        return removed, self.loaded()

    def known(self) -> list[dict[str, Any]]:
        """See Models.known. Each model lists the available adapters."""
        adapters = self._loras.names() if self._loras else []
        return [{**spec.described(), "adapters": adapters} for spec in self._table.values()]

    def loaded(self) -> list[str]:
        return list(self._here)

    def _close(self, name: str) -> None:
        self._here.pop(name).close()


def of(settings: Settings) -> Registry:
    """Create the registry of the settings. Loads nothing yet; torch is imported with the first model."""
    from gpu_worker.models.loader import Loader
    from gpu_worker.pipelines.table import MODELS

    allowed = settings.allowed_models
    table = [spec for spec in MODELS.values() if not allowed or spec.id in allowed]
    loras = Folder(Path(settings.lora_dir))
    return Registry(table, Loader.of(settings, loras), settings.max_models_cache, loras)
