"""A real Chromium without a window, driven over a pipe by the DevTools protocol; needs no package."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MISSING = (
    "These tests drive a real browser. Install Chromium (Debian, Ubuntu: apt-get install chromium) or Google Chrome, "
    "or set CHROME to its path."
)
SWITCHES = """
    --headless --disable-gpu --disable-quic --no-first-run --no-default-browser-check --disable-background-networking
    --disable-component-update --disable-sync --disable-extensions --disable-dev-shm-usage --no-proxy-server
    --remote-debugging-pipe
"""
# The protocol is spoken on the descriptors 3 and 4.
PLACE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
PATIENCE = 60.0


def found() -> str:
    """The browser's program. Raises FileNotFoundError with a sentence for who runs the tests."""
    mac = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
    for name in (os.environ.get("CHROME", ""), *NAMES, mac):
        if name and (path := shutil.which(name)):
            return path
    raise FileNotFoundError(MISSING)


class Browser:
    """`with Browser(folder) as browser: page = browser.open(url)`. `names` resolve to this machine's 127.0.0.1."""

    def __init__(self, folder: Path, *names: str) -> None:
        rules = ", ".join(f"MAP {name} 127.0.0.1" for name in names)
        self.words = [found(), *SWITCHES.split(), f"--user-data-dir={folder}", f"--host-resolver-rules={rules}"]
        if os.geteuid() == 0:
            self.words.append("--no-sandbox")  # root may not start it otherwise
        self.words.append("about:blank")
        self.ids = 0
        self.waiting: dict[int, queue.Queue[dict[str, Any]]] = {}
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Browser:
        theirs, self.ours = os.pipe()
        told, tell = os.pipe()
        shim = [sys.executable, "-c", PLACE, str(theirs), str(tell)]
        self.process = subprocess.Popen([*shim, *self.words], pass_fds=(theirs, tell), stderr=subprocess.DEVNULL)
        os.close(theirs)
        os.close(tell)
        threading.Thread(target=self._read, args=(told,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.call("Browser.close")
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.ours)

    def _read(self, told: int) -> None:
        with os.fdopen(told, "rb") as stream:
            rest = b""
            while chunk := stream.read1(65536):
                *whole, rest = (rest + chunk).split(b"\0")
                for message in map(json.loads, whole):
                    if "id" in message:
                        self.waiting.pop(message["id"]).put(message)
                    else:
                        self.events.append(message)

    def call(self, method: str, session: str | None = None, **params: Any) -> Any:
        """The result of a command of the protocol."""
        self.ids += 1
        answer = self.waiting[self.ids] = queue.Queue()
        message = {"id": self.ids, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self.ours, json.dumps(message).encode() + b"\0")
        got = answer.get(timeout=PATIENCE)
        assert "error" not in got, got
        return got["result"]

    def open(self, url: str) -> Page:
        """The page of an address, once it has loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        for domain in ("Page", "Log", "Runtime"):
            self.call(f"{domain}.enable", session)
        page.go(url)
        return page


class Page:
    """One tab."""

    def __init__(self, browser: Browser, session: str) -> None:
        self.browser, self.session = browser, session

    def go(self, url: str) -> None:
        """Returns when the document at `url` has loaded."""
        self.browser.call("Page.navigate", self.session, url=url)
        ready = 'new Promise(done => document.readyState === "complete" ? done() : addEventListener("load", done))'
        self.run(ready)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression, awaited."""
        got = self.browser.call(
            "Runtime.evaluate", self.session, expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in got, got["exceptionDetails"]
        return got["result"].get("value")

    def complaints(self) -> list[str]:
        """What the browser has written to the page's console by itself."""
        logged = [e for e in self.browser.events if e["method"] == "Log.entryAdded" and e["sessionId"] == self.session]
        return [entry["params"]["entry"]["text"] for entry in logged]
