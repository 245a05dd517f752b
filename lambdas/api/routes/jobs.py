"""The routes about jobs."""

from __future__ import annotations

import json

from lambdas.api.answer import Answer, json_answer
from lambdas.api.call import Call
from lambdas.api.route import PlainRoute, QueryRoute, Route
from lambdas.api.schemas.jobs import JobsQuery, JobsView, JobView
from lambdas.domain.errors import Gone
from lambdas.usecases.jobs.cancel_job import cancel_job
from lambdas.usecases.jobs.delete_image import delete_image
from lambdas.usecases.jobs.find import find_job

# A function answers 6,291,556 bytes at the most, and a page of jobs with long prompts and many links has more.
MAX_PAGE_BYTES = 5_000_000


def _get(call: Call) -> Answer:
    job = find_job(call.tenant, call.params["job_id"], call.deps)
    headers = {"X-Image-Provider": job.provider} if job.images else {"Retry-After": "1"} if not job.final else {}
    return json_answer(JobView.of(job, call.deps.blobs), headers=headers)


def _cancel(call: Call) -> Answer:
    return json_answer(JobView.of(cancel_job(call.tenant, call.params["job_id"], call.deps), call.deps.blobs))


def _delete_image(call: Call) -> Answer:
    delete_image(call.tenant, call.params["job_id"], call.params["image_id"], call.deps)
    return Answer(204)


def _list(call: Call, query: JobsQuery) -> Answer:
    page = call.deps.jobs.list(call.tenant, query.to_filter(), query.limit, query.cursor)
    jobs: list[JobView] = []
    size = 0
    for job in page.jobs:
        view = JobView.of(job, call.deps.blobs)
        size += len(json.dumps(view.model_dump_json(), ensure_ascii=False).encode())  # as it lies in the answer
        if jobs and size > MAX_PAGE_BYTES:
            return json_answer(JobsView(jobs=jobs, next_cursor=jobs[-1].generation_id))
        jobs.append(view)
    return json_answer(JobsView(jobs=jobs, next_cursor=page.next_cursor))


def _moved(call: Call) -> Answer:
    raise Gone(
        f"jobs are found at /unified/jobs/{call.params['job_id']}",
        headers={"Link": f'<{call.stage}/unified/jobs/{call.params["job_id"]}>; rel="successor-version"'},
    )


ROUTES: tuple[Route, ...] = (
    QueryRoute(
        method="GET",
        path="/unified/jobs",
        summary="Jobs, newest first",
        handle=_list,
        answers={200: JobsView},
        query=JobsQuery,
        errors=(400, 500),
        tag="jobs",
    ),
    PlainRoute(
        method="GET",
        path="/unified/jobs/{job_id}",
        summary="A job",
        handle=_get,
        answers={200: JobView},
        errors=(404, 500),
        tag="jobs",
    ),
    PlainRoute(
        method="DELETE",
        path="/unified/jobs/{job_id}",
        summary="Cancel a job that has not started",
        handle=_cancel,
        answers={200: JobView},
        errors=(404, 409, 500),
        tag="jobs",
    ),
    PlainRoute(
        method="DELETE",
        path="/unified/jobs/{job_id}/images/{image_id}",
        summary="Delete one image for good",
        handle=_delete_image,
        answers={204: "none"},
        errors=(404, 409, 500),
        tag="jobs",
    ),
    PlainRoute(
        method="GET",
        path="/v1/jobs/{job_id}",
        summary="Where jobs have moved to",
        handle=_moved,
        answers={},
        errors=(410, 500),
        tag="jobs",
    ),
)
