"""A strict double of the GPU worker: direct (`/invocations`), and behind both kinds of SageMaker endpoint.

An asynchronous endpoint reads its requests from S3 and writes there, through the AWS of the environment. What it can do
besides: tests/doubles/service.py.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import replace
from functools import cached_property
from threading import Thread
from typing import Any, ClassVar

from gpu_worker import contract
from gpu_worker.contract import PaintAnswer, PaintRequest, PurgeRequest, Refusal
from tests.doubles import gpu_scenes
from tests.doubles.bedrock.checks import SCOPE
from tests.doubles.edges import EDGES
from tests.doubles.service import FakeService, RefusedError, Reply, Request, json_reply, paint

SCENES = "diffusers/stable-diffusion-xl-1.0-inpainting-0.1"
MODELS = frozenset({"stabilityai/sdxl-turbo", SCENES})
ENDPOINT = "image-api-gpu"
MAX_SYNC = 6_291_456


def _worker(code: str, retry_after: float | None = None) -> Reply:
    """A refusal of the worker's own."""
    return _reply(Refusal(code, "these are the worker's words", retry_after))


def _reply(refusal: Refusal) -> Reply:
    wait = {} if refusal.retry_after is None else {"Retry-After": f"{refusal.retry_after:.0f}"}
    return Reply(refusal.status, refusal.to_json(), {"Content-Type": "application/json", **wait})


def _aws(status: int, name: str, message: str, **more: Any) -> Reply:
    """A refusal of SageMaker's own."""
    return json_reply(status, {"Message": message, **more}, x_amzn_ErrorType=name)


def model_error(status: int, said: str) -> Reply:
    """What SageMaker makes of an error that the container answered."""
    more = {"OriginalStatusCode": status, "OriginalMessage": said, "LogStreamArn": "arn:aws:logs:x"}
    return _aws(424, "ModelError", _told(status, said), **more)


def _told(status: int, said: str) -> str:
    return (
        f'Received server error ({status}) from primary with message "{said}". See https://us-east-1.console for more.'
    )


