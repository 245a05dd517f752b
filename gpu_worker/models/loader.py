"""Bringing one model into memory: its weights found, its pipelines on the device, its segmenter beside it."""

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
    """A Sampler and, where it paints backgrounds, the segmenter that is loaded when it is first needed."""

    def __init__(self, sampler: Sampler, loader: Loader) -> None:
        self._sampler = sampler
        self._segmenter = cache(loader.segmenter)
        self._scenes = "background" in sampler.spec.tasks

    def model(self, adapters: Chosen) -> Model:
        """The model with these adapters."""
        if self._scenes:
            from gpu_worker.background.model import BackgroundPainter

            return BackgroundPainter(self._sampler, self._segmenter, adapters)
        from gpu_worker.pipelines.model import Painter

        return Painter(self._sampler, adapters)

    def close(self) -> None:
        """Give the memory back."""
        self._sampler.close()
        self._segmenter.cache_clear()


@dataclass(frozen=True, slots=True)
class Loader:
    """Loads models of the table. torch is imported by the first call."""

    sources: Sources
    loras: Folder
    device: str = ""
    decoder: str = "full"
    speed: str = "graph"
    segmenter_id: str = "birefnet"

    @classmethod
    def of(cls, settings: Settings, loras: Folder) -> Loader:
        """As the settings say."""
        folder = Path(settings.weights_dir)
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder / "compiled"))
        sources = Sources(Path(settings.model_dir), folder, settings.weights_s3_uri, hub=bool(settings.weights_hub))
        return cls(sources, loras, settings.device, settings.decoder, settings.speed, settings.segmenter)

    def __call__(self, spec: Spec) -> InMemory:
        """Load it. Raises Missing, OutOfMemory and DeviceLost."""
        from gpu_worker.pipelines.faults import told_apart
        from gpu_worker.pipelines.loading import device_of, load
        from gpu_worker.pipelines.sampler import Sampler

        device = device_of(self.device)
        parts = told_apart(device, lambda: load(spec, self.sources.find, device, tiny=self.decoder == "tiny"))
        return InMemory(Sampler(spec, parts, self.loras, self.speed), self)

    def segmenter(self) -> Segmenter | None:
        """The segmenter of the settings; None where its file is nowhere."""
        from gpu_worker.background.segment import OnnxSegmenter
        from gpu_worker.pipelines.loading import device_of

        spec = SEGMENTERS[self.segmenter_id]
        try:
            folder = self.sources.find(spec.weights)
        except Missing:
            return None
        return OnnxSegmenter(spec, folder, cuda=device_of(self.device).type == "cuda")
