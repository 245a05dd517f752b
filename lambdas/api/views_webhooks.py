"""What receivers of webhooks get, and what clients get to see of their events."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field

from lambdas.api.views import JobView, View, iso
from lambdas.domain.jobs.job import Job
from lambdas.domain.ports.media import Blobs
from lambdas.domain.webhooks import MAX_BYTES, PENDING, Event


class WebhookView(View):
    """An event: one final state of one job, for one address."""

    generation_id: str
    webhook_id: str = Field(description="The `webhook-id` header, the same at every attempt.")
    type: Literal["generation.completed", "generation.failed", "generation.cancelled"]
    url: str
    state: Literal["pending", "delivered", "exhausted", "disabled"]
    attempts: int
    next_attempt_at: str | None = Field(description="While pending: not before this time.")
    created_at: str
    last_status: int | None = Field(description="The HTTP status of the last answer.")
    last_error: str | None

    @classmethod
    def of(cls, event: Event) -> WebhookView:
        return cls(
            generation_id=event.job_id,
            webhook_id=event.id,
            type=event.type,
            url=event.url,
            state=event.state,
            attempts=event.attempts,
            next_attempt_at=iso(event.due) if event.state == PENDING else None,
            created_at=iso(event.created_at) or "",
            last_status=event.last_status,
            last_error=event.last_error or None,
        )


class WebhooksView(View):
    webhooks: list[WebhookView]
    next_cursor: str | None


Data = dict[str, Any]
Fits = Callable[[], bool]
WHERE = "cut to keep the webhook small; GET /unified/jobs/{id} has all of it"
MANY = 5  # attempts, warnings and dropped parameters that are told where there is no room for more
LONG = 200  # characters of a text, likewise


def render(event: Event, job: Job, blobs: Blobs) -> bytes:
    """The body of an attempt, as UTF-8 and of less than MAX_BYTES; what was cut is named in the job's warnings."""
    data: Data = JobView.of(job, blobs).model_dump()
    prompt, warnings = data["prompt"], data["metadata"]["warnings"]
    cut: list[str] = []

    def made() -> bytes:
        named = [name for name in cut if name != "prompt" or data["prompt"] != prompt]
        kept = [text[:LONG] for text in warnings[:MANY]] if "warnings" in named else warnings
        data["metadata"]["warnings"] = [*kept, f"{', '.join(named)}: {WHERE}"] if named else kept
        body = {"type": event.type, "timestamp": iso(event.finished_at), "data": data}
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")

    def fits() -> bool:
        return len(made()) < MAX_BYTES

    for name, shorten in _CUTS:
        if fits():
            break
        if shorten(data):
            cut.append(name)
    if "prompt" in cut:
        _grow(data, prompt, fits)
    return made()


def _grow(data: Data, prompt: str, fits: Fits) -> None:
    """As much of the prompt as there is room for, where there is some."""
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
    """They are the same as `url`, and one that is pre-signed may have 2,000 characters."""
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
    """They are cut where they are put together."""
    return bool(data["metadata"]["warnings"])


def _labels(data: Data) -> bool:
    had = bool(data["labels"])
    data["labels"] = {}
    return had


def _urls(data: Data) -> bool:
    for image in data["images"]:
        image["url"] = image["local_url"]
    return bool(data["images"])


# What is told elsewhere too goes first; what is the client's own, and how the images are had, goes last.
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
