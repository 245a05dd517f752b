"""The worker's engine and pipelines beside plain diffusers, one request at a time, with the same weights in one run.

`python -m benchmarks.gpu.pipelines [--weights tiny|scenes[=FOLDER]|sdxl] [--threads N] [--json]`; 6 minutes by default.
The worker is its real engine, painter, loader and sampler, for each batch size, without HTTP. The peer is a plain
service: a StableDiffusionXLPipeline called under a lock, from threads. Neither encodes the image to a file. Before the
measurement, both must paint the same picture. All prompts differ, so that no cache of prompts helps.

Loads are clients that each wait for their image before they request the next, and Poisson arrivals at multiples of the
peer's own rate (`capacity`). Targets take turns within each load with the same arrivals; figures are medians of the
rounds. Over the peer's, of the same round: `times` its images per second, `latency` its p50, `cpu` its CPU time per
image (this process's, clients' threads included). `floor` is the device's least time for such batches as images per
second (see floor.py), `of it` the reached share of it: on a CPU both are by CPU time, which other work on the machine
changes least. `--count` prints the parts of the floor, and paints nothing.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import torch
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from benchmarks.cold import machine
from benchmarks.gpu import floor, weights
from benchmarks.gpu.loads import Measured, Put, closed, opened, poisson
from benchmarks.gpu.peer import peer, pipeline, prompt
from gpu_worker.contract import PaintRequest
from gpu_worker.engine.engine import Engine
from gpu_worker.http.metrics import Metrics
from gpu_worker.models.loader import Loader
from gpu_worker.models.registry import Registry
from gpu_worker.models.weights import Sources
from gpu_worker.pipelines.adapters import Folder
from gpu_worker.pipelines.loading import device_of, dtype_of
from gpu_worker.pipelines.table import Spec
from gpu_worker.settings import CHOICES

BUCKETS: Final = ((1,), (2,), (4,), (8,), (1, 2, 4, 8))
CLIENTS: Final = (1, 4, 16)
RATES: Final = (0.5, 0.9, 1.5)
PEER: Final = "plain"
ALIKE: Final = 4.0  # levels of 255, on average: 16 bits in another memory order are not the same bits

Row = dict[str, Any]


def request(n: int, model: str, side: int) -> PaintRequest:
    return PaintRequest("text-to-image", str(n), model, prompt(n), side, side, n, "png")


def worker(registry: Registry, spec: Spec, side: int, buckets: Sequence[int]) -> tuple[Engine, Put]:
    """Return an engine with those buckets over the shared model; only one engine may work at a time."""
    engine = Engine(registry, Metrics(), buckets)
    engine.start([spec.id]).result()
    return engine, lambda n: engine.put(request(n, spec.id, side))


def apart(one: Put, other: Put) -> float:
    """Return the mean difference between a picture of the peer and the worker's, in levels."""
    theirs, mine = one(1).result(), other(1).result().painting.image
    return float(np.abs(mine.astype(int) - theirs.astype(int)).mean())


def measured(targets: dict[str, Put], capacity: float, duration: float, rounds: int) -> list[tuple[str, str, Measured]]:
    """Return (load, target, figures) of each round."""
    loads: dict[str, Callable[[Put], Measured]] = {}
    for clients in CLIENTS:
        loads[f"{clients} clients"] = lambda put, clients=clients: closed(put, clients, duration)
    for rate in RATES:
        arrivals = poisson(rate * capacity, max(1, round(rate * capacity * duration)))
        loads[f"{rate} arriving"] = lambda put, arrivals=arrivals: opened(put, arrivals)
    names = list(targets)
    made = []
    for number in range(rounds):
        turn = number % len(names)
        for load, run in loads.items():
            made += [(load, name, run(targets[name])) for name in (*names[turn:], *names[:turn])]
    return made


def rows(made: list[tuple[str, str, Measured]], floors: dict[str, float], gpu: bool) -> list[Row]:
    """Return a row for each load and target, in the order of `floors`."""
    found: list[Row] = []
    for load in dict.fromkeys(load for load, _, _ in made):
        for target, ceiling in floors.items():
            mine, theirs = ([m for at, name, m in made if at == load and name == t] for t in (target, PEER))
            speed, cpu_ms = median(m.images_per_s for m in mine), median(m.cpu_ms for m in mine)
            found.append(
                {
                    "load": load,
                    "target": target,
                    "images_per_s": speed,
                    "times": median(m.images_per_s / p.images_per_s for m, p in zip(mine, theirs, strict=True)),
                    "p50_ms": median(m.p50_ms for m in mine),
                    "p95_ms": median(m.p95_ms for m in mine),
                    "latency": median(m.p50_ms / p.p50_ms for m, p in zip(mine, theirs, strict=True)),
                    "cpu_ms": cpu_ms,
                    "cpu": median(m.cpu_ms / p.cpu_ms for m, p in zip(mine, theirs, strict=True)),
                    "floor": ceiling,
                    "of_it": (speed if gpu else 1000 / cpu_ms) / ceiling,
                }
            )
    return found


