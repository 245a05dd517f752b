"""Runs plain diffusers, one request at a time, as a small web service over it would."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np
import torch
from diffusers import StableDiffusionXLPipeline

from benchmarks.gpu.loads import Put
from gpu_worker.pipelines.loading import dtype_of
from gpu_worker.pipelines.table import Spec

THREADS: Final = 40  # of a FastAPI service with synchronous routes


def prompt(n: int) -> str:
    """Return a prompt short enough for one window of a tokenizer of letters."""
    return f"a red circle on white {n}"


def pipeline(folder: Path, spec: Spec, device: torch.device) -> Any:
    """Load the pipeline as diffusers does."""
    pipe = StableDiffusionXLPipeline.from_pretrained(
        str(folder), dtype=dtype_of(spec, device), local_files_only=True, add_watermarker=False
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


def peer(pipe: Any, spec: Spec, side: int) -> Put:
    """Return plain diffusers as a target: a pipeline, a lock and the threads of a web server."""
    lock, threads = Lock(), ThreadPoolExecutor(THREADS)

    def paint(n: int) -> Any:
        with lock:
            made = pipe(
                prompt(n),
                width=side,
                height=side,
                num_inference_steps=spec.steps,
                guidance_scale=spec.guidance,
                generator=torch.Generator("cpu").manual_seed(n),
            )
        return np.asarray(made.images[0])

    return lambda n: threads.submit(paint, n)
