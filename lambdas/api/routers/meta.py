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


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Image API</title><style>{css}</style></head>
<body><div id="swagger-ui"></div><script>{js}</script>
<script>
window.onload = function () {{
  const base = location.pathname.replace(/\\/docs\\/?$/, "");
  fetch(base + "/openapi.json").then(r => r.json()).then(spec => {{
    spec.servers = [{{url: base || "/"}}];
    SwaggerUIBundle({{spec: spec, dom_id: "#swagger-ui", deepLinking: true, tryItOutEnabled: true}});
  }});
}};
</script></body></html>"""


def _docs(_call: Call) -> Answer:
    from aws_lambda_powertools.event_handler.openapi import swagger_ui

    folder = Path(swagger_ui.__file__).parent  # the page's code comes with the library, so no internet is needed
    css = (folder / "swagger-ui.min.css").read_text()
    js = (folder / "swagger-ui-bundle.min.js").read_text()
    return Response(status_code=200, content_type="text/html; charset=utf-8", body=_PAGE.format(css=css, js=js))


ROUTES = (
    Route("GET", "/health", "Whether the service answers", _health, {200: views.HealthView}, open=True),
    Route("GET", "/docs", "This documentation", _docs, {200: "text/html"}, open=True),
    Route("GET", "/openapi.json", "The OpenAPI 3.1 document", _openapi, {200: "application/json"}, open=True),
)
