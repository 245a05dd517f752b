"""The route that makes signed links to images."""

from __future__ import annotations

from lambdas.api.answer import Answer, json_answer
from lambdas.api.call import Call
from lambdas.api.route import BodyRoute, Route
from lambdas.api.routes._variants import planned
from lambdas.api.schemas.delivery import LinkBody, LinkView
from lambdas.domain.errors import NotFound
from lambdas.domain.iso_time import iso
from lambdas.usecases.jobs.find import find_job
from lambdas.usecases.links import link_to


def _make(call: Call, body: LinkBody) -> Answer:
    job = find_job(call.tenant, call.params["job_id"], call.deps)
    image = next((image for image in job.images if image.id == call.params["image_id"]), None)
    if image is None:
        raise NotFound("no such image")
    planned(call, image, body.wish())  # so that no link is made that answers 400
    path, expires = link_to(call.tenant, image, body.parameters(), body.expires_in, call.deps)
    url = f"{call.origin}{path}"
    return json_answer(LinkView(url=url, expires_at=iso(expires)), 201, {"Location": url, "Cache-Control": "no-store"})


ROUTES: tuple[Route, ...] = (
    BodyRoute(
        method="POST",
        path="/unified/jobs/{job_id}/images/{image_id}/link",
        summary="A link to an image that works without a key for a while",
        handle=_make,
        body=LinkBody,
        optional=True,
        reads=True,
        answers={201: LinkView},
        errors=(400, 404, 413, 415, 500),
        tag="jobs",
    ),
)
