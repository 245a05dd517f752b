"""The routes about webhooks."""

from __future__ import annotations

from lambdas.api.answer import Answer, json_answer
from lambdas.api.call import Call
from lambdas.api.route import PlainRoute, QueryRoute, Route
from lambdas.api.schemas.webhooks import WebhooksQuery, WebhooksView, WebhookView
from lambdas.usecases.webhooks.replay import list_webhooks, replay_webhook


def _list(call: Call, query: WebhooksQuery) -> Answer:
    page = list_webhooks(call.tenant, query.state, query.limit, query.cursor, call.deps)
    return json_answer(WebhooksView(webhooks=[WebhookView.of(e) for e in page.events], next_cursor=page.next_cursor))


def _replay(call: Call) -> Answer:
    event = replay_webhook(call.tenant, call.params["job_id"], call.deps)
    return json_answer(WebhookView.of(event), 202, {"Location": f"{call.stage}/unified/webhooks"})


ROUTES: tuple[Route, ...] = (
    QueryRoute(
        method="GET",
        path="/unified/webhooks",
        summary="Webhooks and what became of them, newest first",
        handle=_list,
        answers={200: WebhooksView},
        query=WebhooksQuery,
        errors=(400, 500),
        tag="webhooks",
    ),
    PlainRoute(
        method="POST",
        path="/unified/webhooks/{job_id}/replay",
        summary="Send a webhook again",
        handle=_replay,
        answers={202: WebhookView},
        errors=(404, 409, 500),
        tag="webhooks",
    ),
)