class FakeGpu(FakeService):
    """The worker at `{url}/invocations`; the endpoint `image-api-gpu` at `{url}` for the AWS SDK."""

    refusals: ClassVar[dict[str, Reply]] = {
        "invalid": _worker("invalid_request"),
        "gone": _worker("unknown_model"),
        "too_large": _worker("too_large"),
        "moderated": _worker("content_policy"),
        "failed_job": _worker("failed"),
        "busy": _worker("busy", 3),
        "busy_plain": _worker("busy"),
        "timeout": _worker("timeout"),
        "crash": Reply(500, b"Internal Server Error", {"Content-Type": "text/plain"}),
        "bad_gateway": Reply(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"}),
        "aws_throttle": _aws(429, "ThrottlingException", "Rate exceeded"),
        "aws_not_ready": _aws(429, "ModelNotReadyException", "Model is not ready"),
        "aws_unavailable": _aws(503, "ServiceUnavailable", "The service is unavailable. Try your call again."),
        "aws_dependency": _aws(530, "InternalDependencyException", "An internal dependency failed"),
        "aws_internal": _aws(500, "InternalFailure", "An internal failure occurred."),
        "aws_no_endpoint": _aws(400, "ValidationError", "Endpoint x of account 111122223333 not found."),
        "aws_no_capacity": _aws(
            400,
            "ValidationError",
            "Inference Component has no capacity to process this request. ApplicationAutoScaling",
        ),
        "aws_validation": _aws(400, "ValidationError", "Invalid parameter"),
        "aws_denied": _aws(403, "AccessDeniedException", "User: arn:aws:sts::111122223333:x is not authorized"),
        "aws_expired": _aws(403, "ExpiredTokenException", "The security token included in the request is expired"),
        "aws_time": model_error(0, "Your invocation timed out while waiting for a response from container primary"),
    }
    own: ClassVar[dict[str, str]] = dict.fromkeys(
        ["wrong_id", "wrong_base64", "truncated_json", "list", "deep"], "work"
    )

    def __init__(self, port: int = 0, seconds: float = 0.0, bucket: str = "") -> None:
        super().__init__(port, seconds)
        self.bucket = bucket  # where an asynchronous endpoint writes
        self.spoil = ""  # what every background is not as it should be in: a kind of gpu_scenes.spoilt
        self.loaded: list[str] = []  # models in memory, those used least recently first

    @cached_property
    def _s3(self) -> Any:
        import boto3

        return boto3.session.Session().client("s3")

    def route(self, request: Request) -> Reply:
        if request.path == "/ping":
            return self.ask(lambda kind: Reply(200))
        if request.method != "POST":
            raise RefusedError(Reply(405))
        if request.path == "/invocations":
            return self._invoke(request.body, request.headers.get("Content-Type"))
        endpoint = re.fullmatch(r"/endpoints/([A-Za-z0-9-]+)/((?:async-)?invocations)", request.path)
        if endpoint is None:
            raise RefusedError(Reply(404))
        scope = SCOPE.fullmatch(request.headers.get("Authorization", ""))
        if scope is None or scope[3] != "sagemaker":
            raise RefusedError(_aws(403, "MissingAuthenticationTokenException", "Missing Authentication Token"))
        if endpoint[1] != ENDPOINT:
            raise RefusedError(self.refusals["aws_no_endpoint"])
        return self._wait(request) if endpoint[2] == "invocations" else self._start(request)

    def _invoke(self, body: bytes, media_type: str | None) -> Reply:
        """The worker's own answer."""
        asked = self._checked(body, media_type)
        if isinstance(asked, PurgeRequest):
            return self.ask(lambda kind: self._purged(asked))
        return self.work(asked.model, json.loads(body), lambda seconds, kind: self._painted(asked, seconds, kind))

    def _purged(self, asked: PurgeRequest) -> Reply:
        removed = [name for name in self.loaded if asked.model_id in (None, name)]
        self.loaded = [name for name in self.loaded if name not in removed]
        return json_reply(200, {"model_id": asked.model_id, "removed": removed, "remaining": self.loaded})

    def _checked(self, body: bytes, media_type: str | None) -> PaintRequest | PurgeRequest:
        try:
            if media_type != "application/json":
                raise Refusal("invalid_request", "the body must be JSON")
            asked = contract.read(body)
            if isinstance(asked, PaintRequest) and asked.model not in MODELS:
                raise Refusal("unknown_model", "unknown model")
        except Refusal as refusal:
            raise RefusedError(_reply(refusal)) from None
        return asked

    def _painted(self, asked: PaintRequest, seconds: float, kind: str | None) -> Reply:
        self.pause(seconds)
        self.loaded = [*(name for name in self.loaded if name != asked.model), asked.model]
        if asked.task == "background":
            return self._scene(asked)
        said = repr((asked.model, asked.prompt, asked.seed, asked.steps, asked.guidance, asked.image))
        image = self.picture(lambda: paint(said, (asked.width, asked.height), asked.format.upper()))
        answer = PaintAnswer(
            id=str(uuid.uuid4()) if kind == "wrong_id" else asked.id,
            model=asked.model,
            seed=asked.seed,
            width=asked.width,
            height=asked.height,
            format=asked.format,
            image=image,
            timings={"queue": 0.0, "paint": seconds, "encode": 0.0},
        ).to_json()
        if kind == "wrong_base64":
            answer = answer.replace(b'"image": "', b'"image": "!!!!')
        answer = {"truncated_json": answer[:-40], "list": b"[1]", "deep": b'{"a":' * 100_000}.get(kind or "", answer)
        return Reply(200, answer, {"Content-Type": "application/json"})

    def _scene(self, asked: PaintRequest) -> Reply:
        try:
            made = gpu_scenes.scene(asked)
        except Refusal as refusal:
            return _reply(refusal)
        made["image"] = self.picture(lambda: made["image"])
        about: dict[str, Any] = {"id": asked.id, "model": asked.model, "seed": asked.seed, "format": asked.format}
        answer = json.loads(PaintAnswer(**about, **made).to_json())
        return json_reply(200, gpu_scenes.spoilt(answer, self.spoil) if self.spoil else answer)

    def _wait(self, request: Request) -> Reply:
        """A real-time endpoint: the container's answer, its errors wrapped."""
        if len(request.body) > MAX_SYNC:
            raise RefusedError(_aws(413, "RequestEntityTooLargeException", "Request is too large"))
        try:
            reply = self._invoke(request.body, request.headers.get("Content-Type"))
        except RefusedError as refused:
            raise RefusedError(_wrapped(refused.reply)) from None
        return _wrapped(reply)

    def _start(self, request: Request) -> Reply:
        """An asynchronous endpoint: it takes the work at once and writes the outcome when it is there."""
        place = re.fullmatch(r"s3://([^/]+)/(.+)", request.headers.get("X-Amzn-SageMaker-InputLocation", ""))
        if place is None or request.headers.get("X-Amzn-SageMaker-Content-Type") != "application/json":
            raise RefusedError(self.refusals["aws_validation"])
        body = self._s3.get_object(Bucket=place[1], Key=place[2])["Body"].read()
        try:
            asked = self._checked(body, "application/json")
        except RefusedError as refused:
            reply = refused.reply
        else:
            assert isinstance(asked, PaintRequest)
            reply = self.work(asked.model, json.loads(body), lambda seconds, kind: self._painted(asked, 0, kind))
        if "x-amzn-ErrorType" in reply.headers:
            return reply
        name = uuid.uuid4().hex
        out, failed = f"async/out/{name}.out", f"async/failed/{name}-error.out"
        slow = reply.fault.seconds if reply.fault and reply.fault.kind == "slow" else 0
        if delay := self.seconds + slow:
            Thread(target=self._write, args=(reply, out, failed, delay), daemon=True).start()
        else:
            self._write(reply, out, failed)
        places = {"OutputLocation": out, "FailureLocation": failed}
        headers = {f"X-Amzn-SageMaker-{k}": f"s3://{self.bucket}/{v}" for k, v in places.items()}
        accepted = {"InferenceId": request.headers.get("X-Amzn-SageMaker-Inference-Id")}
        return replace(json_reply(202, accepted), headers=headers, fault=reply.fault)

    def _write(self, reply: Reply, out: str, failed: str, delay: float = 0) -> None:
        self.pause(delay)
        good = reply.status == 200
        body = reply.body if good else _told(reply.status, reply.body.decode()).encode()
        self._s3.put_object(Bucket=self.bucket, Key=out if good else failed, Body=body)


def _wrapped(reply: Reply) -> Reply:
    """A container's error as SageMaker hands it on: without its headers. What is in front of SageMaker is no such."""
    if reply.status == 200 or "x-amzn-ErrorType" in reply.headers or reply in EDGES.values():
        return reply
    return model_error(reply.status, reply.body.decode())
