"""The providers' keys of a deployment, from its one secret."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from lambdas.adapters import aws
from lambdas.domain.errors import Unavailable

CACHE_SECONDS = 300.0  # a key that is changed in the secret is used within this time
RETRY_SECONDS = 30.0
NEVER = float("-inf")


class ProviderSecret:
    """One JSON object of setting names to values. Without an ARN there is no secret, and it is empty."""

    def __init__(self, arn: str) -> None:
        self._arn = arn
        self._read_again = NEVER
        self._values: Mapping[str, str] = {}

    def values(self) -> Mapping[str, str]:
        """Raises Unavailable where the secret cannot be read and was not read before."""
        now = time.monotonic()
        if not self._arn or now < self._read_again:
            return self._values
        try:
            answer = aws.client("secretsmanager", read_timeout=2.0).get_secret_value(SecretId=self._arn)
        except Unavailable:
            if self._read_again == NEVER:
                raise
            self._read_again = now + RETRY_SECONDS  # what was read serves on, and is not waited for at every request
            return self._values
        found = json.loads(answer["SecretString"])
        self._values = {str(k): str(v) for k, v in found.items() if v} if isinstance(found, dict) else {}
        self._read_again = now + CACHE_SECONDS
        return self._values
