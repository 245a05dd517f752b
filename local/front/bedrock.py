"""Forwards the functions' requests to the real Bedrock, signed again with the user's own AWS credentials.

The credentials stay in the launcher. A function only gets a local address with a random token in it.
"""

import json
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from local.front.gateway import Answer

PREFIX = "/_local/bedrock-runtime/"
KEPT_HEADERS = (b"content-type", b"accept", b"x-amzn-bedrock-", b"x-amz-bedrock-")
BEDROCK = "https://bedrock-runtime.{region}.amazonaws.com"
TIMEOUT = httpx2.Timeout(900, connect=10)


def token(data_dir: Path) -> str:
    """Return the random token of the data folder; stored, so that a restart changes no function."""
    kept = data_dir / "bedrock.token"
    if not kept.is_file():
        kept.touch(mode=0o600)
        kept.write_text(secrets.token_urlsafe(24), "utf-8")
    return kept.read_text("utf-8")


class BedrockPassThrough:
    """Answers below PREFIX + token, as bedrock-runtime of the region that the function signed for."""

    def __init__(self, word: str, user: Mapping[str, str], upstream: str = BEDROCK) -> None:
        self.prefix, self.user, self.upstream = f"{PREFIX}{word}", user, upstream
        self.session: Any = None
        self.client = httpx2.AsyncClient(timeout=TIMEOUT)

    async def answer(self, method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes) -> Answer:
        """Forward one request of the SDK."""
        if not path.startswith(f"{self.prefix}/"):
            return refusal(404, "UnknownOperationException", "There is nothing at this address.")
        signature = next((v for k, v in headers if k.lower() == b"authorization"), b"").decode("latin-1")
        scope = re.search(r"Credential=[^/]+/\d{8}/([a-z0-9-]+)/bedrock/aws4_request", signature)
        if not scope:
            return refusal(403, "MissingAuthenticationTokenException", "Expected a request signed by the AWS SDK.")
        url = self.upstream.format(region=scope[1]) + path.removeprefix(self.prefix)
        kept = {k.decode(): v.decode("latin-1") for k, v in headers if k.lower().startswith(KEPT_HEADERS)}
        try:
            signed = self._sign(method, url, scope[1], kept, body)
            response = await self.client.request(method, url, headers=signed, content=body)
        except CredentialsMissing as missing:
            return refusal(403, "UnrecognizedClientException", str(missing))
        except httpx2.HTTPError as error:
            return refusal(503, "ServiceUnavailableException", f"Bedrock could not be reached: {type(error).__name__}.")
        passed = ("content-type", "x-amzn-")
        return Answer(
            response.status_code,
            [(k.encode(), v.encode()) for k, v in response.headers.items() if k.lower().startswith(passed)],
            response.content,
        )

    def _sign(self, method: str, url: str, region: str, headers: dict[str, str], body: bytes) -> dict[str, str]:
        if self.user.get("AWS_BEARER_TOKEN_BEDROCK"):
            return {**headers, "Authorization": f"Bearer {self.user['AWS_BEARER_TOKEN_BEDROCK']}"}
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        request = AWSRequest(method, url, headers=headers, data=body)
        SigV4Auth(self._credentials(), "bedrock", region).add_auth(request)
        return dict(request.headers.items())

    def _credentials(self) -> Any:
        """Return the credentials of `.env` or the environment, else the AWS SDK's. Raises CredentialsMissing."""
        import botocore.session
        from botocore.credentials import Credentials
        from botocore.exceptions import BotoCoreError

        key, secret = self.user.get("AWS_ACCESS_KEY_ID"), self.user.get("AWS_SECRET_ACCESS_KEY")
        if key and secret:
            return Credentials(key, secret, self.user.get("AWS_SESSION_TOKEN"))
        try:
            self.session = self.session or botocore.session.Session(profile=self.user.get("AWS_PROFILE") or None)
            found = self.session.get_credentials()
            if found is not None:
                return found.get_frozen_credentials()
        except BotoCoreError as error:
            raise CredentialsMissing(f"The AWS credentials could not be read: {error}.") from error
        raise CredentialsMissing("BEDROCK=1 needs AWS credentials: AWS_PROFILE, or AWS_ACCESS_KEY_ID with its secret.")


class CredentialsMissing(Exception):
    """The user has no usable AWS credentials."""


def refusal(status: int, code: str, message: str) -> Answer:
    """Return an error in the format of the AWS SDK."""
    headers = [(b"content-type", b"application/json"), (b"x-amzn-errortype", code.encode())]
    return Answer(status, headers, json.dumps({"message": message}).encode())
