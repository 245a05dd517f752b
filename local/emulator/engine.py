"""Runs the emulator's process: MiniStack, with periodic saving, metrics from logs, and an end tied to the parent's.

This is the only file that depends on MiniStack's internals (gate.py uses its signature arithmetic); it is written for
the version pinned in requirements.txt. The parent holds this process's standard input: when it closes, also because the
parent was killed, the process saves and stops.
"""

import asyncio
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack import app as emulator
from ministack.core import lambda_runtime
from ministack.core.persistence import save_all
from ministack.services import apigateway_v1, cloudwatch, cloudwatch_logs, lambda_svc, sqs, sts

from local.emulator.gate import Gate
from local.emulator.keys import Keys
from local.emulator.metrics import metrics

SAVE_EVERY = 5.0  # seconds; MiniStack itself saves only when it stops
KEPT_LOG_STREAMS = 200  # per function: each invocation writes a stream, and nothing else limits them
RETRY_AFTER = 5.0
arrival: ContextVar[float] = ContextVar("arrival")  # of the current request, in Unix seconds


class Engine:
    """MiniStack's application with the additions of the local run."""

    def __init__(self, logs: Path, keys: Keys) -> None:
        self.logs, self.keys = logs, keys
        self.gate = Gate(self, keys)
        self.changed = False
        self.function_logs: dict[str, logging.Logger] = {}

    def install(self) -> None:
        """Patch MiniStack: credentials, the wait for logs, and steps after logs, batches, requests and loading."""
        # MiniStack computes its own from public names.
        lambda_runtime.execution_credentials = lambda_svc.execution_credentials = self.credentials
        # By default each silent invocation waits 50 ms for a log line that is there before its answer.
        lambda_runtime.Worker._drain_stderr_bounded.__defaults__ = (0.004, 0.002, 0.250)
        lambda_svc._emit_lambda_logs = self._after(lambda_svc._emit_lambda_logs, self.on_logs)
        lambda_svc._run_sqs_batch = self._after(lambda_svc._run_sqs_batch, self.on_batch)
        apigateway_v1._build_lambda_event_v1 = arrived_when_it_arrived(apigateway_v1._build_lambda_event_v1)
        emulator._load_persisted_state = self._after(emulator._load_persisted_state, self.on_loaded)

    @staticmethod
    def _after(original: Callable[..., Any], then: Callable[..., None]) -> Callable[..., Any]:
        def both(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            then(*args, **kwargs)
            return result

        return both

    def credentials(self, config: dict[str, Any]) -> dict[str, str]:
        """Return the environment variables with which a function signs in its role."""
        function, role = str(config["FunctionArn"]), str(config.get("Role", ""))
        access_key_id, secret, token = self.keys.of_function(function, role)
        name, role_name = str(config.get("FunctionName", ""))[:64], role.rpartition("/")[2]
        session = {"UserId": f"{role_name}:{name}", "SecretAccessKey": secret, "SessionToken": token}
        session["Arn"] = f"arn:aws:sts::{function.split(':')[4]}:assumed-role/{role_name}/{name}"
        sts.register_session(access_key_id, session)
        self.gate.admit(access_key_id, secret, token)
        return {"AWS_ACCESS_KEY_ID": access_key_id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve MiniStack's application without its administration, and the list of function processes."""
        if scope["type"] == "http":
            if scope["path"] == "/_local/workers":
                return await self._answer(send, 200, self.workers())
            if scope["path"] in ("/_ministack/reset", "/_ministack/config"):
                return await self._answer(send, 403, {"message": "Closed in the local run."})
            arrival.set(time.time())
            self.changed = self.changed or scope["method"] not in ("GET", "HEAD", "OPTIONS")
        return await emulator.app(scope, receive, send)  # type: ignore[no-any-return]

    @staticmethod
    async def _answer(send: Any, status: int, body: Any) -> None:
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})

    @staticmethod
    def workers() -> dict[str, list[int]]:
        """Return the ids of the running function processes, by function."""
        found: dict[str, list[int]] = {}
        with lambda_runtime._lock:
            workers = [w for pool in lambda_runtime._workers.values() for w in pool]
        for worker in workers:
            if worker._proc is not None and worker._proc.poll() is None:
                found.setdefault(short_name(worker.config), []).append(worker._proc.pid)
        return found

    def on_logs(self, func: dict[str, Any], request_id: str, log: str, error: bool, duration_ms: int, **_: Any) -> None:
        """After an invocation, write its lines to a log file, its metrics to CloudWatch, an event to the parent."""
        config = func.get("config") or func
        name = short_name(config)
        self._logger(name).info("%s %d ms%s\n%s", request_id, duration_ms, " ERROR" if error else "", log)
        for metric in metrics(log):
            cloudwatch.record_metric(*metric)
        group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{config.get('FunctionName')}"
        streams = cloudwatch_logs._log_groups[group]["streams"] if group in cloudwatch_logs._log_groups else {}
        for stream in list(streams)[:-KEPT_LOG_STREAMS]:
            streams.pop(stream, None)
        event = {"function": name, "request_id": request_id, "ms": duration_ms, "error": error, "job_id": job_id(log)}
        with suppress(OSError):  # the parent may have ended
            os.write(1, json.dumps(event).encode() + b"\n")

    def _logger(self, name: str) -> logging.Logger:
        if name not in self.function_logs:
            handler = RotatingFileHandler(
                self.logs / f"{name}.log", maxBytes=5_000_000, backupCount=1, encoding="utf-8", errors="replace"
            )
            handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
            logger = logging.getLogger(f"function.{name}")
            logger.setLevel(logging.INFO)
            logger.propagate = False
            logger.addHandler(handler)
            self.function_logs[name] = logger
        return self.function_logs[name]

    @staticmethod
    def on_batch(_esm: Any, _func: Any, _event: Any, batch: list[dict[str, Any]], queue_url: str, *_: Any) -> None:
        """After a batch, make its failed messages visible soon; the deployed queue waits for 90 minutes."""
        failed = {message["id"] for message in batch}  # successful messages are no longer in the queue
        for message in sqs._queues.get(queue_url, {"messages": []})["messages"]:
            if message["id"] in failed:
                message["visible_at"] = time.time() + RETRY_AFTER

    def on_loaded(self) -> None:
        """After loading the last run's state, release the messages that its functions held, and admit their keys."""
        for function in lambda_svc._functions._data.values():
            self.credentials(function["config"])  # otherwise a signed link fails until its function runs
        for queue in sqs._queues._data.values():
            for message in queue["messages"]:
                if message.get("receive_count"):
                    message["visible_at"] = 0

    async def save_while_running(self) -> None:
        """Write the state to disk every SAVE_EVERY seconds, if a request may have changed it."""
        while True:
            await asyncio.sleep(SAVE_EVERY)
            if self.changed:
                self.changed = False
                save_all(emulator._build_persistence_save_dict())

    async def run(self, port: int) -> None:
        """Serve until standard input closes or a signal arrives."""
        loop, stop = asyncio.get_running_loop(), asyncio.Event()

        def follow_parent() -> None:
            sys.stdin.buffer.read()
            loop.call_soon_threadsafe(stop.set)

        threading.Thread(target=follow_parent, daemon=True).start()
        with suppress(NotImplementedError):  # Windows has no signal handlers on a loop
            loop.add_signal_handler(signal.SIGTERM, stop.set)
            loop.add_signal_handler(signal.SIGINT, stop.set)
        config = Config()
        config.bind = [f"127.0.0.1:{port}"]
        config.keep_alive_timeout = 75
        config.graceful_timeout = 1
        config.backlog = 512
        config.loglevel = "WARNING"
        saving = asyncio.create_task(self.save_while_running())

        async def told_to_end() -> None:
            await stop.wait()
            lambda_svc._poll_sqs = lambda: False  # no new job starts
            await asyncio.to_thread(lambda_runtime.reset)  # ends running functions, for which the server would wait

        await serve(self.gate, config, shutdown_trigger=told_to_end)
        saving.cancel()
        lambda_runtime.reset()  # functions started meanwhile, and the folders


