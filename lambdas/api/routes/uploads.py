"""The route that offers an upload."""

from __future__ import annotations

from lambdas.api.answer import Answer, json_answer
from lambdas.api.call import Call
from lambdas.api.route import BodyRoute, Route
from lambdas.api.schemas.uploads import UploadBody, UploadView
from lambdas.usecases.images.uploads import offer_upload


def _offer(call: Call, body: UploadBody) -> Answer:
    return json_answer(UploadView.of(offer_upload(call.tenant, body.content_type, body.size, call.deps)), 201)


ROUTES: tuple[Route, ...] = (
    BodyRoute(
        method="POST",
        path="/v1/uploads",
        summary="A form for a picture that is too large for a request",
        handle=_offer,
        answers={201: UploadView},
        body=UploadBody,
        errors=(400, 413, 415, 500),
        tag="files",
    ),
)
