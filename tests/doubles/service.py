"""The common parts of the doubles of HTTP services: the server, the ledger of paid calls, and faults on demand.

A double subclasses FakeService and answers in `route`: a paid call through `work`, a free question through `ask`, a
picture that is downloaded through `download`. A caller that does not say who it is gets an edge's challenge. In a test:
`with FakeX() as fake: fake.inject("throttle"); ...`.
`GET /_ledger` shows the calls; `POST /_faults {"fault": "slow", "seconds": 3, "times": 2, "at": "ask"}` injects,
without `times` for ever; `DELETE /_faults` and `DELETE /_ledger` clear.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Condition, Event, Lock, Thread
from typing import Any, ClassVar, Self

from tests.doubles.edges import CODINGS, EDGES, coded
from tests.doubles.service_wire import Fault, RefusedError, Reply, Request, Server, json_reply

__all__ = ["Call", "FakeService", "RefusedError", "Reply", "Request", "json_reply", "paint", "spoilt"]

# Faults of the wire. `reset` comes before any work is done, `lost_response` after the work was paid for.
WIRE = frozenset({"hang", "drip", "drip_headers", "reset", "lost_response", "reset_body", "short_body"})
# Faults of the picture itself.
PICTURE = frozenset({"truncated_image", "wrong_size", "html", "empty_image", "huge_image"})
COMMON = WIRE | PICTURE | {"slow"}


@dataclass(frozen=True)
class Call:
    """One call: `stage` is work, ask, image or refused; `paid` where the service may charge for it, and then `usd`."""

    stage: str
    model: str
    seed: int | None
    at: float
    paid: bool
    fault: str | None
    body: dict[str, Any]
    usd: float = 0.0


class FakeService:
    """The server, on 127.0.0.1. `seconds` is what a good picture takes."""

    # The service's own error answers, by fault: at the place they are injected, they come instead of a good one.
    refusals: ClassVar[dict[str, Reply]] = {}
    # Further faults of the service's own, which its `route` looks after, and where each is at home.
    own: ClassVar[dict[str, str]] = {}

    def __init__(self, port: int = 0, seconds: float = 0.0) -> None:
        self.calls: list[Call] = []
        self.connections = 0
        self.seconds = seconds
        self.closing = Event()
        self.lock = Lock()
        self._ahead = 0.0
        self._moved = Condition()
        self._faults: list[Fault] = []
        self._server = Server(port, self)

    def route(self, request: Request) -> Reply:
        """The answer to a request. Raises RefusedError for one that the service would not take."""
        raise NotImplementedError

    def answered(self, request: Request) -> Reply:
        """As `route`, for a caller that says who it is."""
        if request.headers.get("User-Agent"):
            return self.route(request)
        self.record("refused", request.path, {}, paid=False, fault="nameless")
        return EDGES["challenge"]

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.closing.set()
        self.skip(0.0)
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def paid(self) -> list[Call]:
        return [call for call in self.calls if call.paid]

    @property
    def works(self) -> list[Call]:
        """The calls that would have been paid for had they gone well."""
        return [call for call in self.calls if call.stage in ("work", "refused")]

    @classmethod
    def faults(cls) -> frozenset[str]:
        return frozenset({*COMMON, *cls.refusals, *cls.own})

    def inject(self, kind: str, times: int | None = 1, seconds: float = 0.02, at: str | None = None) -> None:
        """Fail the next `times` calls (`None`: all) of the stage `at` so.

        `seconds`: how slow, or between two bytes of a drip. Without `at`, faults of a picture are met where pictures
        are, a service's own where they are at home, and all others at the paid call.
        """
        if kind not in self.faults() | EDGES.keys() | CODINGS:
            raise ValueError(f"unknown fault {kind!r}; known are: {', '.join(sorted(self.faults()))}")
        at = at or self.own.get(kind) or ("image" if kind in PICTURE else "work")
        with self.lock:
            self._faults.append(Fault(kind, at, times, seconds))

    def clear(self) -> None:
        with self.lock:
            self._faults.clear()

    def fault_at(self, stage: str) -> Fault | None:
        """Take the next fault that waits at this stage."""
        with self.lock:
            fault = next((f for f in self._faults if f.at == stage), None)
            if fault and fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
            return fault

    def price(self, model: str, body: dict[str, Any], kind: str | None) -> float:
        """What such a call is charged, in USD, if it is: `kind` is that of its fault."""
        return 0.0

    def record(self, stage: str, model: str, body: dict[str, Any], *, paid: bool, fault: str | None) -> None:
        usd = self.price(model, body, fault) if paid else 0.0
        with self.lock:
            self.calls.append(Call(stage, model, body.get("seed"), self.now(), paid, fault, body, usd))

    def now(self) -> float:
        return time.time() + self._ahead

    def skip(self, seconds: float) -> None:
        """Let that much of the service's own time pass at once."""
        with self._moved:
            self._ahead += seconds
            self._moved.notify_all()

    def pause(self, seconds: float) -> None:
        end = self.now() + seconds
        with self._moved:
            self._moved.wait_for(lambda: self.closing.is_set() or self.now() >= end, seconds)

    def work(self, model: str, body: dict[str, Any], make: Callable[[float, str | None], Reply]) -> Reply:
        """A paid call. `make` is given the seconds that the work should take and the kind of the fault, if any."""
        fault = self.fault_at("work")
        kind = fault.kind if fault else None
        refusal = self.refusals.get(kind or "") or EDGES.get(kind or "")
        self.record("work", model, body, paid=refusal.paid if refusal else kind != "reset", fault=kind)
        if refusal:
            return refusal
        if kind == "reset":
            return Reply(fault=fault)
        reply = make(self.seconds + (fault.seconds if fault and kind == "slow" else 0), kind)
        return replace(coded(reply, kind), fault=fault)

    def ask(self, make: Callable[[str | None], Reply]) -> Reply:
        """A free question about work. `make` is given the kind of the fault, if any."""
        return self._free("ask", make)

    def download(self, make: Callable[[], bytes], media_type: str = "image/png") -> Reply:
        """A picture behind an address."""
        return self._free("image", lambda kind: Reply(200, spoilt(make(), kind), {"Content-Type": media_type}))

    def picture(self, make: Callable[[], bytes]) -> bytes:
        """A picture within an answer."""
        fault = self.fault_at("image")
        return spoilt(make(), fault.kind if fault else None)

    def _free(self, stage: str, make: Callable[[str | None], Reply]) -> Reply:
        fault = self.fault_at(stage)
        kind = fault.kind if fault else None
        self.record(stage, "", {}, paid=False, fault=kind)
        if refusal := self.refusals.get(kind or "") or EDGES.get(kind or ""):
            return refusal
        if fault and kind == "slow":
            self.pause(fault.seconds)
        return replace(coded(make(kind), kind), fault=fault)


def paint(said: str, size: tuple[int, int], fmt: str = "PNG") -> bytes:
    """A picture whose bytes depend on these alone."""
    from PIL import Image, ImageOps

    ink = hashlib.sha256(said.encode()).digest()
    shade = Image.radial_gradient("L").resize(size)
    picture = ImageOps.colorize(shade, tuple(ink[:3]), tuple(ink[3:6]), mid=tuple(ink[6:9]))
    out = io.BytesIO()
    picture.save(out, fmt, **({"compress_level": 1} if fmt == "PNG" else {}))
    return out.getvalue()


def spoilt(image: bytes, kind: str | None) -> bytes:
    """The picture as the fault would have it."""
    if kind == "truncated_image":
        return image[: len(image) // 2]
    if kind == "html":
        return b"<html><body>Sign in to the network</body></html>"
    if kind == "empty_image":
        return b""
    if kind == "huge_image":
        return image + bytes(41_000_000)
    if kind != "wrong_size":
        return image
    from PIL import Image

    out = io.BytesIO()
    with Image.open(io.BytesIO(image)) as picture:
        picture.resize((600, 333)).save(out, picture.format)
    return out.getvalue()
