"""The training: one seed gives the same weights, what is kept for judging is never learned from, and it resumes."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from gpu_worker.scenes import train
from gpu_worker.scenes.lessons import scenes

SHORT = (
    "--coder-steps=2", "--polish-steps=1", "--coder-batch=2", "--scenes=9", "--steps=2", "--batch=2",
    "--together-steps=1", "--together-batch=8", "--judged=1",
)  # fmt: skip


def trained(out: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> dict[str, bytes]:
    monkeypatch.setattr(sys, "argv", ["train", "--out", str(out), *SHORT, *more])
    train.main()
    parts = ("text_encoder/model", "unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model")
    found = {part: load_file(out / "pipeline" / f"{part}.safetensors") for part in parts}
    return {f"{part} {name}": tensor.tobytes() for part, values in found.items() for name, tensor in values.items()}


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trained(tmp_path / "a", monkeypatch)
    assert first == trained(tmp_path / "b", monkeypatch)
    assert first != trained(tmp_path / "c", monkeypatch, "--seed=2")
    assert sorted(p.name for p in (tmp_path / "a" / "pipeline").glob("*.onnx")) == [
        "decoder.onnx",
        "text.onnx",
        "unet.onnx",
    ]


def test_a_part_that_is_there_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = trained(tmp_path, monkeypatch)

    def never(*_: object, **__: object) -> None:
        pytest.fail("it was trained again")

    monkeypatch.setattr(train, "train_coder", never)
    monkeypatch.setattr(train, "train_painter", never)
    assert trained(tmp_path, monkeypatch) == first


def test_what_is_judged_is_never_learned_from() -> None:
    learned = [scene for scene, _ in zip(scenes(random.Random(1)), range(3000), strict=False)]
    judged = [scene for scene, _ in zip(scenes(random.Random(1), kept=True), range(200), strict=False)]
    assert not set(learned) & set(judged)
