"""The routes of OpenAI's Images API, for its own SDKs with another address and key."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import Final

from lambdas.api.answer import Answer
from lambdas.api.call import Call
from lambdas.api.errors import SHOULD_RETRY
from lambdas.api.route import GENERATING, BodyRoute, PlainRoute, Route, Shape
from lambdas.api.routes._generating import accepted, check_made, place, told
from lambdas.api.schemas.images import (
    CompletedEvent,
    EditBody,
    EditForm,
    GenerationBody,
    ImageData,
    ImagesBody,
    ImagesMetadata,
    ImagesView,
    Usage,
)
from lambdas.api.schemas.jobs import AcceptedView
from lambdas.domain import ids
from lambdas.domain.errors import GenerationInProgress, Gone
from lambdas.domain.jobs.job import Job
from lambdas.domain.jobs.request import Draft
from lambdas.usecases.jobs.repeatable import generate_repeatable, may_be_made_anew, seconds_left

# A function answers 6,291,556 bytes at the most, in which each quotation mark of the body takes two.
MAX_INLINE_BYTES: Final = 5_500_000
JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"
EVENT_OF: Final = {
    "/v1/images/generations": "image_generation.completed",
    "/v1/images/edits": "image_edit.completed",
}


def _generate(call: Call, body: GenerationBody) -> Answer:
    return _answer(call, body, body.to_draft(call.deps.aliases))


def _edit(call: Call, body: EditBody | EditForm) -> Answer:
    return _answer(call, body, body.to_draft(call.deps.aliases))


def _variations(_call: Call) -> Answer:
    raise Gone("variations are gone, as at OpenAI; POST /v1/images/edits makes images from an image")


def _answer(call: Call, body: ImagesBody, draft: Draft) -> Answer:
    caller = replace(call.caller(), sending=call.sending())
    job, replayed = generate_repeatable(
        draft, caller, call.deps, respond_async=call.wants_async, deadline=call.deadline
    )
    headers = told(job, call, replayed=replayed)
    if call.wants_async:
        return accepted(job, call, headers)
    if not job.final:
        raise _in_progress(job, call, headers)
    check_made(job, headers | {SHOULD_RETRY: str(may_be_made_anew(job)).lower()})
    text, media_type = _written(job, call, body)
    headers["X-Image-Provider"] = job.provider
    data = text.encode()
    if len(data) <= MAX_INLINE_BYTES:
        return Answer(200, text, media_type, headers)
    key = ids.answer_key(job.tenant, job.id, hashlib.sha256(data).hexdigest())
    call.deps.blobs.put(key, data, media_type)
    return Answer(303, headers=headers | {"Location": call.deps.blobs.presign(key), "Cache-Control": "no-store"})


def _in_progress(job: Job, call: Call, headers: dict[str, str]) -> GenerationInProgress:
    where = place(job, call)
    said = f"the images are not finished yet: send the same request again, or ask GET /unified/jobs/{job.id}"
    headers = headers | {"Location": where}
    return GenerationInProgress(said, retry_after=seconds_left(job, call.deps), headers=headers)


def _written(job: Job, call: Call, body: ImagesBody) -> tuple[str, str]:
    """The answer of a completed job, and its media type."""
    size = f"{job.images[0].width}x{job.images[0].height}"
    common = {
        "background": "opaque",
        "output_format": job.request.format,
        "quality": body.applied_quality,
        "safety_identifier": body.identifier,
        "metadata": ImagesMetadata.of(job),
    }
    created = int(job.finished_at or job.created_at)
    if body.stream:
        events = [
            CompletedEvent(
                type=EVENT_OF[call.path],
                b64_json=_base64(image.key, call),
                created_at=created,
                size=f"{image.width}x{image.height}",
                usage=Usage.of(job.tokens(place)),
                **common,
            )
            for place, image in enumerate(job.images)
        ]
        return "".join(f"event: {event.type}\ndata: {event.model_dump_json()}\n\n" for event in events), EVENTS
    revised = job.prompt if job.prompt and job.prompt != job.request.prompt else None
    view = ImagesView(
        created=created,
        data=[_data(image.key, call, body, revised) for image in job.images],
        size=size,
        usage=Usage.of(job.tokens()),
        **common,
    )
    return view.model_dump_json(), JSON


def _data(key: str, call: Call, body: ImagesBody, revised: str | None) -> ImageData:
    if body.response_format == "url":
        return ImageData(url=call.deps.blobs.presign(key), revised_prompt=revised)
    return ImageData(b64_json=_base64(key, call), revised_prompt=revised)


def _base64(key: str, call: Call) -> str:
    data = call.deps.blobs.get(key)
    if data is None:
        raise Gone("an image of this request is no longer there; send the request again as a new one")
    return base64.b64encode(data).decode()


_ANSWERS: dict[int, Shape] = {200: (ImagesView, EVENTS), 202: AcceptedView, 303: "none"}
_HEADERS = ("Idempotency-Key", "Prefer", "X-Stainless-Retry-Count")

ROUTES: tuple[Route, ...] = (
    BodyRoute(
        method="POST",
        path="/v1/images/generations",
        summary="Images for a prompt, as OpenAI's SDKs ask for them",
        handle=_generate,
        body=GenerationBody,
        answers=_ANSWERS,
        errors=GENERATING,
        tag="openai",
        headers=_HEADERS,
        repeatable=True,
    ),
    BodyRoute[EditBody | EditForm](
        method="POST",
        path="/v1/images/edits",
        summary="Images made from an image, or in a part of it, as OpenAI's SDKs ask for them",
        handle=_edit,
        body=EditBody,
        form=EditForm,
        answers=_ANSWERS,
        errors=GENERATING,
        tag="openai",
        headers=_HEADERS,
        repeatable=True,
    ),
    PlainRoute(
        method="POST",
        path="/v1/images/variations",
        summary="Gone, as at OpenAI",
        handle=_variations,
        answers={},
        errors=(410, 500),
        tag="openai",
        reads=True,
    ),
)
