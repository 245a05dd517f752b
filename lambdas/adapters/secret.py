"""The providers' keys of a deployment, from its one secret."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from lambdas.adapters import aws

CACHE_SECONDS = 300.0  # a key that is changed in the secret is used within this time


class ProviderSecret:
    """One JSON object of setting names to values. Without an ARN there is no secret, and it is empty."""

    def __init__(self, arn: str) -> None:
        self._arn = arn
        self._read_at = 0.0
        self._values: Mapping[str, str] = {}

    def values(self) -> Mapping[str, str]:
        """Raises botocore's errors where the secret cannot be read and was not read before."""
        now = time.monotonic()
        if self._arn and (not self._read_at or now - self._read_at > CACHE_SECONDS):
            text = aws.client("secretsmanager").get_secret_value(SecretId=self._arn)["SecretString"]
            found = json.loads(text)
            self._values = {str(k): str(v) for k, v in found.items() if v} if isinstance(found, dict) else {}
            self._read_at = now
        return self._values
