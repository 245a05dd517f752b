"""Reads the providers' keys of a deployment from its secret, and caches them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from lambdas.adapters import aws
from lambdas.domain.errors import Unavailable

CACHE_SECONDS = 300.0  # maximum delay until a changed key is used
RETRY_SECONDS = 30.0
NEVER = float("-inf")


class ProviderSecret:
    """A JSON object of setting names and values; empty without an ARN."""

    def __init__(self, arn: str) -> None:
        self._arn = arn
        self._read_again = NEVER
        self._values: Mapping[str, str] = {}

    def values(self) -> Mapping[str, str]:
        """Return the secret. Raises Unavailable if it cannot be read and no earlier value is cached."""
        now = time.monotonic()
        if not self._arn or now < self._read_again:
            return self._values
        try:
            answer = aws.client("secretsmanager", read_timeout=2.0).get_secret_value(SecretId=self._arn)
        except Unavailable:
            if self._read_again == NEVER:
                raise
            self._read_again = now + RETRY_SECONDS  # the cached value stays in use
            return self._values
        found = json.loads(answer["SecretString"])
        self._values = {str(k): str(v) for k, v in found.items() if v} if isinstance(found, dict) else {}
        self._read_again = now + CACHE_SECONDS
        return self._values
