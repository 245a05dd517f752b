"""Every way in for a picture, with its permitted outcomes; any other outcome is an error."""

from __future__ import annotations

import base64
import io
import logging
import math
import resource
import time
import warnings
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass, field

from lambdas.adapters.images.compositing import PillowCompositor
from lambdas.adapters.images.pictures import PillowPictures
from lambdas.domain.backgrounds import Canvas, Unplaceable
from lambdas.domain.failures import ProviderFailure
from tests.api.client import Client
from tests.gpu_worker.background.products import draw
from tests.pictures.mutants import mutant
from tests.support.fakes import FakeProvider, FakeProviders, Fakes
from tests.support.forms import form

MAX_SECONDS = 2.0  # of CPU
MAX_MEMORY = 256.0  # MB beyond what the process had

LATER = {"Prefer": "respond-async"}
REFUSED = (400, 413, 415)
ANSWERS = ("bad_answer", "invalid_request")
PHOTO = PillowPictures().take(draw(0).file(alpha=True))[0]
PLAIN = PillowPictures().take(draw(0).file(alpha=False))[0]
DROPS = PillowCompositor()


@dataclass
class Ways:
    """The ways, with a service of fakes behind them that is thrown away now and then."""

    used: int = 0
    client: Client | None = None

    def service(self) -> Client:
        self.used += 1
        if self.client is None or self.used % 300 == 0:
            made = Fakes(
                pictures=PillowPictures(), providers=FakeProviders(bedrock=FakeProvider(), gemini=FakeProvider())
            )
            self.client = Client(made)
        return self.client

    def form(self, data: bytes) -> None:
        body, head = form({}, data)
        self._taken("/generate", body, head)

    def in_base64(self, data: bytes) -> None:
        sent = {"prompt": "x", "provider": "gemini", "reference_image": base64.b64encode(data).decode()}
        self._taken("/unified/generate", sent, {})

    def data_uri(self, data: bytes) -> None:
        self._taken("/v1/backgrounds", {"image": f"data:image/jpg;base64,{base64.b64encode(data).decode()}"}, {})

    def _taken(self, path: str, body: object, head: dict[str, str]) -> None:
        with redirect_stdout(io.StringIO()):
            answer = self.service()("POST", path, body, head | LATER)
        if answer.status != 202 and answer.status not in REFUSED:
            raise AssertionError(f"{answer.status} {answer.body!r}")

    def picture(self, data: bytes) -> None:
        """What a provider painted."""
        _known(lambda: PillowPictures().fit(data, (64, 64), "png"))

    def scene(self, data: bytes) -> None:
        _known(lambda: DROPS.compose(data, PHOTO, None, Canvas(), "png"))

    def cutout(self, data: bytes) -> None:
        _known(lambda: DROPS.check_cutout(PLAIN, data))

    def composed(self, data: bytes) -> None:
        _known(lambda: DROPS.accept(data, data, PHOTO, Canvas(), "png"))

    def worker(self, data: bytes) -> None:
        """The GPU worker's own."""
        from gpu_worker.contract import Refusal
        from gpu_worker.pipelines.pictures import fitted

        try:
            fitted(data, 64, 64)
        except Refusal as refused:
            if refused.code not in ("invalid_request", "too_large"):
                raise

    def all(self) -> dict[str, Callable[[bytes], None]]:
        return {
            "form": self.form,
            "base64": self.in_base64,
            "data URI": self.data_uri,
            "a provider's picture": self.picture,
            "a provider's scene": self.scene,
            "a provider's cut-out": self.cutout,
            "a provider's composition": self.composed,
            "the GPU worker": self.worker,
        }


def _known(work: Callable[[], object]) -> None:
    try:
        work()
    except Unplaceable:
        return
    except ProviderFailure as failure:
        if failure.code not in ANSWERS:
            raise


@dataclass
class Found:
    """What came of it by one way. `seconds`: the longest, of CPU; `memory`: MB, the most of all ways until then."""

    count: int = 0
    seconds: float = 0.0
    total: float = 0.0
    memory: float = 0.0
    faults: list[str] = field(default_factory=list)


def tried(numbers: Iterable[int], lot: int, name: str, most_seconds: float = math.inf) -> Found:
    """All these mutants by one way, each in so many seconds of CPU."""
    way, found = Ways().all()[name], Found()
    before = _peak()
    for number in numbers:
        seed, data = mutant(number, lot)
        began = time.process_time()
        try:
            way(data)
        except Exception as error:
            found.faults.append(f"{number} ({seed}): {type(error).__name__} {error!s:.200}")
        took = time.process_time() - began
        found.count, found.total = found.count + 1, found.total + took
        found.seconds = max(found.seconds, took)
        grown = _peak() - before
        if took > most_seconds:
            found.faults.append(f"{number} ({seed}): {took:.1f} s of CPU")
        if grown > MAX_MEMORY and found.memory <= MAX_MEMORY:
            found.faults.append(f"{number} ({seed}): {grown:.0f} MB")
        found.memory = max(found.memory, grown)
    return found


def in_process(task: tuple[int, int, str]) -> tuple[str, Found]:
    """`tried` in a process of its own: the number of mutants, their lot and the way."""
    warnings.simplefilter("error")
    logging.disable(logging.CRITICAL)
    count, lot, name = task
    return name, tried(range(count), lot, name, MAX_SECONDS)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
