"""Starts the emulator in a process group of its own, and ends the whole group."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from local.emulator.keys import Keys, kept
from local.settings import ROOT

# The variables that emulator and functions inherit: no credentials, profile, AWS or emulator setting of the user.
INHERITED = re.compile(
    "PATH|HOME|USER|LANG|LC_.*|TZ|VIRTUAL_ENV|LD_LIBRARY_PATH|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|HTTPS?_PROXY"
    "|ALL_PROXY|SYSTEMROOT|SYSTEMDRIVE|COMSPEC|PATHEXT|WINDIR|USERPROFILE|APPDATA|LOCALAPPDATA",
    re.IGNORECASE,
)
ACCOUNT, REGION = "000000000000", "us-east-1"
STARTED_WITHIN, STOPPED_WITHIN = 30.0, 10.0


class EmulatorError(RuntimeError):
    """The emulator cannot start, or ended by itself."""


class Emulator:
    """One emulator on one data folder."""

    def __init__(self, data_dir: Path, environ: Mapping[str, str], on_event: Callable[[dict[str, Any]], None]) -> None:
        self.data_dir, self.environ, self.on_event = data_dir, environ, on_event
        self.log = data_dir / "logs" / "emulator.log"
        self.temporary = data_dir / "tmp"
        self.process: subprocess.Popen[bytes] | None = None
        self.lock: int | None = None
        self.port = 0
        self._keys: Keys | None = None

    @property
    def keys(self) -> Keys:
        """The credentials of the data folder, created if missing. Raises EmulatorError."""
        if self._keys is None:
            try:
                self._keys = kept(self.data_dir)
            except ValueError as unfit:
                raise EmulatorError(str(unfit)) from unfit
        return self._keys

    @property
    def url(self) -> str:
        """The emulator's URL for the AWS SDK."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the child process; `wait` returns when it answers. Raises EmulatorError."""
        (self.data_dir / "logs").mkdir(parents=True, exist_ok=True)
        self.lock = lock_folder(self.data_dir)
        self._keys = None  # they may have been replaced since the last run
        shutil.rmtree(self.temporary, ignore_errors=True)  # left by a killed run
        self.temporary.mkdir()
        self.port = self._port()
        group: dict[str, Any] = (
            {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
            if sys.platform == "win32"
            # the child inherits the lock, so the folder stays locked until the child has saved
            else {"start_new_session": True, "pass_fds": [self.lock]}
        )
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "local.emulator.engine"],
                cwd=ROOT,
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                **group,
            )
        threading.Thread(target=self._read_events, args=(self.process,), daemon=True).start()

    def wait(self) -> None:
        """Return when the emulator answers. Raises EmulatorError."""
        deadline = time.monotonic() + STARTED_WITHIN
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                break
            with contextlib.suppress(OSError), self.open("/_ministack/health"):
                return
            time.sleep(0.02)
        self.stop()
        raise EmulatorError(f"The emulator did not start; the reason is at the end of {self.log}.")

    def open(self, path: str, timeout: float = 60) -> Any:
        """Send a GET of the launcher to the emulator, bypassing the user's proxies."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(self.url + path, headers={"X-Local-Word": self.keys.word})  # noqa: S310
        return opener.open(request, timeout=timeout)

    def function_pids(self, function: str) -> list[int]:
        """Return the ids of the processes that serve a function, for instance `api`."""
        with self.open("/_local/workers") as answer:
            return list(json.load(answer).get(function, []))

    def stop(self) -> None:
        """Let the emulator save and end, then kill the rest of its group."""
        process, self.process = self.process, None
        if process is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()  # type: ignore[union-attr]
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOPPED_WITHIN)
            if sys.platform == "win32":
                process.kill()
            else:
                for sign in (signal.SIGTERM, signal.SIGKILL):
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(process.pid, sign)
                        time.sleep(0.05)
            process.wait()
            shutil.rmtree(self.temporary, ignore_errors=True)
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None

    def _port(self) -> int:
        """Return the last run's port if it is free, so that links made then still work."""
        kept = self.data_dir / "emulator.port"
        wanted = int(kept.read_text("utf-8")) if kept.is_file() and kept.read_text("utf-8").isdigit() else 0
        try:
            port = free_port(wanted)
        except OSError:
            port = free_port()
        kept.write_text(str(port), "utf-8")
        return port

    def _environment(self) -> dict[str, str]:
        temporary = str(self.temporary)
        inherited = {k: v for k, v in self.environ.items() if INHERITED.fullmatch(k)}
        return {
            **inherited,
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "PYTHONUTF8": "1",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "AUTH": "true",
            "PERSIST_STATE": "1",
            "S3_PERSIST": "1",
            "STATE_DIR": str(self.data_dir / "state"),
            "S3_DATA_DIR": str(self.data_dir / "s3"),
            "TMPDIR": temporary,
            "TEMP": temporary,
            "TMP": temporary,
            "LOCAL_LOGS": str(self.data_dir / "logs"),
            "LOG_LEVEL": "WARNING",
            "DOCKER_HOST": "unix:///nonexistent",  # Docker is not needed, and looking for it takes time
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "LAMBDA_ACCOUNT_CONCURRENCY": "100",
            "LAMBDA_WARM_TTL_SECONDS": "120",
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": REGION,
            "AWS_ACCESS_KEY_ID": self.keys.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.keys.secret,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _read_events(self, process: "subprocess.Popen[bytes]") -> None:
        for line in process.stdout or ():
            if line.startswith(b'{"function"'):
                with contextlib.suppress(ValueError):
                    self.on_event(json.loads(line))


def free_port(wanted: int = 0) -> int:
    """Return `wanted`, or any free port for 0. Raises OSError if it is taken."""
    with socket.socket() as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", wanted))
        return int(probe.getsockname()[1])


def lock_folder(folder: Path, patience: float = 3.0) -> int:
    """Lock the folder for this run, waiting `patience` seconds for a run that saves. Raises EmulatorError."""
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + patience
    while True:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as taken:
            if time.monotonic() > deadline:
                os.close(handle)
                raise EmulatorError(
                    f"Another run is using {folder}. End it first, or set DATA_DIR to another folder."
                ) from taken
            time.sleep(0.1)
        else:
            return handle
