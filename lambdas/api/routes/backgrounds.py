"""The route of product backgrounds."""

from __future__ import annotations

from lambdas.api.answer import Answer
from lambdas.api.call import Call
from lambdas.api.route import GENERATING, BodyRoute, Route
from lambdas.api.routes._generating import answer_with
from lambdas.api.schemas.backgrounds import BackgroundBody, BackgroundForm, BackgroundView
from lambdas.api.schemas.jobs import AcceptedView


def background(call: Call, body: BackgroundBody | BackgroundForm) -> Answer:
    return answer_with(call, body.to_draft(), lambda job, call: BackgroundView.of(job, call.deps.blobs))


ROUTES: tuple[Route, ...] = (
    BodyRoute[BackgroundBody | BackgroundForm](
        method="POST",
        path="/v1/backgrounds",
        summary="A product on a new background",
        handle=background,
        body=BackgroundBody,
        form=BackgroundForm,
        answers={200: BackgroundView, 202: AcceptedView},
        errors=GENERATING,
        tag="generation",
        headers=("Idempotency-Key", "Prefer"),
    ),
)
