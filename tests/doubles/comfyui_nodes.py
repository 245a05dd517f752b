"""The nodes of the ComfyUI double, and its check of a graph before it is queued."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

# What a node takes: a list of the values, a range, or the kind of another node's output.
Spec = list[str] | tuple[float, float, float] | str

FILES: dict[str, list[str]] = {
    "unet": ["flux1-dev.safetensors"],
    "clip": ["clip_l.safetensors", "t5xxl_fp16.safetensors", "t5xxl_fp8_e4m3fn.safetensors"],
    "vae": ["ae.safetensors"],
    "checkpoints": ["flux1-dev-fp8.safetensors"],
}
SEED = (0, 2**64 - 1, 1)
SIDE = (16, 16384, 16)

# class: (its outputs, its inputs); an input with a `?` may be left out
NODES: dict[str, tuple[list[str], dict[str, Spec]]] = {
    "UNETLoader": (
        ["MODEL"],
        {"unet_name": FILES["unet"], "weight_dtype": ["default", "fp8_e4m3fn", "fp8_e4m3fn_fast", "fp8_e5m2"]},
    ),
    "DualCLIPLoader": (
        ["CLIP"],
        {
            "clip_name1": FILES["clip"],
            "clip_name2": FILES["clip"],
            "type": ["sdxl", "sd3", "flux", "hunyuan_video"],
            "device?": ["default", "cpu"],
        },
    ),
    "VAELoader": (["VAE"], {"vae_name": FILES["vae"]}),
    "CheckpointLoaderSimple": (["MODEL", "CLIP", "VAE"], {"ckpt_name": FILES["checkpoints"]}),
    "CLIPTextEncode": (["CONDITIONING"], {"text": "STRING", "clip": "CLIP"}),
    "FluxGuidance": (["CONDITIONING"], {"conditioning": "CONDITIONING", "guidance": (0, 100, 0)}),
    "ConditioningZeroOut": (["CONDITIONING"], {"conditioning": "CONDITIONING"}),
    "EmptySD3LatentImage": (["LATENT"], {"width": SIDE, "height": SIDE, "batch_size": (1, 4096, 1)}),
    "LoadImage": (["IMAGE", "MASK"], {"image": "STRING"}),
    "ImageScale": (
        ["IMAGE"],
        {
            "image": "IMAGE",
            "upscale_method": ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"],
            "width": (0, 16384, 1),
            "height": (0, 16384, 1),
            "crop": ["disabled", "center"],
        },
    ),
    "VAEEncode": (["LATENT"], {"pixels": "IMAGE", "vae": "VAE"}),
    "KSampler": (
        ["LATENT"],
        {
            "model": "MODEL",
            "seed": SEED,
            "steps": (1, 10000, 1),
            "cfg": (0, 100, 0),
            "sampler_name": ["euler", "euler_ancestral", "heun", "dpmpp_2m"],
            "scheduler": ["normal", "karras", "simple", "beta"],
            "positive": "CONDITIONING",
            "negative": "CONDITIONING",
            "latent_image": "LATENT",
            "denoise": (0, 1, 0),
        },
    ),
    "VAEDecode": (["IMAGE"], {"samples": "LATENT", "vae": "VAE"}),
    "SaveImage": ([], {"images": "IMAGE", "filename_prefix": "STRING"}),
}


def described(absent: Collection[str], newer: bool) -> dict[str, Any]:
    """The answer of /object_info, without the nodes and the files that are absent."""
    return {
        kind: {
            "input": {
                group: {
                    name.rstrip("?"): _described(spec, absent, newer)
                    for name, spec in specs.items()
                    if name.endswith("?") == (group == "optional")
                }
                for group in ("required", "optional")
            },
            "output": outputs,
            "name": kind,
        }
        for kind, (outputs, specs) in NODES.items()
        if kind not in absent
    }


def _described(spec: Spec, absent: Collection[str], newer: bool) -> list[Any]:
    if isinstance(spec, list):
        values = [value for value in spec if value not in absent]
        return ["COMBO", {"options": values}] if newer else [values]
    if isinstance(spec, tuple):
        return ["FLOAT" if spec[2] == 0 else "INT", {"min": spec[0], "max": spec[1]}]
    return [spec, {}]


def wrong(graph: dict[str, Any], uploads: Collection[str]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """`error` and `node_errors` of a graph that ComfyUI would not queue; `None` for one that it would."""
    for node_id, node in graph.items():
        if not isinstance(node, dict) or node.get("class_type") not in NODES:
            kind = node.get("class_type") if isinstance(node, dict) else None
            said = f"Cannot execute because node {kind} does not exist."
            return _error("invalid_prompt", said, f"Node ID '#{node_id}'"), {}
    if not any(node["class_type"] == "SaveImage" for node in graph.values()):
        return _error("prompt_no_outputs", "Prompt has no outputs"), {}
    node_errors = {}
    for node_id, node in graph.items():
        if errors := _node_errors(node, graph, uploads):
            node_errors[node_id] = {"errors": errors, "dependent_outputs": ["10"], "class_type": node["class_type"]}
    if node_errors:
        return _error("prompt_outputs_failed_validation", "Prompt outputs failed validation"), node_errors
    return None


def _node_errors(node: dict[str, Any], graph: dict[str, Any], uploads: Collection[str]) -> list[dict[str, Any]]:
    inputs = node.get("inputs", {})
    specs = NODES[node["class_type"]][1]
    errors = []
    for name, spec in specs.items():
        key = name.rstrip("?")
        if key in inputs:
            kind = _wrong_input(inputs[key], spec, graph)
        else:
            kind = None if name.endswith("?") else "required_input_missing"
        if kind:
            errors.append({"type": kind, "message": kind, "details": key, "extra_info": {"input_name": key}})
    for unknown in inputs.keys() - {name.rstrip("?") for name in specs}:  # the real one ignores them
        errors.append({"type": "unknown_input", "message": "", "details": unknown, "extra_info": {}})
    if node["class_type"] == "LoadImage" and inputs.get("image") not in uploads:
        errors.append({"type": "custom_validation_failed", "message": "", "details": "image", "extra_info": {}})
    return errors


def _wrong_input(value: Any, spec: Spec, graph: dict[str, Any]) -> str | None:
    if isinstance(spec, list):
        return None if value in spec else "value_not_in_list"
    if isinstance(spec, tuple):
        least, most, step = spec
        if isinstance(value, bool) or not isinstance(value, (int, float) if step == 0 else int):
            return "invalid_input_type"
        if value < least or (step and value % step):
            return "value_smaller_than_min"
        return "value_bigger_than_max" if value > most else None
    if spec == "STRING":
        return None if isinstance(value, str) else "invalid_input_type"
    if not (isinstance(value, list) and len(value) == 2 and value[0] in graph):
        return "bad_linked_input"
    outputs = NODES[graph[value[0]]["class_type"]][0]
    return None if value[1] < len(outputs) and outputs[value[1]] == spec else "return_type_mismatch"


def _error(kind: str, message: str, details: str = "") -> dict[str, Any]:
    return {"type": kind, "message": message, "details": details, "extra_info": {}}
