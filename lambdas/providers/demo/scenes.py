"""Generates scenes of shapes with this repository's small model: its ONNX graphs, and sampling in numpy."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lambdas.providers.demo.scene_words import Words

STEPS: Final = 4  # for which the model was trained
FILES: Final = (
    "text.onnx",
    "unet.onnx",
    "decoder.onnx",
    "text_encoder/model.safetensors",
    "text_encoder_2/model.safetensors",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "scheduler/scheduler_config.json",
    "tokenizer/tokenizer.json",
    "tokenizer/tokenizer_config.json",
)
SCHEDULE: Final = {  # the only one that is implemented
    "_class_name": "DDIMScheduler",
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    "rescale_betas_zero_snr": True,
    "set_alpha_to_one": True,
    "clip_sample": False,
    "thresholding": False,
    "trained_betas": None,
}
Numbers = npt.NDArray[np.float32]


class Scenes:
    """A pipeline folder with the graphs of `gpu_worker.scenes.export`. It is thread-safe."""

    def __init__(self, folder: Path) -> None:
        """Read the small files only. Raises ValueError if one is missing or of another kind."""
        if missing := [name for name in FILES if not (folder / name).is_file()]:
            raise ValueError(f"{folder} has no {', '.join(missing)}")
        try:
            self._words = Words(folder / "tokenizer")
            self._plan = _plan(json.loads((folder / "scheduler/scheduler_config.json").read_text("utf-8")))
            self._scale = float(json.loads((folder / "vae/config.json").read_text("utf-8"))["scaling_factor"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{folder} is not a model of scenes: {error!r}") from error
        self._folder = folder
        self._lock = Lock()
        self._sessions: tuple[Any, Any, Any] | None = None

    def paint(self, prompt: str, seed: int) -> npt.NDArray[np.uint8]:
        """Generate a picture as height x width x 3, 128 x 128 as trained. The seed is 0 or more.

        A prompt and a seed give the same bytes on one machine. The first call reads the graphs and the weights. Raises
        ValueError if they cannot be read.
        """
        shape = self._opened()[1].get_inputs()[0].shape
        return self.denoised(prompt, np.random.Generator(np.random.PCG64(seed)).standard_normal(shape, np.float32))

    def denoised(self, prompt: str, noise: Numbers) -> npt.NDArray[np.uint8]:
        """As `paint`, from given noise: 1 x channels x height x width of the latents."""
        text, painter, decoder = self._opened()
        hidden, pooled = text.run(None, {"ids": np.array([self._words.numbers(prompt)], np.int64)})
        side = decoder.get_outputs()[0].shape[-1]
        given = {"hidden": hidden, "pooled": pooled, "times": np.array([[side, side, 0, 0, side, side]], np.float32)}
        latents = noise
        for step, now, then in self._plan:
            (velocity,) = painter.run(None, {"latents": latents, "step": np.array([step]), **given})
            clean = np.sqrt(now) * latents - np.sqrt(1 - now) * velocity
            rest = np.sqrt(now) * velocity + np.sqrt(1 - now) * latents
            latents = (np.sqrt(then) * clean + np.sqrt(1 - then) * rest).astype(np.float32)
        (picture,) = decoder.run(None, {"latents": (latents / self._scale).astype(np.float32)})
        levels = np.clip(picture[0].transpose(1, 2, 0) / 2 + 0.5, 0, 1) * 255
        pixels: npt.NDArray[np.uint8] = levels.round().astype(np.uint8)
        return pixels

    def _opened(self) -> tuple[Any, Any, Any]:
        with self._lock:
            if self._sessions is None:
                try:
                    self._sessions = (self._session("text"), self._session("unet"), self._session("decoder"))
                except Exception as error:  # ONNX Runtime's exceptions have no common base
                    raise ValueError(f"{self._folder} is not a model of scenes: {error!r}") from error
            return self._sessions

    def _session(self, name: str) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(
            str(self._folder / f"{name}.onnx"), options, providers=["CPUExecutionProvider"]
        )


def _plan(config: dict[str, Any]) -> list[tuple[int, float, float]]:
    """Return each step's number, and the signal's share of the variance before and after it.

    The shares are rescaled to a signal of zero at the first step (Lin and others 2023, arXiv:2305.08891, algorithm 1).
    The steps are trailing: at the end of each equal part of the schedule.
    """
    if odd := {key: config[key] for key in SCHEDULE if config[key] != SCHEDULE[key]}:
        raise ValueError(f"its schedule is another one: {odd}")
    count: int = config["num_train_timesteps"]
    betas = np.linspace(config["beta_start"] ** 0.5, config["beta_end"] ** 0.5, count) ** 2
    roots = np.sqrt(np.cumprod(1 - betas))
    shares = ((roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])) ** 2
    steps = [round(count - part * count / STEPS) - 1 for part in range(STEPS)]
    after = [float(shares[step - count // STEPS]) for step in steps[:-1]] + [1.0]
    return [(step, float(shares[step]), then) for step, then in zip(steps, after, strict=True)]
