"""The body of a webhook: the job as a client gets it, cut where it would be too long for a receiver."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from lambdas.domain.iso_time import iso
from lambdas.domain.webhooks import MAX_BYTES, Event

Data = dict[str, Any]
WHERE: Final = "cut to keep the webhook small; GET /unified/jobs/{id} has all of it"
MANY: Final = 5  # attempts, warnings and dropped parameters that stay where there is no room for more
LONG: Final = 200  # characters of a text, likewise


def payload(event: Event, data: Data) -> bytes:
    """UTF-8 of less than MAX_BYTES, `data` being the job's own answer; its warnings name what was cut."""
    prompt, warnings = data["prompt"], data["metadata"]["warnings"]
    cut: list[str] = []

    def encoded() -> bytes:
        named = [name for name in cut if name != "prompt" or data["prompt"] != prompt]
        kept = [text[:LONG] for text in warnings[:MANY]] if "warnings" in named else warnings
        data["metadata"]["warnings"] = [*kept, f"{', '.join(named)}: {WHERE}"] if named else kept
        body = {"type": event.type, "timestamp": iso(event.finished_at), "data": data}
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")

    def fits() -> bool:
        return len(encoded()) < MAX_BYTES

    for name, shorten in _CUTS:
        if fits():
            break
        if shorten(data):
            cut.append(name)
    if "prompt" in cut:
        _grow(data, prompt, fits)
    return encoded()


def _grow(data: Data, prompt: str, fits: Callable[[], bool]) -> None:
    """Put back as much of the prompt as there is room for."""
    low, high = min(LONG, len(prompt)), len(prompt)
    while low < high:
        middle = (low + high + 1) // 2
        data["prompt"] = prompt[:middle]
        low, high = (middle, high) if fits() else (low, middle - 1)
    data["prompt"] = prompt[:low]


def _prompt(data: Data) -> bool:
    long = len(data["prompt"]) > LONG
    data["prompt"] = data["prompt"][:LONG]
    return long


def _download_urls(data: Data) -> bool:
    """Each is the same as `url`, and a pre-signed one may have 2,000 characters."""
    for image in data["images"]:
        image["download_url"] = image["local_url"]
    return bool(data["images"])


def _attempts(data: Data) -> bool:
    """The last ones stay: they say how it ended."""
    many = len(data["metadata"]["attempts"]) > MANY
    data["metadata"]["attempts"] = data["metadata"]["attempts"][-MANY:]
    return many


def _error(data: Data) -> bool:
    message = data["error"]["message"] if data["error"] else ""
    if len(message) > LONG:
        data["error"]["message"] = message[:LONG]
    return len(message) > LONG


def _dropped(data: Data) -> bool:
    told = data["metadata"]["dropped_params"]
    data["metadata"]["dropped_params"] = [{**d, "reason": d["reason"][:LONG]} for d in told[:MANY]]
    return bool(told)


def _warnings(data: Data) -> bool:
    """`payload` cuts them where it puts them together."""
    return bool(data["metadata"]["warnings"])


def _labels(data: Data) -> bool:
    had = bool(data["labels"])
    data["labels"] = {}
    return had


def _urls(data: Data) -> bool:
    for image in data["images"]:
        image["url"] = image["local_url"]
    return bool(data["images"])


# Redundant fields are cut first; labels and the images' URLs last.
_CUTS: tuple[tuple[str, Callable[[Data], bool]], ...] = (
    ("prompt", _prompt),
    ("download_url", _download_urls),
    ("attempts", _attempts),
    ("error", _error),
    ("dropped_params", _dropped),
    ("warnings", _warnings),
    ("labels", _labels),
    ("url", _urls),
)
