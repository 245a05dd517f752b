"""Checks that the operator's ComfyUI server has the nodes and files that our graphs need."""

from __future__ import annotations

import time
from typing import Any, Final

from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.jobs.request import ImageTask
from lambdas.providers._client.hostile_json import mapping
from lambdas.providers.comfyui import to_graph
from lambdas.providers.models_check import findings as f
from lambdas.providers.models_check.asking import get
from lambdas.settings import Settings

WHO: Final = "ComfyUI"
UPLOADED: Final = "LoadImage"  # its choices are the uploaded pictures


def comfyui(settings: Settings, cards: tuple[ModelCard, ...], timeout: float) -> list[f.Finding]:
    """Check each model by the server's description of its nodes."""
    url = f"{settings.comfyui_url.rstrip('/')}/object_info"
    nodes = mapping(get(url, {}, time.monotonic() + timeout, WHO))
    found = []
    for card in cards:
        lacks = _lacks(card, nodes)
        found.append(f.Finding("comfyui", card.id, f.GONE if lacks else f.OK, "; ".join(lacks)))
    return found


def _lacks(card: ModelCard, nodes: dict[str, Any]) -> list[str]:
    """Return what the server lacks of the graphs with and without a reference image."""
    lacks: dict[str, None] = {}
    for reference in (None, b"-"):
        task = ImageTask(card, "", 1, card.default_size, id="-", reference=reference, reference_type="image/png")
        for node in to_graph(task).values():
            kind, inputs = node["class_type"], node["inputs"]
            if kind not in nodes:
                lacks[f"no node {kind}"] = None
            elif kind != UPLOADED:
                missing = [value for name, value in inputs.items() if _is_missing(nodes[kind], name, value)]
                lacks |= dict.fromkeys(f"no {value} for {kind}" for value in missing)
    return list(lacks)


def _is_missing(node: object, name: str, value: object) -> bool:
    """Return whether the input is a choice from a list without the value."""
    inputs = mapping(mapping(node).get("input"))
    spec = next((group[name] for group in map(mapping, inputs.values()) if name in group), None)
    choices = _choices(spec)
    return choices is not None and isinstance(value, str) and value not in choices


def _choices(spec: object) -> list[object] | None:
    """Return the choices of an input, if any: of `[[...], {}]`, in newer nodes `["COMBO", {"options": [...]}]`."""
    if not isinstance(spec, list) or not spec:
        return None
    choices = mapping(spec[1]).get("options") if spec[0] == "COMBO" and len(spec) > 1 else spec[0]
    return choices if isinstance(choices, list) else None
