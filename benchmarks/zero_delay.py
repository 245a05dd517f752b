"""Replaces botocore's network by an AWS in memory that answers at once: the service's own work remains.

It stores items and objects and accepts every condition; the tests check the adapters against the real rules.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import URLLib3Session


class _Raw(io.BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        """Yield the body as urllib3 does."""
        yield self.read()


class ZeroDelayAws:
    """DynamoDB, S3 and SQS as far as the api and worker functions use them."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.objects: dict[str, bytes] = {}
        self.calls = 0

    def answer(self, request: AWSPreparedRequest) -> AWSResponse:
        """Answer a request in place of botocore's own sending."""
        self.calls += 1
        target = request.headers.get("X-Amz-Target", b"")
        operation = (target.decode() if isinstance(target, bytes) else target).rpartition(".")[2]
        if not operation:
            return self._object(request)
        call = getattr(self, f"_{operation}", None)
        if call is None:
            raise NotImplementedError(f"benchmarks/zero_delay.py does not know {operation}")
        body = request.body.decode() if isinstance(request.body, bytes) else request.body
        return _response(request, json.dumps(call(json.loads(body or "{}"))).encode())

    def _object(self, request: AWSPreparedRequest) -> AWSResponse:
        path = request.url.partition("?")[0]
        if request.method == "PUT":
            body = request.body
            self.objects[path] = body if isinstance(body, bytes) else body.read()
            return _response(request, b"")
        if request.method == "DELETE":
            self.objects.pop(path, None)
            return _response(request, b"", 204)
        if path not in self.objects:
            return _response(request, b"<Error><Code>NoSuchKey</Code></Error>", 404)
        return _response(request, self.objects[path])

    def _at(self, call: dict[str, Any], item: dict[str, Any]) -> tuple[str, str, str]:
        return call["TableName"], item["pk"]["S"], item["sk"]["S"]

    def _GetItem(self, call: dict[str, Any]) -> dict[str, Any]:
        row = self.rows.get(self._at(call, call["Key"]))
        return {"Item": row} if row else {}

    def _PutItem(self, call: dict[str, Any]) -> dict[str, Any]:
        self.rows[self._at(call, call["Item"])] = call["Item"]
        return {}

    def _UpdateItem(self, call: dict[str, Any]) -> dict[str, Any]:
        row = self.rows.setdefault(self._at(call, call["Key"]), dict(call["Key"]))
        names, values = call.get("ExpressionAttributeNames", {}), call.get("ExpressionAttributeValues", {})
        for name, value in re.findall(r"([#\w]+) = (:\w+)", call["UpdateExpression"]):
            row[names.get(name, name)] = values[value]
        return {"Attributes": row}

    def _DeleteItem(self, call: dict[str, Any]) -> dict[str, Any]:
        self.rows.pop(self._at(call, call["Key"]), None)
        return {}

    def _Query(self, call: dict[str, Any]) -> dict[str, Any]:
        """Return the rows of one partition, given by the first value of the condition."""
        key = re.search(r"= (:\w+)", call["KeyConditionExpression"])
        pk = call["ExpressionAttributeValues"][key[1]]["S"] if key else ""
        rows = [
            row for (table, first, _), row in sorted(self.rows.items()) if (table, first) == (call["TableName"], pk)
        ]
        return {"Items": rows, "Count": len(rows)}

    def _TransactWriteItems(self, call: dict[str, Any]) -> dict[str, Any]:
        for entry in call["TransactItems"]:
            for kind, part in entry.items():
                if kind != "ConditionCheck":
                    getattr(self, f"_{kind}Item")(part)
        return {}

    def _SendMessage(self, _call: dict[str, Any]) -> dict[str, Any]:
        return {"MessageId": "m", "MD5OfMessageBody": "0" * 32}


def _response(request: AWSPreparedRequest, body: bytes, status: int = 200) -> AWSResponse:
    return AWSResponse(request.url, status, {"Content-Length": str(len(body))}, _Raw(body))


@contextmanager
def zero_delay() -> Iterator[ZeroDelayAws]:
    """Let every AWS client of this process use memory until the block ends."""
    aws, send = ZeroDelayAws(), URLLib3Session.send
    URLLib3Session.send = lambda _self, request: aws.answer(request)
    try:
        yield aws
    finally:
        URLLib3Session.send = send


def picture(side: int = 1024) -> bytes:
    """Return a PNG of some 2 MB, as providers send them."""
    from PIL import Image

    noise = Image.effect_noise((side // 2, side // 2), 24).resize((side, side), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    Image.merge("RGB", (noise, noise.rotate(90), noise.rotate(180))).save(out, "PNG", compress_level=1)
    return out.getvalue()
