"""Segmenters in ONNX, with small models made here: how pixels are fed, and how answers become probabilities."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from gpu_worker.background.segment import OnnxSegmenter
from gpu_worker.engine.protocol import DeviceLost, OutOfMemory
from gpu_worker.pipelines.table import SEGMENTERS, SegmenterSpec


def saved(folder: Path, weights: tuple[float, float, float], bias: float, name: str) -> Path:
    """A model whose answer is a weighted sum of the channels, and a second answer that is not to be taken."""
    kernel = numpy_helper.from_array(np.array(weights, np.float32).reshape(1, 3, 1, 1), "kernel")
    offset = numpy_helper.from_array(np.array([bias], np.float32), "offset")
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "kernel", "offset"], ["mask"]),
            helper.make_node("Neg", ["mask"], ["other"]),
        ],
        "sum",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 1, 16, 16]) for n in ("mask", "other")],
        [kernel, offset],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    folder.mkdir(exist_ok=True)
    onnx.save(model, str(folder / name))
    return folder


def spec(**changed: Any) -> SegmenterSpec:
    values: dict[str, Any] = {"side": 16, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), "logits": False}
    return dataclasses.replace(SEGMENTERS["u2netp"], **(values | changed))


def segmenter(tmp_path: Path, weights: tuple[float, float, float], bias: float = 0.0, **changed: Any) -> OnnxSegmenter:
    chosen = spec(**changed)
    return OnnxSegmenter(chosen, saved(tmp_path / "m", weights, bias, chosen.weights.proof), threads=1)


def flat(level: int, height: int = 20, width: int = 30) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def test_probabilities_have_the_pictures_size_and_lie_between_nothing_and_one(tmp_path: Path) -> None:
    found = segmenter(tmp_path, (9.0, 0.0, 0.0), -2.0).probabilities(
        np.random.default_rng(1).integers(0, 256, (21, 35, 3), np.uint8)
    )
    assert found.shape == (21, 35)
    assert found.dtype == np.float32
    assert (found.min(), found.max()) == (0.0, 1.0)


def test_colours_are_fed_in_their_order_and_normalised(tmp_path: Path) -> None:
    made = segmenter(tmp_path, (1.0, 0.0, 0.0), mean=(0.2, 0.0, 0.0), std=(0.5, 1.0, 1.0))
    picture = flat(0)
    picture[..., 0] = 102
    assert made.probabilities(picture)[5, 5] == pytest.approx((102 / 255 - 0.2) / 0.5)


@pytest.mark.parametrize(("logits", "expected"), [(False, 0.75), (True, 1 / (1 + np.exp(-0.75)))])
def test_logits_become_probabilities(logits: bool, expected: float, tmp_path: Path) -> None:
    made = segmenter(tmp_path, (0.0, 0.0, 0.0), 0.75, logits=logits)
    assert made.probabilities(flat(10))[0, 0] == pytest.approx(expected)


def test_the_answer_lies_where_the_object_is(tmp_path: Path) -> None:
    picture = flat(0, 160, 240)
    picture[40:80, 120:200] = 255
    found = segmenter(tmp_path, (1.0, 0.0, 0.0)).probabilities(picture)
    assert found[60, 160] > 0.95
    assert found[140, 30] < 0.05


class Failing:
    """A session whose run raises."""

    def __init__(self, said: str) -> None:
        self.said = said

    def run(self, *_: Any) -> None:
        raise RuntimeError(self.said)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("BFCArena::AllocateRawInternal Available memory of 12 is smaller than requested bytes of 34", OutOfMemory),
        ("Failed to allocate memory for requested buffer of size 4096", OutOfMemory),
        ("CUDA failure 2: out of memory ; GPU=0", OutOfMemory),
        ("CUDA failure 700: an illegal memory access was encountered ; GPU=0", DeviceLost),
        ("Non-zero status code returned while running Conv node", RuntimeError),
    ],
)
def test_faults_of_the_device_are_told_apart_by_their_words(
    said: str, kind: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = segmenter(tmp_path, (1.0, 0.0, 0.0))
    monkeypatch.setattr(made, "_session", Failing(said))
    with pytest.raises(kind) as raised:
        made.probabilities(flat(10))
    assert raised.type is kind
