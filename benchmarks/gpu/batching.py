"""What dynamic batching brings: images per second and latency, for rates of arrival and buckets, against one at a time.

`python -m benchmarks.gpu.batching [--json] [--images 120]`; 90 seconds. The model is a stand-in that takes `--base` +
`--each` x bucket milliseconds, so that the engine's time can be separated from the model's: the column `floor` is the
model's own best rate. benchmarks.gpu.pipelines measures real pipelines beside plain diffusers. Rates are multiples of
the rate of one at a time; `all` is everything at once. Buckets take turns within each rate, all with the same arrivals;
`times` is the images per second over those of one at a time at that rate.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from benchmarks.cold import machine
from benchmarks.gpu.loads import opened, poisson
from gpu_worker.contract import PaintRequest
from gpu_worker.engine.engine import Engine
from gpu_worker.engine.protocol import Painting, Shape
from gpu_worker.http.metrics import Metrics

ONE: Final = (1,)
BUCKETS: Final = (ONE, (4,), (8,), (1, 2, 4, 8))
RATES: Final = (0.3, 0.8, 1.5, 3.0)
STAND_IN: Final = "stand-in"

Row = dict[str, Any]


class StandIn:
    """A model of known cost: it sleeps as long as a GPU would compute."""

    def __init__(self, base: float, each: float) -> None:
        self.base, self.each = base, each
        self._image = np.zeros((8, 8, 3), np.uint8)

    def seconds(self, bucket: int) -> float:
        return self.base + self.each * bucket

    def get(self, _id: str) -> StandIn:
        return self

    def loaded(self) -> list[str]:
        return [STAND_IN]

    def known(self) -> list[dict[str, Any]]:
        return [{"id": STAND_IN}]

    def purge(self, _id: str | None) -> tuple[list[str], list[str]]:
        return [], []

    def shape(self, request: PaintRequest) -> Shape:
        return Shape(request.task, request.model, request.width, request.height, 1, False)

    def paint(self, requests: Sequence[PaintRequest], bucket: int, check: Callable[[], None]) -> list[Painting]:
        check()
        time.sleep(self.seconds(bucket))
        return [Painting(self._image)] * len(requests)


def request(n: int) -> PaintRequest:
    return PaintRequest("text-to-image", str(n), STAND_IN, "a red circle on white", 512, 512, n, "png")


def measure(model: StandIn, buckets: Sequence[int], arrivals: Sequence[float]) -> Row:
    """Run once: requests arrive at the given seconds, whether or not the earlier ones are done."""
    engine = Engine(model, Metrics(), buckets)
    engine.start([STAND_IN]).result()
    for bucket in buckets:  # the engine learns the costs before the measurement
        for _ in range(2):
            for future in [engine.put(request(n)) for n in range(bucket)]:
                future.result()
    measured = opened(lambda n: engine.put(request(n)), arrivals)
    engine.stop()
    engine.join(60)
    return asdict(measured)


def table(model: StandIn, images: int) -> list[Row]:
    """Return a row for each rate and bucket."""
    alone = measure(model, ONE, [0.0] * min(images, 24))["images_per_s"]
    rows: list[Row] = []
    for rate in (*RATES, None):
        arrivals = [0.0] * images if rate is None else poisson(rate * alone, images)
        of_rate: list[Row] = []
        for buckets in BUCKETS:
            row = measure(model, buckets, arrivals)
            row |= {"rate": "all" if rate is None else rate, "buckets": ",".join(map(str, buckets))}
            row["floor"] = max(b / model.seconds(b) for b in buckets)
            of_rate.append(row)
        for row in of_rate:
            row["times"] = row["images_per_s"] / of_rate[0]["images_per_s"]
        rows += of_rate
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--images", type=int, default=120)
    parser.add_argument("--base", type=float, default=20.0, help="milliseconds of a batch, whatever is in it")
    parser.add_argument("--each", type=float, default=5.0, help="milliseconds of each image of a bucket")
    given = parser.parse_args()
    rows = table(StandIn(given.base / 1000, given.each / 1000), given.images)
    if given.json:
        print(json.dumps({"machine": machine(), "rows": rows}))
        return
    print(machine())
    print(f"{'rate':>5} {'buckets':>8} {'images/s':>9} {'floor':>7} {'times':>6} {'p50 ms':>8} {'p95 ms':>8}")
    for row in rows:
        print(
            f"{row['rate']:>5} {row['buckets']:>8} {row['images_per_s']:9.1f} {row['floor']:7.1f} {row['times']:6.2f}"
            f" {row['p50_ms']:8.1f} {row['p95_ms']:8.1f}"
        )


if __name__ == "__main__":
    main()
