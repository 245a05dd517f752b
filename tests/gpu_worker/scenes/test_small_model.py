"""The small model in the repository draws what it is asked for, in the worker's runtime and in the light one."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLPipeline

import gpu_worker.scenes
from gpu_worker.scenes import train
from gpu_worker.scenes.drawing import Pixels
from gpu_worker.scenes.judging import judge
from gpu_worker.scenes.lessons import scenes
from gpu_worker.scenes.scene import COLORS, Scene
from lambdas.providers.demo.scenes import Scenes

WEIGHTS = Path(gpu_worker.scenes.__file__).parent / "weights"
RIGHT = 0.9  # of the held-out scenes, at least
MAX_BYTES = 12_000_000
ULPS = 16  # of 2**23 to the next power of two: what processors differ by, a thousandth of what 16-bit numbers would


def held_out(count: int, seed: int) -> list[tuple[Scene, str]]:
    rng = random.Random(seed)
    return [(scene, scene.caption(rng)) for scene, _ in zip(scenes(rng, kept=True), range(count), strict=False)]


def told(capsys: pytest.CaptureFixture[str], right: float) -> None:
    with capsys.disabled():
        sys.stdout.write(f"{right:.1%} of 200 held-out scenes are right\n")


@pytest.fixture(scope="module")
def light() -> Callable[[str, int], Pixels]:
    return Scenes(WEIGHTS).paint


def test_nine_in_ten_held_out_scenes_are_right_in_the_workers_runtime(
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = StableDiffusionXLPipeline.from_pretrained(WEIGHTS, dtype=torch.float32)
    right, wrong = train.accuracy(whole, 200)
    told(capsys, right)
    assert right >= RIGHT, wrong


def test_nine_in_ten_held_out_scenes_are_right_in_the_light_runtime(
    light: Callable[[str, int], Pixels], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = held_out(200, 11)
    wrong = [
        (caption, fault) for seed, (scene, caption) in enumerate(asked) if (fault := judge(light(caption, seed), scene))
    ]
    right = 1 - len(wrong) / len(asked)
    told(capsys, right)
    assert right >= RIGHT, wrong


def near(picture: Pixels, color: str) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Where the picture has that colour, within a quarter of the way to its opposite."""
    off = np.abs(picture.astype(int) - np.array(COLORS[color])).max(-1)
    found: np.ndarray[tuple[int, int], np.dtype[np.bool_]] = off < 64
    return found


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_a_red_circle_on_white_is_red_and_round_and_on_white(light: Callable[[str, int], Pixels], seed: int) -> None:
    picture = light("a red circle on white", seed)
    red, white = near(picture, "red"), near(picture, "white")
    rows, columns = np.flatnonzero(red.any(1)), np.flatnonzero(red.any(0))
    height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    assert 0.85 < width / height < 1.18
    assert 0.7 < red.sum() / (width * height) < 0.85  # a circle covers pi/4 of its box, a square all, a triangle half
    assert red[rows.mean().astype(int), columns.mean().astype(int)]
    assert white[[0, 0, -1, -1], [0, -1, 0, -1]].all()
    assert (red | white).mean() > 0.95


def test_another_seed_is_another_picture_and_the_same_is_the_same(light: Callable[[str, int], Pixels]) -> None:
    first = light("two green stars on black", 7)
    assert (first == light("two green stars on black", 7)).all()
    assert (first != light("two green stars on black", 8)).any()


def test_the_weights_are_a_few_megabytes_in_16_bits() -> None:
    from safetensors import safe_open

    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*") if path.is_file()) < MAX_BYTES
    for path in sorted(WEIGHTS.rglob("*.safetensors")):
        with safe_open(path, "np") as tensors:
            assert {tensors.get_slice(name).get_dtype() for name in tensors.keys()} == {"F16"}, path.name  # noqa: SIM118


def parted(graph: bytes) -> tuple[bytes, list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]]:
    """The graph without its computed numbers, and these: their last bits depend on the processor that computed them."""
    import onnx
    from onnx import TensorProto, numpy_helper

    model = onnx.load_model_from_string(graph)
    constants = [a.t for node in model.graph.node for a in node.attribute if a.t.data_type == TensorProto.FLOAT]
    numbers = [numpy_helper.to_array(constant) for constant in constants]
    for constant in constants:
        constant.ClearField("raw_data")
        constant.ClearField("float_data")
    return model.SerializeToString(deterministic=True), numbers


def test_the_graphs_are_those_that_the_weights_give(tmp_path: Path) -> None:
    import shutil

    from gpu_worker.scenes.export import export

    copy = tmp_path / "weights"
    shutil.copytree(WEIGHTS, copy)
    graphs = sorted(copy.glob("*.onnx"))
    assert [graph.name for graph in graphs] == ["decoder.onnx", "text.onnx", "unet.onnx"]
    for graph in graphs:
        graph.unlink()
    export(copy)
    for graph in graphs:
        structure, numbers = parted(graph.read_bytes())
        kept, kept_numbers = parted((WEIGHTS / graph.name).read_bytes())
        assert structure == kept, graph.name
        for number, expected in zip(numbers, kept_numbers, strict=True):
            np.testing.assert_array_max_ulp(number, expected, maxulp=ULPS)
