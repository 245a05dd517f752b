"""The list of models, and each of its rows."""

from __future__ import annotations

from dataclasses import asdict
from urllib.parse import unquote

from lambdas.api.answer import Answer, json_answer
from lambdas.api.call import Call
from lambdas.api.route import BodyRoute, PlainRoute, Route
from lambdas.api.schemas.models import ModelsView, ModelView, PurgeBody, PurgeView
from lambdas.domain.errors import NotFound
from lambdas.usecases.catalogue.list_models import ModelRow, find_model, list_models, takable
from lambdas.usecases.catalogue.purge_models import purge_models


def _models(call: Call) -> Answer:
    deployment, now = call.deps.deployment(), call.deps.clock.now()
    return json_answer(
        ModelsView(
            object="list",
            data=[_row(row) for row in list_models(deployment, now)],
            models=takable(deployment, now),
            default_model=call.deps.default_model,
        )
    )


def _model(call: Call) -> Answer:
    """The id's slash comes as it is or encoded, and a gateway may have decoded it on the way."""
    model_id = unquote("/".join(call.params[name] for name in ("owner", "model_id") if name in call.params))
    row = find_model(model_id, call.deps.deployment(), call.deps.clock.now())
    if row is None:
        raise NotFound(f"there is no model {model_id[:200]!r}; GET /v1/models lists those that exist")
    return json_answer(_row(row))


def _purge(call: Call, body: PurgeBody) -> Answer:
    purged = purge_models(body.model_id, call.deadline, call.deps)
    removed, remaining = list(purged.removed), list(purged.remaining)
    return json_answer(PurgeView(model_id=body.model_id, removed=removed, remaining=remaining))


def _row(row: ModelRow) -> ModelView:
    return ModelView(object="model", shutdown_date=row.retires_on, **asdict(row))


def _route(path: str) -> Route:
    return PlainRoute(
        method="GET",
        path=path,
        summary="A model",
        handle=_model,
        answers={200: ModelView},
        errors=(404, 500),
        tag="models",
    )


ROUTES: tuple[Route, ...] = (
    PlainRoute(
        method="GET",
        path="/v1/models",
        summary="Models",
        handle=_models,
        answers={200: ModelsView},
        errors=(500,),
        tag="models",
    ),
    _route("/v1/models/{model_id}"),
    _route("/v1/models/{owner}/{model_id}"),
    BodyRoute(
        method="POST",
        path="/v1/models/purge",
        summary="Take models out of the GPU worker's memory",
        handle=_purge,
        body=PurgeBody,
        optional=True,
        answers={200: PurgeView},
        errors=(400, 413, 415, 500, 502, 503, 504),
        tag="models",
        keyed=True,
    ),
)
