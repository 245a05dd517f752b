"""Makes the AWS calls of the provider `sagemaker`, each sent once and within a total timeout."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.egress import aws
from lambdas.egress.deadline import within

CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 75  # for one read; SageMaker itself ends a call after 60
CHUNK: Final = 65536
JSON: Final = "application/json"

T = TypeVar("T")


class RefusedError(Exception):
    """SageMaker's own error response, as botocore parsed it."""

    def __init__(self, response: Mapping[str, Any]) -> None:
        super().__init__("refused")
        self.response = response


class Aws:
    """Clients of the deployment's region, created on first use. `who` is the name in messages."""

    def __init__(self, who: str) -> None:
        self._who = who
        self._clients = aws.Clients(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS)

    def invoke(self, endpoint: str, body: bytes, call_id: str, timeout: float, max_bytes: int) -> bytes:
        """Call a real-time endpoint and return its answer."""

        def call() -> bytes:
            answer = self._client("sagemaker-runtime").invoke_endpoint(
                EndpointName=endpoint, ContentType=JSON, Accept=JSON, Body=body, InferenceId=call_id
            )
            return self._read(answer["Body"], max_bytes)

        return self._call(timeout, call)

    def start(self, endpoint: str, bucket: str, key: str, body: bytes, call_id: str, kept: int, timeout: float) -> str:
        """Start work at an asynchronous endpoint. Returns a text for `fetch` with the locations of its outcome.

        The endpoint drops work that it has not begun after `kept` seconds, 60 to 21600.
        """

        def call() -> str:
            self._client("s3").put_object(Bucket=bucket, Key=key, Body=body, ContentType=JSON)
            answer = self._client("sagemaker-runtime").invoke_endpoint_async(
                EndpointName=endpoint,
                ContentType=JSON,
                Accept=JSON,
                InputLocation=f"s3://{bucket}/{key}",
                InferenceId=call_id,
                RequestTTLSeconds=kept,
            )
            # an endpoint without a location for failures writes none
            return json.dumps([answer["OutputLocation"], answer.get("FailureLocation", "")])

        return self._call(timeout, call)

    def fetch(self, places: str, timeout: float, max_bytes: int) -> tuple[bytes | None, bytes | None]:
        """Return the image and the failure of started work; each is `None` until it exists."""
        try:
            image, failure = json.loads(places)
            at, failed_at = _place(image), _place(failure) if failure else None
        except (ValueError, TypeError):
            raise ProviderFailure(Failure.OUTCOME_UNKNOWN, f"{self._who} did not give such a ticket") from None

        def call() -> tuple[bytes | None, bytes | None]:
            found = self._get(*at, max_bytes)
            return found, self._get(*failed_at, max_bytes) if found is None and failed_at else None

        try:
            return self._call(timeout, call)
        except RefusedError as refused:
            status = refused.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            named = str(refused.response.get("Error", {}).get("Code"))[:1].isalpha()  # by AWS, not by a proxy
            code = Failure.NOT_AUTHORIZED if named and status in (401, 403) else Failure.UNAVAILABLE
            raise ProviderFailure(code, "the bucket could not be read") from refused
        except ProviderFailure as failed:
            if failed.code == Failure.TIMEOUT:
                raise ProviderFailure(Failure.UNAVAILABLE, failed.detail) from failed
            raise

    def _get(self, bucket: str, key: str, max_bytes: int) -> bytes | None:
        s3 = self._client("s3")
        try:
            answer = s3.get_object(Bucket=bucket, Key=key)
        except s3.exceptions.NoSuchKey:
            return None
        return self._read(answer["Body"], max_bytes)

    def _read(self, stream: Any, max_bytes: int) -> bytes:
        body = bytearray()
        with closing(stream):
            while chunk := stream.read(CHUNK):  # by chunks, so that botocore notices an early end
                body += chunk
                if len(body) > max_bytes:
                    raise ProviderFailure(Failure.BAD_ANSWER, f"{self._who} answered too much")
        return bytes(body)

    def _call(self, timeout: float, call: Callable[[], T]) -> T:
        """Return the call's result. Raises RefusedError, and ProviderFailure for a call without an answer."""
        from botocore import exceptions
        from botocore.parsers import ResponseParserError
        from urllib3.exceptions import HTTPError

        broken = (
            exceptions.ConnectionError,
            exceptions.HTTPClientError,
            exceptions.IncompleteReadError,
            ResponseParserError,
            HTTPError,
            OSError,
        )
        if timeout <= 0:
            raise ProviderFailure(Failure.TIMEOUT, f"no time was left to call {self._who}")
        try:
            return within(timeout, call)
        except exceptions.ClientError as error:
            raise RefusedError(error.response) from error
        except (TimeoutError, exceptions.ReadTimeoutError):
            raise ProviderFailure(Failure.TIMEOUT, f"{self._who} did not answer within {timeout:.0f} s") from None
        except broken as error:
            raise ProviderFailure(
                Failure.UNAVAILABLE, f"the connection to {self._who} could not be made or broke"
            ) from error
        except exceptions.BotoCoreError as error:
            raise ProviderFailure(Failure.NOT_AUTHORIZED, f"our credentials for {self._who} cannot be used") from error
        except (AttributeError, TypeError, ValueError, KeyError, RecursionError) as error:  # botocore on malformed JSON
            raise ProviderFailure(Failure.BAD_ANSWER, f"{self._who} answered in an unknown form") from error

    def _client(self, service: str) -> Any:
        try:
            return self._clients.get(service)
        except ValueError as error:  # for an invalid endpoint URL in our settings
            raise ProviderFailure(Failure.NOT_AUTHORIZED, f"our address for {self._who} cannot be used") from error


def _place(location: object) -> tuple[str, str]:
    """Return bucket and key of an `s3://` location. Raises ValueError."""
    parts = urlsplit(str(location))
    if parts.scheme != "s3" or not parts.netloc or len(parts.path) < 2:
        raise ValueError(location)
    return parts.netloc, parts.path[1:]
