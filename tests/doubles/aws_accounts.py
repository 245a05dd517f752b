"""A strict double of AWS's account data: Bedrock's list of models, and the state of a SageMaker endpoint.

The AWS SDK finds it by AWS_ENDPOINT_URL_BEDROCK and AWS_ENDPOINT_URL_SAGEMAKER. What it can do besides:
tests/doubles/service.py.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

from tests.doubles.bedrock.checks import SCOPE
from tests.doubles.service import FakeService, RefusedError, Reply, Request, json_reply

ENDPOINT = "image-api-gpu"
MODALITIES = ("TEXT", "IMAGE", "EMBEDDING")


def _error(status: int, name: str, message: str) -> Reply:
    return json_reply(status, {"message": message}, x_amzn_ErrorType=name)


def model(name: str, output: str = "IMAGE", *, ways: tuple[str, ...] = ("ON_DEMAND",), **life: Any) -> dict[str, Any]:
    """A row of the list. `life`: status and times of its lifecycle, Unix times or ISO texts."""
    return {
        "modelId": name,
        "modelArn": f"arn:aws:bedrock:us-west-2::foundation-model/{name}",
        "inputModalities": ["TEXT"],
        "outputModalities": [output],
        "inferenceTypesSupported": list(ways),
        "modelLifecycle": {"status": "ACTIVE", **life},
    }


def listed(name: str) -> dict[str, Any]:
    """The row of a model as it is called: one that is called by a profile of the US stands there without the prefix."""
    base = name.removeprefix("us.")
    return model(base) if base == name else model(base, ways=("INFERENCE_PROFILE",))


class FakeAws(FakeService):
    """One account. `models` are by region, `status` is that of its one endpoint."""

    refusals: ClassVar[dict[str, Reply]] = {
        "denied": _error(403, "AccessDeniedException", "User: arn:aws:sts::111122223333:x is not authorized"),
        "throttle": _error(429, "ThrottlingException", "Rate exceeded"),
        "no_list": json_reply(200, {"modelSummaries": "none"}),
        "list": json_reply(200, [1]),
        "deep": Reply(200, b'{"a":' * 100_000, {"Content-Type": "application/json"}),
    }

    def __init__(self, port: int = 0, seconds: float = 0.0) -> None:
        super().__init__(port, seconds)
        self.models: dict[str, list[dict[str, Any]]] = {}
        self.status = "InService"

    def route(self, request: Request) -> Reply:
        scope = SCOPE.fullmatch(request.headers.get("Authorization", ""))
        if scope is None:
            raise RefusedError(_error(403, "MissingAuthenticationTokenException", "Missing Authentication Token"))
        if request.method == "GET" and request.path == "/foundation-models" and scope[3] == "bedrock":
            wanted = request.query.get("byOutputModality")
            if wanted not in MODALITIES or len(request.query) > 1:
                raise RefusedError(_error(400, "ValidationException", "Invalid modality"))
            rows = [row for row in self.models.get(scope[2], []) if wanted in row["outputModalities"]]
            return self.ask(lambda kind: json_reply(200, {"modelSummaries": rows}))
        if request.headers.get("X-Amz-Target") == "SageMaker.DescribeEndpoint" and scope[3] == "sagemaker":
            if json.loads(request.body) != {"EndpointName": ENDPOINT}:
                raise RefusedError(_error(400, "ValidationException", 'Could not find endpoint "x".'))
            told = {"EndpointName": ENDPOINT, "EndpointStatus": self.status, "CreationTime": 1.0}
            return self.ask(lambda kind: json_reply(200, told))
        raise RefusedError(Reply(404))
