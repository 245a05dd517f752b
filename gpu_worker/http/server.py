"""Serves the worker's routes: the paths that SageMaker and Prometheus require, and those for other deployments."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gpu_worker import contract
from gpu_worker.contract import NOT_EXACT, PaintAnswer, PaintRequest, PurgeRequest, Refusal
from gpu_worker.engine.engine import LEAVING, RESTART_SECONDS, Engine
from gpu_worker.engine.jobs import TOO_LATE, Done
from gpu_worker.engine.protocol import Models, base_of
from gpu_worker.http import logs
from gpu_worker.http.bodies import Body, ClientGone
from gpu_worker.http.encoding import encode
from gpu_worker.http.metrics import Metrics

JSON: Final = "application/json"
MAX_PURGE_BODY: Final = 4096
MAX_PURGES: Final = 8  # at once, at `/models/purge`

T = TypeVar("T")


@dataclass(slots=True)
class _Call:
    """The logged properties of a call to `/invocations`."""

    began: float
    asked: PaintRequest | None = None
    timings: dict[str, float] | None = None


class Worker:
    """The application. `leaving` is set when the process is about to end; from then on new requests are refused."""

    def __init__(
        self, engine: Engine, models: Models, metrics: Metrics, queue_size: int, timeout_seconds: float
    ) -> None:
        self.leaving = False
        self.inside = 0  # requests being read, waiting, painted or encoded
        self._engine = engine
        self._models = models
        self._metrics = metrics
        self._queue_size = queue_size
        self._timeout = timeout_seconds or math.inf
        self._pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="files")
        metrics.queue.set_function(lambda: engine.waiting)
        metrics.inside.set_function(lambda: self.inside)
        self.app = Starlette(
            routes=[
                Route("/ping", self.ping),
                Route("/invocations", self.invocations, methods=["POST"]),
                Route("/metrics", self.show_metrics),
                Route("/models", self.show_models),
                Route("/models/purge", self.purge, methods=["POST"]),
            ],
            exception_handlers={HTTPException: _no_such_route},
        )

    async def ping(self, _request: Request) -> Response:
        """Answer 200 while requests are accepted. Never waits for the GPU's thread."""
        well = self._engine.ready and not self._engine.lost and not self.leaving
        return Response(status_code=200 if well else 503)

    async def show_metrics(self, _request: Request) -> Response:
        known = [str(model["id"]) for model in self._models.known()]
        return Response(self._metrics.text(known, self._models.loaded()), media_type=CONTENT_TYPE_LATEST)

    async def show_models(self, _request: Request) -> Response:
        loaded = self._models.loaded()
        return _json({"object": "list", "data": self._models.known(), "loaded": loaded})

    async def purge(self, request: Request) -> Response:
        body, call = Body(request), _Call(time.monotonic())
        return await self._answer_of(call, self._asked_to_purge(body, call))

    async def _asked_to_purge(self, body: Body, call: _Call) -> Response:
        self._refuse_when_leaving()
        with self._place(MAX_PURGES):  # beyond the queue's places, so that a full worker can be purged
            return await self._purged(PurgeRequest.of(await body.read(MAX_PURGE_BODY)), body, call)

    async def invocations(self, request: Request) -> Response:
        call = _Call(time.monotonic())
        response = await self._answer_of(call, self._invoked(request, Body(request), call))
        _log(call, response.status_code)
        return response

    async def _answer_of(self, call: _Call, work: Coroutine[Any, Any, Response]) -> Response:
        """Return the answer of `work`, or the error answer."""
        try:
            return await work
        except (Refusal, ClientGone) as error:
            return self._refused(error, call)
        except Exception as error:  # noqa: BLE001 - the client gets no details
            said = [call.asked.prompt, call.asked.negative_prompt or ""] if call.asked else []
            logs.failure("a request failed", error, said, id=call.asked and call.asked.id)
            return self._refused(Refusal("failed", "the worker failed"), call)

    async def _invoked(self, request: Request, body: Body, call: _Call) -> Response:
        self._refuse_when_leaving()
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != JSON:
            raise Refusal("invalid_request", f"the body must be JSON, and its type {JSON}")
        with self._place():
            data = await body.read(contract.MAX_BODY)
            asked = await self._in_pool(contract.read, data)
            del data  # it may be large, and the waiting request does not need it
            if isinstance(asked, PurgeRequest):
                return await self._purged(asked, body, call)
            call.asked = asked
            seconds = self._seconds_left(call)
            done = await self._outcome(self._engine.put(asked, seconds), body, seconds)
            return await self._answered(asked, done, call)

    async def _answered(self, asked: PaintRequest, done: Done, call: _Call) -> Response:
        began = time.monotonic()
        answer = await self._in_pool(_encoded, asked, done)
        call.timings = {"queue": done.queue, "paint": done.paint, "encode": time.monotonic() - began}
        if done.load is not None:
            call.timings["load"] = done.load
        call.timings = {name: round(seconds, 4) for name, seconds in call.timings.items()}
        said = await self._in_pool(replace(answer, timings=call.timings).to_json)
        self._metrics.painted(base_of(asked.model), asked.task, done.paint, done.queue, done.painting.confidence)
        self._metrics.encoding.labels(asked.format).observe(call.timings["encode"])
        return Response(said, media_type=JSON)

    async def _purged(self, asked: PurgeRequest, body: Body, call: _Call) -> Response:
        removed, remaining = await self._outcome(self._engine.purge(asked.model_id), body, self._seconds_left(call))
        logs.say(logging.INFO, "purged", removed=removed, remaining=remaining)
        return _json({"model_id": asked.model_id, "removed": removed, "remaining": remaining})

    async def _outcome(self, future: Future[T], body: Body, seconds: float) -> T:
        """Wait for the engine's result. Raises Refusal after `seconds` and ClientGone; both cancel the work."""
        outcome = asyncio.wrap_future(future)
        gone = asyncio.ensure_future(body.gone())
        limit = None if seconds == math.inf else seconds
        try:
            both: set[asyncio.Future[Any]] = {outcome, gone}
            await asyncio.wait(both, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if outcome.done():
                return outcome.result()
            raise ClientGone if gone.done() else Refusal("timeout", TOO_LATE)
        finally:
            outcome.cancel()
            gone.cancel()

    def _refused(self, error: Refusal | ClientGone, call: _Call | None = None) -> Response:
        if isinstance(error, ClientGone):
            return Response(status_code=499)
        asked = call and call.asked
        if asked and base_of(asked.model) in {str(model["id"]) for model in self._models.known()}:
            self._metrics.refused(error, base_of(asked.model), asked.task)
        else:
            self._metrics.refused(error)
        wait = {} if error.retry_after is None else {"Retry-After": str(math.ceil(error.retry_after))}
        return Response(error.to_json(), error.status, wait, JSON)

    @contextmanager
    def _place(self, beyond: int = 0) -> Iterator[None]:
        """Hold one of the worker's places, which bound its memory. Raises Refusal if all are taken."""
        if self.inside >= self._queue_size + beyond:
            raise Refusal("busy", "too many requests are waiting", round(self._engine.seconds_ahead(), 1))
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    def _refuse_when_leaving(self) -> None:
        if self.leaving:
            raise Refusal("busy", LEAVING, RESTART_SECONDS)

    def _seconds_left(self, call: _Call) -> float:
        return max(0.0, self._timeout - (time.monotonic() - call.began))

    async def _in_pool(self, work: Any, *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)


def _encoded(asked: PaintRequest, done: Done) -> PaintAnswer:
    painting = done.painting
    exact = asked.task == "background"
    warnings = painting.warnings
    if exact and asked.format == "jpeg" and NOT_EXACT not in warnings:
        warnings = (*warnings, NOT_EXACT)
    height, width = painting.image.shape[:2]
    return PaintAnswer(
        id=asked.id,
        model=asked.model,
        seed=asked.seed if painting.seed is None else painting.seed,
        width=width,
        height=height,
        format=asked.format,
        image=encode(painting.image, asked.format, exact),
        warnings=warnings,
        mask=None if painting.mask is None else encode(painting.mask, "png"),
        confidence=painting.confidence,
        components=painting.components,
        at=painting.at,
    )


def _json(value: object) -> Response:
    return Response(json.dumps(value), media_type=JSON)


async def _no_such_route(_request: Request, error: Exception) -> Response:
    status, headers = (error.status_code, error.headers) if isinstance(error, HTTPException) else (500, None)
    said = {"code": "invalid_request", "message": f"no such {'method' if status == 405 else 'path'}"}
    return Response(json.dumps({"error": {**said, "retry_after": None}}), status, dict(headers or {}), JSON)


def _log(call: _Call, status: int) -> None:
    asked = call.asked
    said = {name: getattr(asked, name) for name in ("id", "task", "model", "width", "height")} if asked else {}
    logs.say(
        logging.INFO,
        "request",
        status=status,
        seconds=round(time.monotonic() - call.began, 4),
        **said,
        **(call.timings or {}),
    )
