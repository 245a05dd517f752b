"""The list of providers."""

from __future__ import annotations

from lambdas.api.call import Call
from lambdas.api.routes import Answer, Route, json_answer
from lambdas.api.views_providers import ProvidersView, ProviderView
from lambdas.usecases.catalogue.list_providers import list_providers


def _providers(call: Call) -> Answer:
    rows = list_providers(call.deps.house(), call.deps.clock.now())
    return json_answer(ProvidersView(providers=[ProviderView.of(row) for row in rows]))


ROUTES = (
    Route(
        "GET",
        "/unified/providers",
        "Providers and how they are",
        _providers,
        {200: ProvidersView},
        errors=(500,),
        tag="providers",
    ),
)
