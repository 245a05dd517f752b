"""Samples batches of images with one model's weights. The same seed gives the same pixels in any batch."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gpu_worker.contract import Refusal
from gpu_worker.pipelines.adapters import Active, Folder
from gpu_worker.pipelines.batch import Item, Run
from gpu_worker.pipelines.faults import told_apart
from gpu_worker.pipelines.graphs import Recorder, install
from gpu_worker.pipelines.loading import Parts, give_back
from gpu_worker.pipelines.prompts import Encoded, Prompts
from gpu_worker.pipelines.table import Spec


class Sampler:
    """Implements Batches with the pipelines of one model.

    Its calls exclude each other, since diffusers' schedulers hold the state of a run.

    A batch is always padded to `bucket` by repeating the last item, since the bits of a result depend on the batch
    size. Every image has its own generator, so that its bits do not depend on its neighbours. Guarantee: the same seed,
    bucket, container image and kind of GPU give the same bytes.
    """

    def __init__(self, spec: Spec, parts: Parts, loras: Folder, speed: str = "eager") -> None:
        self.spec = spec
        self._parts: Parts | None = parts
        self._prompts: Prompts | None = Prompts(parts.any)
        self._device = parts.device
        self._adapters: Active | None = Active(parts.any, loras)
        self._lock = threading.Lock()
        self._recorder: Recorder | None = None
        if parts.device.type == "cuda" and speed != "eager":
            self._recorder = install(parts.any.unet, compiled=speed == "compile")

    def paint(
        self, run: Run, items: Sequence[Item], bucket: int, check: Callable[[], None]
    ) -> list[NDArray[np.uint8] | Refusal]:
        """See Batches.paint."""
        with self._lock:
            if self._parts is None or self._prompts is None or self._adapters is None:
                raise _gone()
            told_apart(self._device, partial(self._adapters.use, run.adapters))
            if self._recorder is not None:
                self._recorder.enabled = not run.adapters
            pipe, prompts = self._parts.pipes[run.task], self._prompts
            done: list[NDArray[np.uint8] | Refusal] = []
            for start in range(0, len(items), bucket):
                check()
                part = items[start : start + bucket]
                padded = [*part, *[part[-1]] * (bucket - len(part))]
                work = partial(_call, pipe, prompts, self.spec, run, padded, check)
                done.extend(told_apart(self._device, work)[: len(part)])
            return done

    def windows(self, *prompts: str | None) -> int:
        """See Batches.windows."""
        if (encoder := self._prompts) is None:
            raise _gone()
        return encoder.windows(*prompts)

    def close(self) -> None:
        """Free the memory, after the current call has ended."""
        with self._lock:
            self._parts = self._prompts = self._adapters = self._recorder = None
            give_back(self._device)


def scheduled(steps: int, strength: float) -> int:
    """Return the number of steps to schedule for `steps` to run: diffusers runs int(scheduled * strength)."""
    total = math.ceil(steps / strength)
    return total + (int(total * strength) < steps)


def _gone() -> Refusal:
    return Refusal("busy", "the model was just taken out of memory", retry_after=1)


def _call(
    pipe: Any, prompts: Prompts, spec: Spec, run: Run, items: Sequence[Item], check: Callable[[], None]
) -> list[NDArray[np.uint8] | Refusal]:
    guided = run.guidance > 1.0

    def encoded(encode: Callable[..., Encoded], text: str | None) -> Encoded:
        if run.windows > 1:
            check()  # encoding a long prompt takes as long as a step
        return encode(text, run.windows, run.adapters)

    wanted = [encoded(prompts.encode, item.prompt) for item in items]
    options: dict[str, Any] = {"prompt_embeds": _hidden(wanted), "pooled_prompt_embeds": _pooled(wanted)}
    if guided:
        unwanted = [encoded(prompts.negative, item.negative) for item in items]
        options |= {
            "negative_prompt_embeds": _hidden(unwanted),
            "negative_pooled_prompt_embeds": _pooled(unwanted),
        }
    if run.task == "text-to-image":
        options |= {"width": run.width, "height": run.height, "num_inference_steps": run.steps}
    else:
        options |= {
            "image": [item.image for item in items],
            "num_inference_steps": scheduled(run.steps, spec.strength),
            "strength": spec.strength,
        }
    if run.task == "background":
        options |= {"mask_image": [item.mask for item in items], "width": run.width, "height": run.height}

    def ended(_pipe: Any, _step: int, _time: Any, _tensors: dict[str, Any]) -> dict[str, Any]:
        check()
        return {}

    # On the CPU, so that a seed gives the same noise on every GPU.
    generators = [torch.Generator("cpu").manual_seed(item.seed) for item in items]
    made = pipe(
        **options,
        guidance_scale=run.guidance,
        generator=generators,
        output_type="pt",
        callback_on_step_end=ended,
    )
    return _images(made.images)


def _hidden(encoded: Sequence[Encoded]) -> torch.Tensor:
    return torch.cat([one.hidden for one in encoded])


def _pooled(encoded: Sequence[Encoded]) -> torch.Tensor:
    return torch.cat([one.pooled for one in encoded])


def _images(pixels: torch.Tensor) -> list[NDArray[np.uint8] | Refusal]:
    whole = pixels.isfinite().flatten(1).all(dim=1).tolist()
    levels = (pixels.float().nan_to_num() * 255).round().clamp(0, 255).to(torch.uint8)
    arrays = levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return [
        np.ascontiguousarray(array) if fine else Refusal("failed", "the model gave no numbers for this request")
        for array, fine in zip(arrays, whole, strict=True)
    ]
