"""Segments pictures with ONNX models: computes each pixel's probability of belonging to the object."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gpu_worker.engine.protocol import fault
from gpu_worker.pipelines.table import SegmenterSpec


class Segmenter(Protocol):
    """Finds a picture's object."""

    def probabilities(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return a probability for each pixel, 0 to 1; height x width."""
        ...


class OnnxSegmenter:
    """Runs a model of the table in ONNX Runtime, scaling the picture to the model's square and the result back."""

    def __init__(self, spec: SegmenterSpec, folder: Path, cuda: bool = False, threads: int = 0) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        wanted = (["CUDAExecutionProvider"] if cuda else []) + ["CPUExecutionProvider"]
        there = set(onnxruntime.get_available_providers())
        self._spec = spec
        self._session: Any = onnxruntime.InferenceSession(
            str(folder / spec.weights.proof), options, providers=[name for name in wanted if name in there]
        )
        self._input = self._session.get_inputs()[0].name

    def probabilities(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See Segmenter. Raises OutOfMemory and DeviceLost."""
        spec = self._spec
        height, width = rgb.shape[:2]
        small = Image.fromarray(rgb).resize((spec.side, spec.side), Image.Resampling.BILINEAR)
        levels = np.asarray(small, np.float32) / 255
        normal = (levels - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
        fed = np.ascontiguousarray(normal.transpose(2, 0, 1)[None])
        answer = self._answered(fed)
        out = np.asarray(answer, np.float32).reshape(-1, spec.side, spec.side)[0]
        if spec.logits:
            out = 1 / (1 + np.exp(-np.clip(out, -30, 30)))
        back = Image.fromarray(out).resize((width, height), Image.Resampling.BILINEAR)
        return np.clip(np.asarray(back, np.float32), 0, 1)

    def _answered(self, fed: NDArray[Any]) -> Any:
        try:
            return self._session.run(None, {self._input: fed})[0]
        except Exception as error:
            if found := fault(str(error)):  # ONNX Runtime has no exception classes for these
                raise found(str(error).partition("\n")[0][:200]) from None
            raise
