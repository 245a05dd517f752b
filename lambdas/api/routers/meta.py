"""Health, and the documents that describe the API."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from aws_lambda_powertools.event_handler import Response

from lambdas.api import views
from lambdas.api.call import Call
from lambdas.api.routes import Answer, Route, json_answer


def _health(_call: Call) -> Answer:
    return json_answer(views.HealthView(status="ok"))


@cache
def _document() -> str:
    from lambdas.api.openapi import document

    return json.dumps(document(), separators=(",", ":"))


def _openapi(_call: Call) -> Answer:
    return Response(status_code=200, content_type="application/json", body=_document())


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

    from aws_lambda_powertools.event_handler.openapi import swagger_ui

    folder = Path(swagger_ui.__file__).parent  # the page's code comes with the library, so no internet is needed
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
    return Response(status_code=200, content_type="text/html; charset=utf-8", body=page, headers=dict(headers))


ROUTES = (
    Route("GET", "/health", "Whether the service answers", _health, {200: views.HealthView}, open=True),
    Route("GET", "/docs", "This documentation", _docs, {200: "text/html"}, open=True),
    Route("GET", "/openapi.json", "The OpenAPI 3.1 document", _openapi, {200: "application/json"}, open=True),
)
