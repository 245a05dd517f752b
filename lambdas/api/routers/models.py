"""The list of models, and each of its rows."""

from __future__ import annotations

from dataclasses import asdict
from urllib.parse import unquote

from lambdas.api import views
from lambdas.api.call import Call
from lambdas.api.routes import Answer, Route, json_answer
from lambdas.domain.errors import NotFound
from lambdas.usecases.catalogue.list_models import ModelRow, find_model, list_models, takable


def _models(call: Call) -> Answer:
    house, now = call.deps.house(), call.deps.clock.now()
    return json_answer(
        views.ModelsView(
            object="list",
            data=[_row(row) for row in list_models(house, now)],
            models=takable(house, now),
            default_model=call.deps.default_model,
        )
    )


def _model(call: Call) -> Answer:
    """The id's slash comes as it is or encoded, and a gateway may have decoded it on the way."""
    model_id = unquote("/".join(call.params[name] for name in ("owner", "model_id") if name in call.params))
    row = find_model(model_id, call.deps.house(), call.deps.clock.now())
    if row is None:
        raise NotFound(f"there is no model {model_id[:200]!r}; GET /v1/models lists those that exist")
    return json_answer(_row(row))


def _row(row: ModelRow) -> views.ModelView:
    return views.ModelView(object="model", shutdown_date=row.retires_on, **asdict(row))


def _route(path: str) -> Route:
    return Route("GET", path, "A model", _model, {200: views.ModelView}, errors=(404, 500), tag="models")


ROUTES = (
    Route("GET", "/v1/models", "Models", _models, {200: views.ModelsView}, errors=(500,), tag="models"),
    _route("/v1/models/{model_id}"),
    _route("/v1/models/{owner}/{model_id}"),
)
