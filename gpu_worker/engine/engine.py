"""The engine: one thread that has the GPU to itself and paints what waits, as many at a time as go together.

Nothing waits for company: when the GPU is free, what is there is painted, the oldest request and those of its shape.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from math import inf
from threading import Condition, Thread
from typing import Any, Final, TypeVar

from gpu_worker.contract import PaintRequest, Refusal
from gpu_worker.engine.batch_runner import BatchRunner
from gpu_worker.engine.buckets import Buckets
from gpu_worker.engine.jobs import Done, Job, settle
from gpu_worker.engine.protocol import DeviceLost, Model, Models, Shape, base_of
from gpu_worker.http import logs
from gpu_worker.http.metrics import Metrics

RESTART_SECONDS: Final = 30.0  # when to try again at a worker that is being replaced
SLOWEST_GUESS: Final = 60.0
LEAVING: Final = "this worker is being replaced"

T = TypeVar("T")


class Engine:
    """Takes requests from any thread; whoever no longer wants an image cancels its future."""

    def __init__(
        self, models: Models, metrics: Metrics, buckets: Sequence[int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.ready = False  # the models to begin with are loaded
        self.lost: BaseException | None = None  # why the GPU cannot be used any more
        self.on_lost: Callable[[], object] = lambda: None
        self._models = models
        self._buckets = Buckets(buckets)
        self._painter = BatchRunner(models, metrics, self._buckets, clock)
        self._clock = clock
        self._changed = Condition()
        self._waiting: deque[Job] = deque()
        self._painting: Sequence[Job] = ()
        self._calls: deque[tuple[Future[Any], Callable[[], object]]] = deque()
        self._ending = False
        self._due = inf  # when what is being painted ends at the latest, if its step does
        self._thread = Thread(target=self._live, name="gpu", daemon=True)

    def start(self, preload: Sequence[str] = ()) -> Future[None]:
        """Begin, with those models loaded first; the future fails where one cannot be."""

        def load() -> None:
            for model_id in preload:
                self._painter.load(model_id)
            self.ready = True

        loaded = self._call(load)
        self._thread.start()
        return loaded

    def put(self, request: PaintRequest, seconds: float = inf) -> Future[Done]:
        """Have it painted within that time. Raises Refusal, and so does the future."""
        now = self._clock()
        job = Job(request, now, now + seconds)
        with self._changed:
            self._refuse_when_leaving()
            self._waiting.append(job)
            self._changed.notify()
        job.future.add_done_callback(lambda _: self._drop(job))
        return job.future

    def purge(self, model_id: str | None) -> Future[tuple[list[str], list[str]]]:
        """Take models out of memory, once the batch being painted is done: the ids removed and remaining."""

        def purge() -> tuple[list[str], list[str]]:
            self._buckets.forget()
            return self._models.purge(model_id)

        return self._call(purge)

    @property
    def waiting(self) -> int:
        """Requests that wait for the GPU."""
        return len(self._waiting)

    def seconds_ahead(self) -> float:
        """About how long the work in hand will take."""
        return min(SLOWEST_GUESS, max(1.0, self._painter.pace * (len(self._waiting) + len(self._painting))))

    def give_up(self) -> None:
        """Refuse everything in hand; what is being painted ends at its next step."""
        with self._changed:
            jobs, calls = [*self._waiting, *self._painting], [*self._calls]
            self._calls.clear()
        now = self._clock()
        for job in jobs:
            if job.wanted(now):
                job.refuse(_leaving())
        for future, _ in calls:
            settle(future, error=_leaving())

    def watch(self, grace: float) -> None:
        """Take the GPU for lost where a step goes on that many seconds after all of its requests' time was over.

        A step looks at the time when it ends, so that such a one hangs: nothing would ever be painted again.
        """
        with self._changed:
            hangs = not self.lost and self._clock() > self._due + grace
        if hangs:
            self._lose(TimeoutError(f"a step has not ended {grace:g} s after its requests' time"))

    def stop(self) -> None:
        """Paint what waits, take nothing new, and end; returns at once."""
        with self._changed:
            self._ending = True
            self._changed.notify()

    def join(self, seconds: float) -> None:
        """Wait for the end."""
        self._thread.join(seconds)

    def _drop(self, job: Job) -> None:
        """What has its outcome waits no longer, and its picture takes no more memory."""
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)

    def _call(self, work: Callable[[], T]) -> Future[T]:
        """Run it on the engine's thread, between batches and before whatever waits."""
        future: Future[T] = Future()
        with self._changed:
            self._refuse_when_leaving()
            self._calls.append((future, work))
            self._changed.notify()
        return future

    def _refuse_when_leaving(self) -> None:
        if self.lost or self._ending:
            raise _leaving()

    def _lose(self, error: BaseException) -> None:
        logs.failure("the GPU is lost", error)
        with self._changed:
            if self.lost:
                return
            self.lost = error
        self.give_up()
        self.on_lost()

    # What follows runs on the engine's own thread.

    def _live(self) -> None:
        try:
            while work := self._next():
                work()
        except BaseException as error:  # noqa: BLE001 - nobody else would hear the thread's last word
            self._lose(error)

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            self._painting, self._due = (), inf
            self._changed.wait_for(lambda: self._calls or self._waiting or self._ending or self.lost)
            if self.lost:  # a step that was given up as hanging has ended after all
                return None
            if self._calls:
                return partial(_call, *self._calls.popleft())
            if not self._waiting:
                return None
            first = self._waiting.popleft()
            self._painting = (first,)
        return partial(self._turn, first)

    def _turn(self, first: Job) -> None:
        """Paint the one that waited longest, and those that go with it."""
        if not first.wanted(self._clock()):
            return
        try:
            model = self._painter.load(first.request.model)
        except Refusal as refusal:  # what holds for it holds for all that wait for the same
            for job in [first, *self._alike(first, refusal)]:
                job.refuse(refusal)
            return
        shape = self._painter.shape(model, first)
        if shape is not None:
            jobs, size = self._company(model, shape, first)
            self._due = max(job.deadline for job in jobs)
            self._painter.paint(model, shape, jobs, size)

    def _company(self, model: Model, shape: Shape, first: Job) -> tuple[list[Job], int]:
        """The jobs of the shape that fill the size that suits them, the oldest first."""
        same = [first]
        for job in self._of_model(first.request.model):
            if len(same) == self._buckets.most(shape):
                break
            if job.wanted(self._clock()) and self._painter.shape(model, job) == shape:
                same.append(job)
        size = self._buckets.choose(shape, len(same))
        jobs = same[:size]
        with self._changed:
            self._painting = jobs
            self._waiting = deque(job for job in self._waiting if job not in jobs)
        return jobs, size

    def _alike(self, first: Job, refusal: Refusal) -> list[Job]:
        """The jobs that would be refused as well: a name may be wrong by its adapter, a load fails for all of them."""
        if refusal.code == "unknown_model":
            return self._of_model(first.request.model)
        base = base_of(first.request.model)
        with self._changed:
            return [job for job in self._waiting if base_of(job.request.model) == base]

    def _of_model(self, model_id: str) -> list[Job]:
        with self._changed:
            return [job for job in self._waiting if job.request.model == model_id]


def _call(future: Future[Any], work: Callable[[], object]) -> None:
    try:
        done = work()
    except Exception as error:
        settle(future, error=_leaving() if isinstance(error, DeviceLost) else error)
        if isinstance(error, DeviceLost):
            raise
    except BaseException:
        settle(future, error=_leaving())  # the thread ends with it, and nobody else would
        raise
    else:
        settle(future, done)


def _leaving() -> Refusal:
    return Refusal("busy", LEAVING, RESTART_SECONDS)
