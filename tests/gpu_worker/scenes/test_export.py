"""The small model's networks as ONNX graphs: they compute what the networks do, from the pipeline's own files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from safetensors.numpy import load_file, save_file

from gpu_worker.scenes.export import export
from tests.gpu_worker.scenes import random_scenes

GRAPHS = ("decoder", "text", "unet")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = random_scenes.save(tmp_path_factory.mktemp("scenes"))
    export(folder)
    return folder


@pytest.fixture(scope="module")
def pipe(saved: Path) -> Any:
    return StableDiffusionXLPipeline.from_pretrained(saved, dtype=torch.float32)


def run(folder: Path, name: str, given: dict[str, Any]) -> Any:
    session = onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), providers=["CPUExecutionProvider"])
    return session.run(None, {key: value.numpy() for key, value in given.items()})


def same(made: Any, wanted: Any) -> None:
    """To the rounding of 32-bit numbers over many layers."""
    assert made.shape == tuple(wanted.shape)
    assert wanted.std() > 0.05  # something to be wrong about
    assert np.abs(made - wanted.numpy()).max() < 2e-5 * wanted.abs().max()


@torch.inference_mode()
@pytest.mark.parametrize("prompt", ["", "two red stars on white", "word " * 40])
def test_the_text_graph_gives_both_encoders_states_and_the_seconds_embedding(
    saved: Path, pipe: Any, prompt: str
) -> None:
    hidden, _, pooled, _ = pipe.encode_prompt(prompt, do_classifier_free_guidance=False)
    ids = pipe.tokenizer(prompt, padding="max_length", max_length=32, truncation=True, return_tensors="pt").input_ids
    made = run(saved, "text", {"ids": ids})
    assert [part.shape for part in made] == [(1, 32, 192), (1, 96)]
    same(made[0], hidden)
    same(made[1], pooled)


@torch.inference_mode()
@pytest.mark.parametrize("step", [0, 249, 999])
def test_the_denoisers_graph_predicts_what_the_denoiser_does(saved: Path, pipe: Any, step: int) -> None:
    random = torch.Generator().manual_seed(step)
    latents, hidden, pooled = (
        torch.randn(shape, generator=random) for shape in ((1, 8, 16, 16), (1, 32, 192), (1, 96))
    )
    times, at = torch.tensor([[128.0, 128, 0, 0, 128, 128]]), torch.tensor([step])
    wanted = pipe.unet(latents, at, hidden, added_cond_kwargs={"text_embeds": pooled, "time_ids": times}).sample
    given = {"latents": latents, "step": at, "hidden": hidden, "pooled": pooled, "times": times}
    same(run(saved, "unet", given)[0], wanted)


@torch.inference_mode()
def test_the_decoders_graph_makes_the_same_picture(saved: Path, pipe: Any) -> None:
    latents = torch.randn((1, 8, 16, 16), generator=torch.Generator().manual_seed(1))
    made = run(saved, "decoder", {"latents": latents})[0]
    assert made.shape == (1, 3, 128, 128)
    same(made, pipe.vae.decode(latents).sample)


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_holds_no_weights_and_nothing_of_the_machine(saved: Path, name: str) -> None:
    data = (saved / f"{name}.onnx").read_bytes()
    assert len(data) < 500_000
    model = onnx.load_model_from_string(data)
    for tensor in model.graph.initializer:
        assert tensor.data_location == onnx.TensorProto.EXTERNAL
        assert tensor.data_type == onnx.TensorProto.FLOAT16
        assert not tensor.raw_data
        place = {entry.key: entry.value for entry in tensor.external_data}
        assert place["location"].endswith(".safetensors")
        assert int(place["offset"]) + int(place["length"]) <= (saved / place["location"]).stat().st_size
        assert int(place["length"]) == 2 * np.prod(tensor.dims)
    assert model.graph.initializer
    assert max(a.t.ByteSize() for node in model.graph.node for a in node.attribute) < 1024
    assert not any(node.name for node in model.graph.node)  # each would be a path through the network
    assert not model.producer_version
    for text in (b".py", str(saved).encode(), str(Path.cwd()).encode(), b"site-packages"):
        assert text not in data


def test_the_weights_of_every_network_are_used_whole(saved: Path) -> None:
    """All but the encoders' last layers, of which the pipeline takes no states, and the coder's encoder."""
    used = set()
    for name in GRAPHS:
        for tensor in onnx.load(saved / f"{name}.onnx", load_external_data=False).graph.initializer:
            place = {entry.key: entry.value for entry in tensor.external_data}
            used.add((place["location"], int(place["offset"])))
    for path in sorted(saved.rglob("*.safetensors")):
        data = path.read_bytes()
        begins = 8 + int.from_bytes(data[:8], "little")
        for key, entry in json.loads(data[8:begins]).items():
            if key == "__metadata__" or (path.parent.name == "vae" and key.startswith("encoder.")):
                continue
            there = (str(path.relative_to(saved)), begins + entry["data_offsets"][0]) in used
            unread = path.parent.name == "text_encoder" and (".2." in key or "final" in key)
            assert there is not unread, (path.name, key)


def test_the_same_folder_gives_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(saved, copy, ignore=shutil.ignore_patterns("*.onnx"))
    export(copy)
    for name in GRAPHS:
        assert (copy / f"{name}.onnx").read_bytes() == (saved / f"{name}.onnx").read_bytes()


def test_weights_in_32_bits_are_refused_and_nothing_is_written(saved: Path, tmp_path: Path) -> None:
    copy = tmp_path / "wide"
    shutil.copytree(saved, copy, ignore=shutil.ignore_patterns("*.onnx"))
    weights = copy / "vae/diffusion_pytorch_model.safetensors"
    wide = {key: value.astype(np.float32) for key, value in load_file(weights).items()}
    save_file(wide, weights, {"format": "pt"})
    with pytest.raises(ValueError, match="16 bits"):
        export(copy)
    assert not list(copy.glob("*.onnx"))
