"""The authorizer function: finds the tenant of a request's API key.

It admits every request with its result, and the api function refuses, with one exception: a request without a key where
one is needed gets the gateway's own answer, because API Gateway would rename a function's `WWW-Authenticate`. A signed
link goes on without a tenant: the api function, which makes links too, has the keys that check it.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any

from lambdas.adapters.dynamodb.keys import DynamoKeys
from lambdas.domain.errors import Unavailable
from lambdas.domain.links import is_signed
from lambdas.domain.open_routes import closed
from lambdas.handlers import ready
from lambdas.settings import Settings
from lambdas.usecases.authenticate import AuthResult, authenticate


@cache
def _settings() -> Settings:
    return Settings.live()


@cache
def _keys() -> DynamoKeys:
    return DynamoKeys(_settings().keys_table)


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Return an IAM policy with the result as context, `unavailable` if keys cannot be looked up."""
    headers = {k.lower(): v for k, v in (event.get("headers") or {}).items()}
    settings = _settings()
    try:
        finding: AuthResult = authenticate(headers, settings.local_keys, _keys(), required=settings.require_api_key)
    except Unavailable:
        finding = AuthResult("unavailable")
    denied = finding.auth == "missing" and closed(event["path"], required=settings.require_api_key)
    if denied and event.get("httpMethod") in ("GET", "HEAD"):
        # the api function checks the signature, and refuses everything else that has no key
        denied = not is_signed(event["path"], event.get("multiValueQueryStringParameters") or {})
    effect = "Deny" if denied else "Allow"
    return {
        "principalId": finding.tenant or "nobody",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Action": "execute-api:Invoke", "Effect": effect, "Resource": event["methodArn"]}],
        },
        "context": {"tenant": finding.tenant, "auth": finding.auth},
    }


if Settings.live().deployed:
    with suppress(Exception):  # as `wiring.prime`: with a seventh of a CPU a request would wait 0.6 s for it
        _keys().tenant_of("-")
ready()
