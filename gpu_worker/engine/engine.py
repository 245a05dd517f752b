"""Runs all GPU work in one thread, in batches of waiting requests of the same shape.

No request waits for others to arrive: when the GPU is free, the oldest request is painted with those of its shape.
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

RESTART_SECONDS: Final = 30.0  # Retry-After of a worker that is being replaced
MAX_GUESS: Final = 60.0
LEAVING: Final = "this worker is being replaced"

T = TypeVar("T")


class Engine:
    """Accepts requests from any thread. Cancelling a request's future withdraws it."""

    def __init__(
        self, models: Models, metrics: Metrics, buckets: Sequence[int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.ready = False  # the preloaded models are in memory
        self.lost: BaseException | None = None  # the error that made the GPU unusable
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
        self._due = inf  # the latest deadline of the jobs being painted
        self._thread = Thread(target=self._live, name="gpu", daemon=True)

    def start(self, preload: Sequence[str] = ()) -> Future[None]:
        """Start the thread and load `preload` first. The future fails if one of them cannot be loaded."""

        def load() -> None:
            for model_id in preload:
                self._painter.load(model_id)
            self.ready = True

        loaded = self._call(load)
        self._thread.start()
        return loaded

    def put(self, request: PaintRequest, seconds: float = inf) -> Future[Done]:
        """Queue a request with a time limit in seconds. Raises Refusal when stopping; the future raises Refusal too."""
        now = self._clock()
        job = Job(request, now, now + seconds)
        with self._changed:
            self._refuse_when_leaving()
            self._waiting.append(job)
            self._changed.notify()
        job.future.add_done_callback(lambda _: self._drop(job))
        return job.future

    def purge(self, model_id: str | None) -> Future[tuple[list[str], list[str]]]:
        """Unload one model, or all for None, after the current batch. The result: ids removed and ids remaining."""

        def purge() -> tuple[list[str], list[str]]:
            self._buckets.forget()
            return self._models.purge(model_id)

        return self._call(purge)

    @property
    def waiting(self) -> int:
        """The number of requests that wait for the GPU."""
        return len(self._waiting)

    def seconds_ahead(self) -> float:
        """Estimate the seconds that the accepted requests will take, 1 to MAX_GUESS."""
        return min(MAX_GUESS, max(1.0, self._painter.pace * (len(self._waiting) + len(self._painting))))

    def give_up(self) -> None:
        """Refuse all accepted requests. The current batch ends at its next step."""
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
        """Declare the GPU lost if a step runs more than `grace` seconds past the deadlines of all its requests.

        A step checks the time when it ends, so such a step hangs, and nothing would be painted any more.
        """
        with self._changed:
            hangs = not self.lost and self._clock() > self._due + grace
        if hangs:
            self._lose(TimeoutError(f"a step has not ended {grace:g} s after its requests' time"))

    def stop(self) -> None:
        """Accept no new requests, paint the waiting ones, then end the thread. Returns at once."""
        with self._changed:
            self._ending = True
            self._changed.notify()

    def join(self, seconds: float) -> None:
        """Wait for the thread's end, at most `seconds`."""
        self._thread.join(seconds)

    def _drop(self, job: Job) -> None:
        """Remove a settled job from the queue, which frees its picture's memory."""
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)

    def _call(self, work: Callable[[], T]) -> Future[T]:
        """Run `work` on the engine's thread, between batches, before waiting requests. Raises Refusal when stopping."""
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

    # The methods below run on the engine's own thread.

    def _live(self) -> None:
        try:
            while work := self._next():
                work()
        except BaseException as error:  # noqa: BLE001 - nothing else reports the thread's error
            self._lose(error)

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            self._painting, self._due = (), inf
            self._changed.wait_for(lambda: self._calls or self._waiting or self._ending or self.lost)
            if self.lost:  # a step declared hung has ended after all
                return None
            if self._calls:
                return partial(_call, *self._calls.popleft())
            if not self._waiting:
                return None
            first = self._waiting.popleft()
            self._painting = (first,)
        return partial(self._turn, first)

    def _turn(self, first: Job) -> None:
        """Paint the oldest job and the waiting jobs of its shape."""
        if not first.wanted(self._clock()):
            return
        try:
            model = self._painter.load(first.request.model)
        except Refusal as refusal:  # it applies to all jobs that wait for the same
            for job in [first, *self._alike(first, refusal)]:
                job.refuse(refusal)
            return
        shape = self._painter.shape(model, first)
        if shape is not None:
            jobs, size = self._company(model, shape, first)
            self._due = max(job.deadline for job in jobs)
            self._painter.paint(model, shape, jobs, size)

    def _company(self, model: Model, shape: Shape, first: Job) -> tuple[list[Job], int]:
        """Return the jobs to paint, oldest first and all of `shape`, and the batch size."""
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
        """Return the waiting jobs with the same fault: a wrong name may be an adapter's, a load is the base model's."""
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
        settle(future, error=_leaving())  # the thread ends, so nothing else would settle the future
        raise
    else:
        settle(future, done)


def _leaving() -> Refusal:
    return Refusal("busy", LEAVING, RESTART_SECONDS)
