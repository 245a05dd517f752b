"""Health, and the documents that describe the API."""

from __future__ import annotations

import json
from functools import cache

from lambdas.api.answer import Answer, json_answer
from lambdas.api.call import Call
from lambdas.api.route import PlainRoute, Route
from lambdas.api.schemas.meta import HealthView


def _health(_call: Call) -> Answer:
    return json_answer(HealthView(status="ok"))


@cache
def _document() -> str:
    from lambdas.api.openapi import document

    return json.dumps(document(), separators=(",", ":"))


def _openapi(_call: Call) -> Answer:
    return Answer(200, content_type="application/json", body=_document())


_START = """
window.onload = function () {
  const base = location.pathname.replace(/\\/docs\\/?$/, "");
  fetch(base + "/openapi.json").then(r => r.json()).then(spec => {
    spec.servers = [{url: base || "/"}];
    SwaggerUIBundle({spec: spec, dom_id: "#swagger-ui", deepLinking: true, tryItOutEnabled: true});
  });
}
"""

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Image API</title><style>{css}</style></head>
<body><div id="swagger-ui"></div><script>{js}</script><script>{start}</script></body></html>"""

# The page runs its own two scripts and asks this service alone; nothing may show it in a frame.
_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src 'self' data: blob:; font-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@cache
def _page() -> tuple[str, dict[str, str]]:
    """The page and its headers."""
    from base64 import b64encode
    from hashlib import sha256
    from importlib.resources import files

    # the page's code comes with the library, so no internet is needed; the library itself is not imported for it
    folder = files("aws_lambda_powertools") / "event_handler" / "openapi" / "swagger_ui"
    css = (folder / "swagger-ui.min.css").read_text("utf-8")
    js = (folder / "swagger-ui-bundle.min.js").read_text("utf-8")
    scripts = (f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in (js, _START))
    headers = {
        "Content-Security-Policy": _POLICY.format(scripts=" ".join(scripts)),
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
    }
    return _PAGE.format(css=css, js=js, start=_START), headers


def _docs(_call: Call) -> Answer:
    page, headers = _page()
    return Answer(200, content_type="text/html; charset=utf-8", body=page, headers=dict(headers))


ROUTES: tuple[Route, ...] = (
    PlainRoute(
        method="GET",
        path="/health",
        summary="Whether the service answers",
        handle=_health,
        answers={200: HealthView},
        open=True,
    ),
    PlainRoute(
        method="GET",
        path="/docs",
        summary="This documentation",
        handle=_docs,
        answers={200: "text/html"},
        open=True,
    ),
    PlainRoute(
        method="GET",
        path="/openapi.json",
        summary="The OpenAPI 3.1 document",
        handle=_openapi,
        answers={200: "application/json"},
        open=True,
    ),
)
