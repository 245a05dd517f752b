"""Which size a batch is painted in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_worker.engine.buckets import REMEMBERED, Buckets
from gpu_worker.engine.protocol import Shape


def shape(width: int = 512, bucket: int = 0) -> Shape:
    return Shape("text-to-image", "m", width, 512, 1, False, bucket)


SIZES = (1, 2, 4, 8)


@pytest.mark.parametrize(
    ("waiting", "size"), [(1, 1), (2, 2), (3, 4), (4, 4), (5, 4), (6, 8), (7, 8), (8, 8), (9, 8), (100, 8)]
)
def test_before_anything_is_measured_no_more_than_a_quarter_is_padding(waiting: int, size: int) -> None:
    assert Buckets(SIZES).choose(shape(), waiting) == size


@pytest.mark.parametrize("waiting", [1, 2, 3, 4, 5])
def test_with_one_size_everything_is_painted_in_it(waiting: int) -> None:
    assert Buckets((4,)).choose(shape(), waiting) == 4


@pytest.mark.parametrize(("full", "size"), [(1.1, 8), (1.3, 4)])
def test_what_was_measured_decides_between_padding_and_leaving_some(full: float, size: int) -> None:
    """Five wait: four now in one second, or five in the time of eight."""
    buckets = Buckets(SIZES)
    for bucket, seconds in [(4, 1.0), (8, full)]:
        buckets.took(shape(), bucket, 60.0)  # the first of a size compiles
        buckets.took(shape(), bucket, seconds)
        buckets.took(shape(), bucket, seconds + 1)  # a hiccup
    assert buckets.choose(shape(), 5) == size
    assert buckets.choose(shape(768), 5) == 4, "another shape is another matter"


def test_the_first_batch_of_a_size_tells_nothing() -> None:
    """It may have been compiled for minutes."""
    buckets = Buckets(SIZES)
    for bucket, seconds in [(4, 1.0), (8, 60.0)]:
        buckets.took(shape(), bucket, seconds)
    assert buckets.choose(shape(), 6) == 8


def test_a_size_that_was_too_large_is_never_taken_again() -> None:
    buckets = Buckets(SIZES)
    assert buckets.too_large(shape(), 8) == 4
    assert (buckets.most(shape()), buckets.choose(shape(), 8)) == (4, 4)
    assert buckets.too_large(shape(), 4) == 2
    assert buckets.too_large(shape(), 2) == 1
    assert buckets.too_large(shape(), 1) is None
    assert buckets.most(shape()) == 1
    assert buckets.most(shape(768)) == 8
    buckets.forget()
    assert buckets.most(shape()) == 8


def test_below_the_smallest_size_it_is_halved() -> None:
    buckets = Buckets((4,))
    assert buckets.too_large(shape(), 4) == 2
    assert (buckets.most(shape()), buckets.choose(shape(), 1)) == (2, 2)
    assert buckets.too_large(shape(), 2) == 1


def test_a_shape_may_have_a_size_of_its_own() -> None:
    buckets = Buckets(SIZES)
    own = shape(bucket=3)
    assert [buckets.choose(own, waiting) for waiting in (1, 3, 9)] == [3, 3, 3]
    assert buckets.too_large(own, 3) == 1


def test_no_client_can_make_it_remember_without_end() -> None:
    buckets = Buckets(SIZES)
    for width in range(REMEMBERED + 10):
        buckets.took(shape(width), 1, 1.0)
    assert len(buckets._known) == REMEMBERED


def test_what_changes_neither_memory_nor_time_is_not_told_apart() -> None:
    buckets = Buckets(SIZES)
    for n in range(REMEMBERED + 10):
        buckets.took(replace(shape(), only=(n,)), 4, 1.0)
    assert len(buckets._known) == 1
    buckets.too_large(replace(shape(), only=("a",)), 8)
    assert buckets.most(replace(shape(), only=("b",))) == 4
    assert buckets.most(replace(shape(), more=("b",))) == 8


@pytest.mark.parametrize("sizes", [(), (0, 2)])
def test_there_must_be_sizes(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="buckets"):
        Buckets(sizes)
