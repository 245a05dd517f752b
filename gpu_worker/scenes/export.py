"""Writes a saved pipeline's networks as ONNX graphs that read their weights from the pipeline's own files."""

from __future__ import annotations

import argparse
import io
import json
import warnings
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

OPSET: Final = 17  # the first with a node for layer normalisation
WEIGHTS: Final = {
    "text": ("text_encoder/model.safetensors", "text_encoder_2/model.safetensors"),
    "unet": ("unet/diffusion_pytorch_model.safetensors",),
    "decoder": ("vae/diffusion_pytorch_model.safetensors",),
}
Place = tuple[str, int, int]  # a file below the folder, and a tensor's offset and length in it, in bytes


class _Text(nn.Module):
    """SDXL's text conditioning: both encoders' last hidden states but one, and the second's pooled embedding."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        one = self.first(ids, output_hidden_states=True)
        two = self.second(ids, output_hidden_states=True)
        return torch.cat((one.hidden_states[-2], two.hidden_states[-2]), -1), two.text_embeds


class _Painter(nn.Module):
    """The denoiser with its conditions as plain inputs."""

    def __init__(self, unet: nn.Module) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, latents: Tensor, step: Tensor, hidden: Tensor, pooled: Tensor, times: Tensor) -> Tensor:
        conditions = {"text_embeds": pooled, "time_ids": times}
        made: Tensor = self.unet(latents, step, hidden, added_cond_kwargs=conditions, return_dict=False)[0]
        return made


def export(folder: Path) -> None:
    """Write `text.onnx`, `unet.onnx` and `decoder.onnx` into a pipeline saved in 16 bits, for one picture at a time.

    The same folder always gives the same bytes. Raises ValueError, and writes nothing, if a network's weights are not
    stored unchanged in the folder's files, for instance because those are in 32 bits.
    """
    with torch.inference_mode():
        made = {name: _thin(traced, _places(folder, WEIGHTS[name])) for name, traced in _traced(folder).items()}
    for name, graph in made.items():
        (folder / f"{name}.onnx").write_bytes(graph)


def _traced(folder: Path) -> dict[str, onnx.ModelProto]:
    from diffusers import AutoencoderTiny, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    kinds = {"text_encoder": CLIPTextModel, "text_encoder_2": CLIPTextModelWithProjection}
    first, second = (
        kind.from_pretrained(folder / name, dtype=torch.float32, attn_implementation="eager")
        for name, kind in kinds.items()
    )
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", dtype=torch.float32)
    coder = AutoencoderTiny.from_pretrained(folder / "vae", dtype=torch.float32)
    tokens, side = first.config.max_position_embeddings, unet.config.sample_size
    latents = torch.zeros(1, unet.config.in_channels, side, side)
    hidden = torch.zeros(1, tokens, first.config.hidden_size + second.config.hidden_size)
    pooled, times = torch.zeros(1, second.config.projection_dim), torch.zeros(1, 6)
    step, ids = torch.zeros(1, dtype=torch.int64), torch.zeros(1, tokens, dtype=torch.int64)
    return {
        "text": _trace(_Text(first, second), {"ids": ids}, ("hidden", "pooled")),
        "unet": _trace(
            _Painter(unet),
            {"latents": latents, "step": step, "hidden": hidden, "pooled": pooled, "times": times},
            ("velocity",),
        ),
        "decoder": _trace(coder.decoder, {"latents": latents}, ("picture",)),
    }


def _trace(module: nn.Module, given: dict[str, Tensor], made: tuple[str, ...]) -> onnx.ModelProto:
    """Return the network's graph with its weights. No constants are folded, so that each weight stays unchanged."""
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about fixed shapes, which are intended, and about a newer exporter
        torch.onnx.export(
            module.eval(),
            tuple(given.values()),
            out,
            input_names=list(given),
            output_names=list(made),
            opset_version=OPSET,
            do_constant_folding=False,
            dynamo=False,  # the newer exporter needs another package
        )
    return onnx.load_model_from_string(out.getvalue())


def _places(folder: Path, files: tuple[str, ...]) -> dict[tuple[tuple[int, ...], bytes], Place]:
    """Map each tensor's shape and bytes to its place in the files."""
    found: dict[tuple[tuple[int, ...], bytes], Place] = {}
    for name in files:
        data = (folder / name).read_bytes()
        begins = 8 + int.from_bytes(data[:8], "little")
        for entry in (e for key, e in sorted(json.loads(data[8:begins]).items()) if key != "__metadata__"):
            start, end = (begins + at for at in entry["data_offsets"])
            found.setdefault((tuple(entry["shape"]), data[start:end]), (name, start, end - start))
    return found


def _thin(model: onnx.ModelProto, places: dict[tuple[tuple[int, ...], bytes], Place]) -> bytes:
    """Return the graph with external 16-bit weights, each widened by a Cast node. Raises ValueError."""
    graph = model.graph
    weights = list(graph.initializer)
    del graph.initializer[:]
    widened = []
    for number, weight in enumerate(weights):
        values = numpy_helper.to_array(weight)
        place = places.get((values.shape, values.astype(np.float16).tobytes()))
        if place is None:
            raise ValueError(f"{weight.name} is not in the folder's files in 16 bits")
        narrow = _elsewhere(f"weight_{number}", list(weight.dims), place)
        graph.initializer.append(narrow)
        widened.append(helper.make_node("Cast", [narrow.name], [weight.name], to=TensorProto.FLOAT))
    nodes = [*widened, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    _strip(model)
    data: bytes = model.SerializeToString()
    return data


def _elsewhere(name: str, shape: list[int], place: Place) -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT16, dims=shape, data_location=TensorProto.EXTERNAL)
    for key, value in zip(("location", "offset", "length"), place, strict=True):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def _strip(model: onnx.ModelProto) -> None:
    """Remove the exporter's release, and its names for the graph and its nodes."""
    model.graph.name = "graph"
    model.ClearField("producer_version")
    for node in model.graph.node:
        node.ClearField("name")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the pipeline, as diffusers saves it")
    export(parser.parse_args().folder)


if __name__ == "__main__":
    main()