def run(given: argparse.Namespace, temporary: Path) -> dict[str, Any]:
    """Measure both targets. Returns the weights, the floor and the table."""
    device = device_of(given.device)
    kind, folder = weights.stocked(given.weights, temporary, device)
    spec = weights.spec(kind, folder)
    side, dtype = given.side or spec.native, dtype_of(spec, device)
    pipe = pipeline(folder, spec, device)
    plain = peer(pipe, spec, side)
    loader = Loader(Sources(folder.parent, temporary, hub=False), Folder(temporary), str(device), speed=given.speed)
    registry = Registry([spec], loader, 1)
    engines = {_name(buckets): worker(registry, spec, side, buckets) for buckets in BUCKETS}
    numbers = count(2)  # unique in the whole run, otherwise the worker would have cached the previous load's prompts
    targets: dict[str, Put] = {
        name: lambda _, put=put: put(next(numbers))
        for name, put in {PEER: plain, **{name: put for name, (_, put) in engines.items()}}.items()
    }

    peaks = floor.peaks(device, dtype)
    model = registry.get(spec.id)
    for bucket in BUCKETS[-1]:  # compiles or records every size before the measurement
        model.paint([request(n, spec.id, side) for n in range(bucket)], bucket, lambda: None)
    differ = apart(plain, engines[_name((1,))][1])
    if differ > ALIKE:
        raise SystemExit(f"the worker and plain diffusers do not paint the same: {differ:.1f} levels apart")
    for target in targets.values():
        closed(target, 2 * max(BUCKETS[-1]), given.seconds / 2)
    capacity = closed(targets[PEER], 1, given.seconds).images_per_s
    made = measured(targets, capacity, given.seconds, given.rounds)
    for engine, _ in engines.values():
        engine.stop()
        engine.join(60)

    peaks = peaks.or_better(floor.peaks(device, dtype))
    parts = floor.count(floor.on_meta(pipe), side, spec.steps)
    largest = {PEER: 1, **{_name(buckets): max(buckets) for buckets in BUCKETS}}
    floors = {name: size / floor.seconds(parts, size, dtype.itemsize, peaks) for name, size in largest.items()}
    return {
        "machine": machine(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads",
        "weights": kind,
        "side": side,
        "steps": spec.steps,
        "dtype": str(dtype).removeprefix("torch."),
        "capacity": capacity,
        "levels_apart": differ,
        "peaks": asdict(peaks),
        "parts": [asdict(part) for part in parts],
        "rows": rows(made, floors, device.type == "cuda"),
    }


def counted(given: argparse.Namespace, temporary: Path) -> list[floor.Part]:
    """Return the parts of the floor; of SDXL without creating its weights."""
    if given.weights == "sdxl":
        networks = weights.sdxl(torch.device("meta"), torch.float32)
        side, steps = weights.KINDS["sdxl"]
    else:
        kind, folder = weights.stocked(given.weights, temporary, torch.device("cpu"))
        networks = floor.on_meta(pipeline(folder, weights.spec(kind, folder), torch.device("cpu")))
        side, steps = weights.KINDS[kind]
    return floor.count(networks, given.side or side, steps)


def _name(buckets: Sequence[int]) -> str:
    return f"worker {','.join(map(str, buckets))}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--weights", default="tiny", help="tiny, scenes, scenes=FOLDER or sdxl (16 GB of a GPU)")
    parser.add_argument("--device", default="", help="cuda or cpu; the best there is")
    parser.add_argument("--side", type=int, default=0, help="pixels; what the weights are for")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each load on each target")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="of torch, on a CPU")
    parser.add_argument("--speed", default="graph", choices=CHOICES["speed"], help="the worker's setting; for a GPU")
    parser.add_argument("--count", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    for chatty in (diffusers_logging, transformers_logging):
        chatty.disable_progress_bar()
    if given.threads:
        torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        if given.count:
            show_parts([asdict(part) for part in counted(given, Path(folder))])
            return
        report = run(given, Path(folder))
    if given.json:
        print(json.dumps(report))
    else:
        show(report)


def show_parts(parts: Sequence[Row]) -> None:
    for part in parts:
        print(f"{part['name']:<8} {part['flops'] / 1e9:10.3f} GFLOP {part['weights'] / 1e6:9.2f} M x {part['runs']}")


def show(report: dict[str, Any]) -> None:
    print(f"{report['machine']}; {report['device']}, {report['dtype']}")
    print(
        f"{report['weights']}, {report['side']} px, {report['steps']} steps; {report['levels_apart']:.3f} levels apart"
    )
    print(f"{report['peaks']['flops'] / 1e9:.0f} GFLOP/s, {report['peaks']['bandwidth'] / 1e9:.1f} GB/s")
    print(f"capacity of {PEER} diffusers: {report['capacity']:.2f} images/s")
    show_parts(report["parts"])
    print(
        f"{'load':<13} {'target':<15} {'images/s':>8} {'times':>6} {'p50 ms':>8} {'p95 ms':>8} {'latency':>7}"
        f" {'cpu ms':>7} {'cpu':>5} {'floor':>8} {'of it':>6}"
    )
    for row in report["rows"]:
        print(
            f"{row['load']:<13} {row['target']:<15} {row['images_per_s']:8.2f} {row['times']:6.2f} {row['p50_ms']:8.1f}"
            f" {row['p95_ms']:8.1f} {row['latency']:7.2f} {row['cpu_ms']:7.1f} {row['cpu']:5.2f} {row['floor']:8.1f}"
            f" {row['of_it']:6.1%}"
        )


if __name__ == "__main__":
    main()
