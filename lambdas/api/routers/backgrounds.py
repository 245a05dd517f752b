"""The routes of product backgrounds, and of the GPU worker's memory."""

from __future__ import annotations

from lambdas.api.bodies_backgrounds import BackgroundBody, BackgroundForm, PurgeBody
from lambdas.api.call import Call
from lambdas.api.routers.generate import background
from lambdas.api.routes import GENERATING, Answer, Route, json_answer
from lambdas.api.views import AcceptedView
from lambdas.api.views_backgrounds import BackgroundView, PurgeView
from lambdas.usecases.catalogue.purge_models import purge_models


def _purge(call: Call) -> Answer:
    model_id = call.payload.model_id
    purged = purge_models(model_id, call.deadline, call.deps)
    return json_answer(PurgeView(model_id=model_id, removed=list(purged.removed), remaining=list(purged.remaining)))


ROUTES = (
    Route(
        "POST",
        "/v1/backgrounds",
        "A product on a new background",
        background,
        {200: BackgroundView, 202: AcceptedView},
        body=BackgroundBody,
        form=BackgroundForm,
        errors=GENERATING,
        tag="generation",
        headers=("Idempotency-Key", "Prefer"),
    ),
    Route(
        "POST",
        "/v1/models/purge",
        "Take models out of the GPU worker's memory",
        _purge,
        {200: PurgeView},
        body=PurgeBody,
        body_optional=True,
        errors=(400, 413, 415, 500, 502, 503, 504),
        tag="models",
        keyed=True,
    ),
)
