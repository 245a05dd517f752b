"""The counters of the whole deployment, for Prometheus."""

from __future__ import annotations

from lambdas.api.answer import Answer
from lambdas.api.call import Call
from lambdas.api.route import PlainRoute, Route
from lambdas.domain.errors import Forbidden, NotFound

OPERATOR = "operator"  # the tenant that may see the sums of all


def _metrics(call: Call) -> Answer:
    counters = call.deps.counters
    if counters is None:
        raise NotFound("metrics are off; METRICS_ENABLED=1 turns them on")
    if call.identity.get("auth") == "ok" and call.tenant != OPERATOR:
        raise Forbidden(f"metrics sum all tenants, so they need a key of the tenant `{OPERATOR}`")
    from lambdas.api.prometheus import exposition  # its library takes 60 ms of CPU to import

    now = call.deps.clock.now()
    text, media_type = exposition(counters.read(now), call.headers.get("accept", ""), now)
    return Answer(200, text.decode(), media_type)


ROUTES: tuple[Route, ...] = (
    PlainRoute(
        method="GET",
        path="/metrics",
        summary="Counters of the whole deployment, as Prometheus text or OpenMetrics",
        handle=_metrics,
        answers={200: "text/plain"},
        errors=(403, 404, 500, 503),
        tag="service",
    ),
)
