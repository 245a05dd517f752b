"""Runs one batch and handles its failures: too little memory, an error of one request, no client left waiting."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

from gpu_worker.contract import Refusal
from gpu_worker.engine.buckets import Buckets
from gpu_worker.engine.jobs import Done, Job, settle
from gpu_worker.engine.protocol import DeviceLost, Model, Models, OutOfMemory, Painting, Shape, base_of
from gpu_worker.http import logs
from gpu_worker.http.metrics import Metrics

FIRST_GUESS: Final = 1.0  # seconds for one image, before any was painted

NO_MEMORY: Final = "the GPU has not enough memory for an image of this kind"
NO_LOAD: Final = "the model could not be loaded"
BROKE: Final = "the image could not be painted"


class Abandoned(Exception):
    """No client waits for this batch any more."""


class BatchRunner:
    """Used by the engine's thread alone. Settles every job given to it, unless it raises DeviceLost."""

    def __init__(self, models: Models, metrics: Metrics, buckets: Buckets, clock: Callable[[], float]) -> None:
        self.pace = FIRST_GUESS  # seconds per image, moving average
        self._loads: dict[str, float] = {}  # seconds of the last load, by model
        self._models = models
        self._metrics = metrics
        self._buckets = buckets
        self._clock = clock

    def load(self, model_id: str) -> Model:
        """Return the model, unloading others if memory is short. Raises Refusal and DeviceLost."""
        loaded, began = self._models.loaded(), self._clock()
        model = self._got(model_id)
        if model is None and self._make_room(loaded):
            model = self._got(model_id)
        if model is None:
            raise Refusal("failed", NO_MEMORY)
        for new in set(self._models.loaded()) - set(loaded):
            seconds = self._clock() - began
            self._metrics.load_time.labels(new).set(seconds)
            self._loads[new] = seconds
            logs.say(logging.INFO, "model loaded", model=new, seconds=round(seconds, 3))
        return model

    def shape(self, model: Model, job: Job) -> Shape | None:
        """Return the job's shape, computed once; `None` after refusing a job that has none."""
        try:
            job.shape = job.shape or model.shape(job.request)
            return job.shape
        except Refusal as refusal:
            job.refuse(refusal)
        except Exception as error:  # noqa: BLE001 - an error of this request must not fail others
            self._broke([job], error)
            job.refuse(Refusal("failed", BROKE))
        return None

    def paint(self, model: Model, shape: Shape, jobs: Sequence[Job], size: int) -> None:
        """Paint the jobs in one batch padded to `size`; on failure in smaller ones or singly. Raises DeviceLost."""
        jobs = self._wanted(jobs)
        if not jobs:
            return
        began = self._clock()

        def check() -> None:
            if not self._wanted(jobs):
                raise Abandoned

        # Failures are handled after the `except` blocks: inside, the exception keeps the batch's memory alive.
        failure = None
        try:
            outcomes = model.paint([job.request for job in jobs], size, check)
            if len(outcomes) != len(jobs):
                raise RuntimeError(f"{len(outcomes)} outcomes for {len(jobs)} requests")
        except (Abandoned, DeviceLost) as error:
            if isinstance(error, DeviceLost):
                raise
            return
        except OutOfMemory:
            pass
        except Refusal as refusal:
            failure = refusal
        except Exception as error:  # noqa: BLE001 - a model's code may raise any exception
            self._broke(jobs, error)
            failure = Refusal("failed", BROKE)
        else:
            self._answer(jobs, outcomes, began)
            self._learn(shape, size, len(jobs), self._clock() - began)
            return
        if failure is None:
            self._paint_smaller(model, shape, jobs, size)
        elif len(jobs) == 1:
            jobs[0].refuse(failure)
        else:  # isolate the failing request; the same size gives the same pixels
            self._metrics.retried.inc()
            for job in jobs:
                self.paint(model, shape, [job], size)

    def _paint_smaller(self, model: Model, shape: Shape, jobs: Sequence[Job], size: int) -> None:
        """Use smaller batches for this shape from now on; if none is smaller, unload the other models, or refuse."""
        self._metrics.out_of_memory.inc()
        smaller = self._buckets.too_large(shape, size)
        logs.say(logging.WARNING, "out of memory", model=shape.model, task=shape.task, size=size, smaller=smaller)
        if smaller is None:
            if not self._make_room(self._models.loaded()[:-1]):
                for job in jobs:
                    job.refuse(Refusal("failed", NO_MEMORY))
                return
            smaller = 1
        for start in range(0, len(jobs), smaller):
            self.paint(model, shape, jobs[start : start + smaller], smaller)

    def _answer(self, jobs: Sequence[Job], outcomes: Sequence[Painting | Refusal], began: float) -> None:
        now = self._clock()
        for job, outcome in zip(jobs, outcomes, strict=True):
            if isinstance(outcome, Refusal):
                job.refuse(outcome)
            else:
                load = self._loads.get(base_of(job.request.model))
                settle(job.future, Done(outcome, began - job.arrived, now - began, load))

    def _learn(self, shape: Shape, size: int, jobs: int, seconds: float) -> None:
        self._buckets.took(shape, size, seconds)
        self.pace += (seconds / jobs - self.pace) / 4
        self._metrics.batches.observe(jobs)
        self._metrics.padding.inc(size - jobs)

    def _got(self, model_id: str) -> Model | None:
        """Return the model; `None` if memory is short. Raises Refusal and DeviceLost."""
        try:
            return self._models.get(model_id)
        except (Refusal, DeviceLost):
            raise
        except OutOfMemory:
            self._metrics.out_of_memory.inc()
            return None
        except Exception as error:
            logs.failure("a model could not be loaded", error, model=model_id)
            raise Refusal("failed", NO_LOAD) from error

    def _make_room(self, others: Sequence[str]) -> bool:
        """Unload these models. Returns whether there were any."""
        for model_id in others:
            self._models.purge(model_id)
        return bool(others)

    def _wanted(self, jobs: Sequence[Job]) -> list[Job]:
        now = self._clock()
        return [job for job in jobs if job.wanted(now)]

    def _broke(self, jobs: Sequence[Job], error: BaseException) -> None:
        said = [text for job in jobs for text in (job.request.prompt, job.request.negative_prompt) if text]
        logs.failure("painting failed", error, said, ids=[job.request.id for job in jobs])
