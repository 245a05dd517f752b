"""Loads one model: finds its weights, and builds its pipelines and its segmenter on the device."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from gpu_worker.engine.protocol import Model
from gpu_worker.models.weights import Missing, Sources
from gpu_worker.pipelines.adapters import Chosen, Folder
from gpu_worker.pipelines.table import SEGMENTERS, Spec
from gpu_worker.settings import Settings

if TYPE_CHECKING:
    from gpu_worker.background.segment import Segmenter
    from gpu_worker.pipelines.sampler import Sampler


class InMemory:
    """A Sampler and, for backgrounds, a segmenter that is loaded at its first use."""

    def __init__(self, sampler: Sampler, loader: Loader) -> None:
        self._sampler = sampler
        self._segmenter = cache(loader.segmenter)
        self._scenes = "background" in sampler.spec.tasks

    def model(self, adapters: Chosen) -> Model:
        if self._scenes:
            from gpu_worker.background.model import BackgroundPainter

            return BackgroundPainter(self._sampler, self._segmenter, adapters)
        from gpu_worker.pipelines.model import Painter

        return Painter(self._sampler, adapters)

    def close(self) -> None:
        self._sampler.close()
        self._segmenter.cache_clear()


@dataclass(frozen=True, slots=True)
class Loader:
    """Loads models of the table. The first call imports torch."""

    sources: Sources
    loras: Folder
    device: str = ""
    decoder: str = "full"
    speed: str = "graph"
    segmenter_id: str = "birefnet"

    @classmethod
    def of(cls, settings: Settings, loras: Folder) -> Loader:
        """Create a loader from the settings. Sets TORCHINDUCTOR_CACHE_DIR, unless it is set."""
        folder = Path(settings.weights_dir)
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder / "compiled"))
        sources = Sources(Path(settings.model_dir), folder, settings.weights_s3_uri, hub=bool(settings.weights_hub))
        return cls(sources, loras, settings.device, settings.decoder, settings.speed, settings.segmenter)

    def __call__(self, spec: Spec) -> InMemory:
        """Load a model. Raises Missing, OutOfMemory and DeviceLost."""
        from gpu_worker.pipelines.faults import told_apart
        from gpu_worker.pipelines.loading import device_of, load
        from gpu_worker.pipelines.sampler import Sampler

        device = device_of(self.device)
        parts = told_apart(device, lambda: load(spec, self.sources.find, device, tiny=self.decoder == "tiny"))
        return InMemory(Sampler(spec, parts, self.loras, self.speed), self)

    def segmenter(self) -> Segmenter | None:
        """Load the configured segmenter; None if its file is not found."""
        from gpu_worker.background.segment import OnnxSegmenter
        from gpu_worker.pipelines.loading import device_of

        spec = SEGMENTERS[self.segmenter_id]
        try:
            folder = self.sources.find(spec.weights)
        except Missing:
            return None
        return OnnxSegmenter(spec, folder, cuda=device_of(self.device).type == "cuda")
