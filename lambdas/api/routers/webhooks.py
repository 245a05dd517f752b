"""The routes about webhooks."""

from __future__ import annotations

from lambdas.api.bodies_webhooks import WebhooksQuery
from lambdas.api.call import Call
from lambdas.api.routes import Answer, Route, json_answer
from lambdas.api.views_webhooks import WebhooksView, WebhookView
from lambdas.usecases.webhooks.replay import list_webhooks, replay_webhook


def _list(call: Call) -> Answer:
    query: WebhooksQuery = call.filters
    page = list_webhooks(call.tenant, query.state, query.limit, query.cursor, call.deps)
    return json_answer(WebhooksView(webhooks=[WebhookView.of(e) for e in page.events], next_cursor=page.next_cursor))


def _replay(call: Call) -> Answer:
    event = replay_webhook(call.tenant, call.params["job_id"], call.deps)
    return json_answer(WebhookView.of(event), 202, {"Location": f"{call.stage}/unified/webhooks"})


ROUTES = (
    Route(
        "GET",
        "/unified/webhooks",
        "Webhooks and what became of them, newest first",
        _list,
        {200: WebhooksView},
        query=WebhooksQuery,
        errors=(400, 500),
        tag="webhooks",
    ),
    Route(
        "POST",
        "/unified/webhooks/{job_id}/replay",
        "Send a webhook again",
        _replay,
        {202: WebhookView},
        errors=(404, 409, 500),
        tag="webhooks",
    ),
)
