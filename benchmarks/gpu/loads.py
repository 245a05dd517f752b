"""Generates load: clients that each wait for their image, or requests that arrive whatever the progress."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

Put = Callable[[int], "Future[Any]"]  # requests the image of that number


@dataclass(frozen=True, slots=True)
class Measured:
    """Images per second until the last one, latencies, and this process's CPU time per image."""

    images_per_s: float
    p50_ms: float
    p95_ms: float
    cpu_ms: float

    @classmethod
    def of(cls, seconds: float, latencies: Sequence[float], cpu: float) -> Measured:
        """Create from the total time, the time of each image, and the CPU time, in seconds."""
        p50, p95 = np.percentile(latencies, (50, 95))
        images = len(latencies)
        return cls(images / seconds, 1000 * float(p50), 1000 * float(p95), 1000 * cpu / images)


def closed(put: Put, clients: int, seconds: float) -> Measured:
    """Run clients for that many seconds, each of which requests its next image when it has the last one."""
    numbers = count()
    began, cpu = time.perf_counter(), time.process_time()

    def client(_: int) -> list[tuple[float, float]]:
        mine: list[tuple[float, float]] = []
        while not mine or mine[-1][1] < began + seconds:
            asked = time.perf_counter()
            put(next(numbers)).result()
            mine.append((asked, time.perf_counter()))
        return mine

    with ThreadPoolExecutor(clients) as threads:
        done = [pair for mine in threads.map(client, range(clients)) for pair in mine]
    took = max(end for _, end in done) - began
    return Measured.of(took, [end - asked for asked, end in done], time.process_time() - cpu)


def opened(put: Put, arrivals: Sequence[float]) -> Measured:
    """Send requests at the given seconds; latencies count from there, not from the actual start."""
    ended = [0.0] * len(arrivals)
    futures: list[Future[Any]] = []
    began, cpu = time.perf_counter(), time.process_time()
    for n, arrival in enumerate(arrivals):
        if (ahead := began + arrival - time.perf_counter()) > 0:
            time.sleep(ahead)
        future = put(n)
        future.add_done_callback(lambda _, n=n: ended.__setitem__(n, time.perf_counter()))
        futures.append(future)
    for future in futures:
        future.result()
    latencies = [end - began - arrival for end, arrival in zip(ended, arrivals, strict=True)]
    return Measured.of(max(ended) - began, latencies, time.process_time() - cpu)


def poisson(rate: float, images: int, seed: int = 7) -> list[float]:
    """Return the arrival seconds of that many independent requests, at `rate` per second."""
    rng, now, times = random.Random(seed), 0.0, []
    for _ in range(images):
        now += rng.expovariate(rate)
        times.append(now)
    return times
