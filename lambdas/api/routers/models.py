"""The list of models."""

from __future__ import annotations

from lambdas.api import views
from lambdas.api.call import Call
from lambdas.api.routes import Answer, Route, json_answer
from lambdas.usecases.list_models import list_models


def _models(call: Call) -> Answer:
    rows = list_models(call.deps.house(), call.deps.clock.now())
    return json_answer(
        views.ModelsView(
            object="list",
            data=[views.ModelView(object="model", **row) for row in rows],
            models=[row["id"] for row in rows if row["status"] != "retired"],
            default_model=call.deps.default_model,
        )
    )


ROUTES = (Route("GET", "/v1/models", "Models", _models, {200: views.ModelsView}, errors=(500,), tag="models"),)
