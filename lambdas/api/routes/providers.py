"""The list of providers."""

from __future__ import annotations

from lambdas.api.answer import Answer, json_answer
from lambdas.api.call import Call
from lambdas.api.route import PlainRoute, Route
from lambdas.api.schemas.providers import ProvidersView, ProviderView
from lambdas.usecases.catalogue.list_providers import list_providers


def _providers(call: Call) -> Answer:
    rows = list_providers(call.deps.deployment(), call.deps.clock.now())
    return json_answer(ProvidersView(providers=[ProviderView.of(row) for row in rows]))


ROUTES: tuple[Route, ...] = (
    PlainRoute(
        method="GET",
        path="/unified/providers",
        summary="Providers and how they are",
        handle=_providers,
        answers={200: ProvidersView},
        errors=(500,),
        tag="providers",
    ),
)
