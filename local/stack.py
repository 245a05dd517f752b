"""Runs emulator, deployed template and front as one context manager, also for tests."""

import contextlib
import errno
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from local import webhook_secrets
from local.banner import Console, banner
from local.emulator import keys, package
from local.emulator.emulator import REGION, Emulator, EmulatorError
from local.emulator.template import Deployed, Deployer
from local.front.bedrock import PREFIX, BedrockPassThrough, token
from local.front.doors import MAX_READ, Doors
from local.front.front import Front
from local.front.gateway import Gateway
from local.settings import ROOT, Settings, SettingsError

TEMPLATES = ROOT / "local" / "templates"


class Stack:
    """`with Stack(settings) as stack:` serves the API at `stack.url` until the block ends."""

    def __init__(
        self, settings: Settings, *, quiet: bool = True, templates: Path = TEMPLATES, source: Path = ROOT / "lambdas"
    ) -> None:
        self.settings, self.templates, self.source = settings, templates, source
        self.console = Console(quiet)
        self.emulator = Emulator(settings.data_dir, settings.user, self.console.event)
        self.bedrock: BedrockPassThrough | None = None
        self.deployed: Deployed | None = None
        self.port = settings.port
        self._close: Callable[[], None] = lambda: None

    @property
    def url(self) -> str:
        """The URL of the API."""
        return f"http://localhost:{self.port}"

    @property
    def emulator_url(self) -> str:
        """The URL of the AWS endpoints behind the API."""
        return self.emulator.url

    @property
    def credentials(self) -> dict[str, str]:
        """The arguments of a boto3 client with all permissions on the emulator."""
        known = self.emulator.keys
        return {
            "aws_access_key_id": known.access_key_id,
            "aws_secret_access_key": known.secret,
            "region_name": REGION,
        }

    @property
    def banner(self) -> str:
        """The text that describes this run to its user."""
        return banner(self.settings, self.url, self.deployed.not_served if self.deployed else ())

    def function_pids(self, function: str) -> list[int]:
        """See Emulator.function_pids."""
        return self.emulator.function_pids(function)

    def start(self) -> None:
        """Start everything; returns when the API listens. Raises EmulatorError, SettingsError and DeployError."""
        try:
            keys.private_folder(self.settings.data_dir)
        except OSError as error:
            raise EmulatorError(
                f"DATA_DIR must be a folder that can be written; {self.settings.data_dir}: {error.strerror}."
            ) from error
        except ValueError as shared:
            raise SettingsError(
                f"DATA_DIR must be a folder of your own; {self.settings.data_dir}: {shared}."
            ) from shared
        listeners = listen(self.port)
        self.port = listeners[0].getsockname()[1]
        try:
            self.emulator.start()
            environment = {**self.settings.functions, "WEBHOOK_SECRET": self._webhook_secrets()}
            if self.settings.bedrock_passthrough:
                word = token(self.settings.data_dir)
                self.bedrock = BedrockPassThrough(word, self.settings.user)
                environment["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"] = f"http://127.0.0.1:{self.port}{PREFIX}{word}"
            code = package.build(self.source, self.settings.data_dir / "code")
            self.emulator.wait()
            self.deployed = Deployer(self.emulator.url, self.emulator.keys).deploy(self.templates, code, environment)
            self._serve(listeners, self.deployed)
        except BaseException:
            for listener in listeners:
                listener.close()
            self.emulator.stop()
            raise
        threading.Thread(target=self._warm, daemon=True).start()

    def stop(self) -> None:
        """Save the state and end everything that was started."""
        self._close()
        self._close = lambda: None
        self.emulator.stop()

    def restart(self) -> None:
        """Stop, and start again on the same data and port."""
        self.stop()
        self.start()

    def ended(self) -> bool:
        """Return whether the emulator ended by itself."""
        return self.emulator.process is not None and self.emulator.process.poll() is not None

    def __enter__(self) -> "Stack":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _webhook_secrets(self) -> str:
        try:
            return webhook_secrets.complete(self.settings.data_dir, self.settings.functions)
        except ValueError as unfit:
            raise SettingsError(str(unfit)) from unfit

    def _doors(self) -> Doors:
        given = self.settings.functions
        origins = given.get("CORS_ALLOW_ORIGINS", "").split(",")
        keyed = given["REQUIRE_API_KEY"] == "1"
        return Doors(self.port, self.settings.hosts, [o.strip() for o in origins if o.strip()], keyed=keyed)

    def _serve(self, listeners: list[socket.socket], deployed: Deployed) -> None:
        import uvicorn

        from local.front.protocol import Protocol

        log = logging.getLogger("uvicorn.error")
        log.handlers = [logging.FileHandler(self.settings.data_dir / "logs" / "front.log", "w", "utf-8", delay=True)]
        log.setLevel(logging.WARNING)
        log.propagate = False
        front = Front(
            f"{self.emulator.url}/_aws/execute-api/{deployed.api_id}",
            deployed.stage,
            self.emulator.keys.word,
            Gateway(deployed.service),
            self._doors(),
            self.bedrock,
            self.console.request,
        )
        config = uvicorn.Config(
            front,
            http=Protocol,
            ws="none",
            h11_max_incomplete_event_size=MAX_READ,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            date_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": listeners}, daemon=True)
        thread.start()

        def close() -> None:
            server.should_exit = True
            thread.join(5)
            for listener in listeners:
                listener.close()

        self._close = close
        while not server.started and thread.is_alive():
            time.sleep(0.005)

    def _warm(self) -> None:
        """Start the api function and its authorizer before the first request needs them."""
        if self.deployed is not None:
            for path in ("/health", "/v1/models"):
                with contextlib.suppress(OSError):
                    self.emulator.open(f"/_aws/execute-api/{self.deployed.api_id}/{self.deployed.stage}{path}").close()


def listen(port: int) -> list[socket.socket]:
    """Return the front's sockets, listening on both loopback addresses. Raises EmulatorError if the port is taken."""
    first = _listen(socket.AF_INET, "127.0.0.1", port)
    try:
        return [first, _listen(socket.AF_INET6, "::1", first.getsockname()[1])]
    except EmulatorError:
        first.close()
        if port:
            raise
        return listen(0)  # the free port of one address was taken on the other
    except OSError:  # this machine has no IPv6
        return [first]


def _listen(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    # with IPPROTO_TCP asyncio disables Nagle's algorithm; with 0 it does not, and each answer waits 40 ms
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if sys.platform == "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
        listener.listen(512)
    except OSError as taken:
        listener.close()
        if family == socket.AF_INET6 and taken.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise EmulatorError(
            f"Port {port} is taken. End what uses it, or choose another: APP_PORT={port + 1} make run"
        ) from taken
    return listener
