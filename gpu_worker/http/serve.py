"""Runs the server process: serves until a signal or the loss of the GPU, answers the accepted requests, then ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Final, NoReturn

import uvicorn

from gpu_worker.engine.engine import Engine
from gpu_worker.engine.protocol import Models
from gpu_worker.http import logs
from gpu_worker.http.metrics import Metrics
from gpu_worker.http.server import Worker
from gpu_worker.settings import Settings

KEEP_ALIVE: Final = 75  # seconds; longer than a load balancer's 60
GOODBYE_SECONDS: Final = 2  # for sending the last answers
TICK: Final = 0.05
WATCH_SECONDS: Final = 0.5


class _Server(uvicorn.Server):
    """No signal handlers of uvicorn: they close the port at once, but `/ping` must answer 503 until the end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(models: Models, settings: Settings) -> int:
    """Serve until SIGTERM, SIGINT or the loss of the GPU. Returns the exit status, 1 after a failure."""
    loop, leave = asyncio.get_running_loop(), asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: loop.call_soon_threadsafe(leave.set))
    metrics = Metrics()
    engine = Engine(models, metrics, settings.buckets)
    engine.on_lost = lambda: loop.call_soon_threadsafe(leave.set)
    worker = Worker(engine, models, metrics, settings.queue_size, settings.generation_timeout_seconds)
    failed: list[BaseException] = []

    def started(loaded: Future[None]) -> None:
        if error := loaded.exception():
            failed.append(error)
            logs.failure("a model to begin with could not be loaded", error)
            loop.call_soon_threadsafe(leave.set)
        else:
            logs.say(logging.INFO, "ready", models=models.loaded(), buckets=settings.buckets)

    engine.start(settings.preload_models or (settings.default_model,)).add_done_callback(started)
    server = _Server(
        uvicorn.Config(
            worker.app,
            host=settings.bind_host,
            port=settings.sagemaker_bind_to_port,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=GOODBYE_SECONDS,
        )
    )
    serving = asyncio.ensure_future(server.serve())
    watching = asyncio.ensure_future(_watch(engine, settings.hang_seconds))
    leaving = asyncio.ensure_future(leave.wait())
    try:
        await asyncio.wait({serving, leaving}, return_when=asyncio.FIRST_COMPLETED)
        worker.leaving = True
        logs.say(logging.INFO, "leaving", inside=worker.inside)
        await _empty(worker, settings.drain_seconds)
        engine.give_up()
        engine.stop()
        await _empty(worker, GOODBYE_SECONDS)
        server.should_exit = True
        await serving
    finally:
        leaving.cancel()
        watching.cancel()
    engine.join(1)
    return 1 if engine.lost or failed else 0


async def _watch(engine: Engine, grace: float) -> None:
    """Look for a step that hangs, every WATCH_SECONDS, until cancelled."""
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        engine.watch(grace)


async def _empty(worker: Worker, seconds: float) -> None:
    """Wait until no request is inside the worker, at most `seconds`."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while worker.inside:
                await asyncio.sleep(TICK)


def run(models: Models, settings: Settings) -> NoReturn:
    """Serve, then end the process."""
    status = asyncio.run(serve(models, settings))
    logging.shutdown()
    os._exit(status)  # not sys.exit, which would wait for a GPU thread that is in the middle of a long step