def arrived_when_it_arrived(build: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Wrap `build` to give events API Gateway's request time: before the authorizer ran, not after."""

    def built(*args: Any, **kwargs: Any) -> dict[str, Any]:
        event = build(*args, **kwargs)
        event["requestContext"]["requestTimeEpoch"] = int(arrival.get(time.time()) * 1000)
        return event

    return built


def short_name(config: dict[str, Any]) -> str:
    """Return `api` for lambdas.handlers.api.handler."""
    parts = str(config.get("Handler", "")).split(".")
    return parts[-2] if len(parts) > 1 else str(config.get("FunctionName", "function"))


def job_id(log: str) -> str | None:
    """Return the last job id in a function's structured log lines, if any."""
    for line in reversed(log.splitlines()):
        if '"job_id"' in line:
            with suppress(ValueError, AttributeError):
                return str(json.loads(line)["job_id"])
    return None


def main() -> None:
    """Run the child process, whose settings all come from the environment."""
    os.umask(0o077)  # its files are readable by its user alone; function processes inherit this
    keys = Keys(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    engine = Engine(Path(os.environ["LOCAL_LOGS"]), keys)
    engine.install()
    asyncio.run(engine.run(int(os.environ["GATEWAY_PORT"])))


if __name__ == "__main__":
    main()
    os._exit(0)  # threads inside a killed function must not keep the process alive
