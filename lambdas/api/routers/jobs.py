"""The routes about jobs."""

from __future__ import annotations

import json

from aws_lambda_powertools.event_handler import Response

from lambdas.api import bodies, views
from lambdas.api.call import Call
from lambdas.api.routes import Answer, Route, json_answer
from lambdas.domain import ids
from lambdas.domain.errors import Gone, NotFound
from lambdas.domain.jobs.job import Job
from lambdas.usecases.jobs.cancel_job import cancel_job
from lambdas.usecases.jobs.delete_image import delete_image

# A function answers 6,291,556 bytes at the most, and a page of jobs with long prompts and many links has more.
MAX_PAGE_BYTES = 5_000_000


def _find(call: Call) -> Job:
    job_id = call.params["job_id"]
    job = call.deps.jobs.get(call.tenant, job_id) if ids.JOB_ID.fullmatch(job_id) else None
    if job is None:
        raise NotFound("no such job")
    return job


def _get(call: Call) -> Answer:
    job = _find(call)
    headers = {"X-Image-Provider": job.provider} if job.images else {"Retry-After": "1"} if not job.final else {}
    return json_answer(views.JobView.of(job, call.deps.blobs), headers=headers)


def _cancel(call: Call) -> Answer:
    return json_answer(views.JobView.of(cancel_job(_find(call), call.deps), call.deps.blobs))


def _delete_image(call: Call) -> Answer:
    delete_image(call.tenant, call.params["job_id"], call.params["image_id"], call.deps)
    return Response(status_code=204)


def _list(call: Call) -> Answer:
    query: bodies.JobsQuery = call.filters
    page = call.deps.jobs.list(call.tenant, query.to_filter(), query.limit, query.cursor)
    jobs: list[views.JobView] = []
    size = 0
    for job in page.jobs:
        view = views.JobView.of(job, call.deps.blobs)
        size += len(json.dumps(view.model_dump_json(), ensure_ascii=False).encode())  # as it lies in the answer
        if jobs and size > MAX_PAGE_BYTES:
            return json_answer(views.JobsView(jobs=jobs, next_cursor=jobs[-1].generation_id))
        jobs.append(view)
    return json_answer(views.JobsView(jobs=jobs, next_cursor=page.next_cursor))


def _moved(call: Call) -> Answer:
    raise Gone(
        f"jobs are found at /unified/jobs/{call.params['job_id']}",
        headers={"Link": f'<{call.stage}/unified/jobs/{call.params["job_id"]}>; rel="successor-version"'},
    )


ROUTES = (
    Route(
        "GET",
        "/unified/jobs",
        "Jobs, newest first",
        _list,
        {200: views.JobsView},
        query=bodies.JobsQuery,
        errors=(400, 500),
        tag="jobs",
    ),
    Route("GET", "/unified/jobs/{job_id}", "A job", _get, {200: views.JobView}, errors=(404, 500), tag="jobs"),
    Route(
        "DELETE",
        "/unified/jobs/{job_id}",
        "Cancel a job that has not started",
        _cancel,
        {200: views.JobView},
        errors=(404, 409, 500),
        tag="jobs",
    ),
    Route(
        "DELETE",
        "/unified/jobs/{job_id}/images/{image_id}",
        "Delete one image for good",
        _delete_image,
        {204: "none"},
        errors=(404, 409, 500),
        tag="jobs",
    ),
    Route("GET", "/v1/jobs/{job_id}", "Where jobs have moved to", _moved, {}, errors=(410, 500), tag="jobs"),
)
