"""Chooses the size of each batch: the fastest for the waiting requests among the sizes that fit into memory."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from gpu_worker.engine.protocol import Shape

REMEMBERED: Final = 256  # shapes; clients can request any number of them
SAMPLES: Final = 5
WELL_FILLED: Final = 0.75


@dataclass(slots=True)
class _Known:
    """The measurements of one shape."""

    most: int | None = None
    seconds: dict[int, deque[float]] = field(default_factory=dict)


class Buckets:
    """The batch sizes of each shape. Used by one thread."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = tuple(sorted(set(sizes)))
        if not self._sizes or self._sizes[0] < 1:
            raise ValueError("buckets must be one or more numbers from 1")
        self._known: OrderedDict[Shape, _Known] = OrderedDict()

    def most(self, shape: Shape) -> int:
        """Return the largest batch size of the shape."""
        return self._of(shape)[-1]

    def choose(self, shape: Shape, waiting: int) -> int:
        """Return the size that paints the most of `waiting` requests per second.

        The choice is between the largest size that they fill and the next one, padded. Measured times decide; until
        both sizes are measured, the padded one is chosen if at most a quarter of it is padding.
        """
        sizes = self._of(shape)
        filled = [size for size in sizes if size <= waiting]
        padded = [size for size in sizes if size >= waiting]
        if not padded or not filled:
            return (padded or sizes[-1:])[0] if not filled else filled[-1]
        down, up = filled[-1], padded[0]
        seconds = self._get(shape).seconds
        cost_down, cost_up = (min(seconds.get(size, ()), default=0.0) for size in (down, up))
        if cost_down and cost_up:
            return up if waiting / cost_up >= down / cost_down else down
        return up if waiting >= WELL_FILLED * up else down

    def took(self, shape: Shape, size: int, seconds: float) -> None:
        """Record how many seconds a batch took."""
        known = self._get(shape).seconds
        if size in known:
            known[size].append(seconds)
        else:
            known[size] = deque(maxlen=SAMPLES)  # the first batch also compiles: its time predicts nothing

    def too_large(self, shape: Shape, size: int) -> int | None:
        """Exclude batches of that size for the shape. Returns the next smaller size, `None` if there is none."""
        if size == 1:
            return None
        smaller = max((s for s in self._of(shape) if s < size), default=size // 2)
        self._get(shape).most = smaller
        return smaller

    def forget(self) -> None:
        """Discard all measurements, which no longer apply when the memory in use has changed."""
        self._known.clear()

    def _of(self, shape: Shape) -> tuple[int, ...]:
        sizes = (shape.bucket,) if shape.bucket else self._sizes
        known = self._known.get(replace(shape, only=()))
        if known is None or known.most is None:
            return sizes
        most = known.most
        return tuple(size for size in sizes if size <= most) or (most,)

    def _get(self, shape: Shape) -> _Known:
        shape = replace(shape, only=())
        known = self._known.setdefault(shape, _Known())
        self._known.move_to_end(shape)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return known
