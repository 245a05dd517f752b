"""Generates, and answers with what came of it."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel

from lambdas.api.answer import Answer, json_answer
from lambdas.api.call import Call
from lambdas.api.schemas.jobs import AcceptedView
from lambdas.api.schemas.receipt import spent
from lambdas.domain.errors import BY_CODE, FieldError, Gone, JobCancelled, ServiceError
from lambdas.domain.jobs.job import CANCELLED, FAILED, QUEUED, Job
from lambdas.domain.jobs.request import Draft
from lambdas.usecases.jobs.generate import generate


def answer_with(call: Call, draft: Draft, view: Callable[[Job, Call], BaseModel]) -> Answer:
    """Generate, and answer with the view of a completed job, the error of a failed one, or 202 of one going on."""
    job, replayed = generate(draft, call.caller(), call.deps, respond_async=call.wants_async, deadline=call.deadline)
    headers = told(job, call, replayed=replayed)
    if call.wants_async or not job.final:
        return accepted(job, call, headers)
    check_made(job, headers)
    return json_answer(view(job, call), headers=headers | {"X-Image-Provider": job.provider})


def told(job: Job, call: Call, *, replayed: bool) -> dict[str, str]:
    """Note the job in the request's line of the log, and return the headers of any answer with it."""
    call.log.update(job_id=job.id, provider=job.provider, model=job.model, cost_usd=job.cost_usd)
    return {"Idempotency-Replayed": "true"} if replayed else {}


def place(job: Job, call: Call) -> str:
    """Where the job is told of."""
    return f"{call.stage}/unified/jobs/{job.id}"


def accepted(job: Job, call: Call, headers: dict[str, str]) -> Answer:
    """202 of a job that goes on, or that the client does not wait for."""
    headers = {**headers, "Location": place(job, call)}
    if call.wants_async:
        headers["Preference-Applied"] = "respond-async"
    status = QUEUED if call.wants_async else job.status  # also when it is answered again, or done at once
    return json_answer(AcceptedView(generation_id=job.id, status=status), 202, headers)


def check_made(job: Job, headers: dict[str, str]) -> None:
    """Raises the error of a job that has ended without images."""
    if job.status == FAILED and job.error:
        message = job.error.message
        wrong = (FieldError(job.wrong_field, message),) if job.wrong_field else ()
        kind = BY_CODE.get(job.error.code, ServiceError)
        raise kind(message, errors=wrong, headers=headers, members=spent(job))
    if job.status == CANCELLED:
        raise JobCancelled("the job was cancelled before it started", headers=headers, members=spent(job))
    if not job.images:
        told = "the images of this request were deleted; use a new Idempotency-Key"
        raise Gone(told, headers=headers, members=spent(job))
