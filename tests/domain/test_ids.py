"""Ids are ordered by time, and deterministic per job."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from lambdas.domain import ids
from lambdas.domain.iso_time import iso

MOMENTS = st.floats(1.6e9, 4e9)


@given(MOMENTS, MOMENTS)
def test_job_ids_sort_by_time(a: float, b: float) -> None:
    if int(a * 1000) < int(b * 1000):
        assert ids.new_job_id(a) < ids.new_job_id(b)


@given(MOMENTS)
def test_bounds_enclose_their_millisecond(now: float) -> None:
    job_id = ids.new_job_id(now)
    assert ids.job_id_at(now) <= job_id <= ids.job_id_at(now, end=True)
    parsed = uuid.UUID(job_id)
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert ids.JOB_ID.fullmatch(job_id)


def test_image_ids_belong_to_their_job() -> None:
    assert ids.image_id("a", 0) == ids.image_id("a", 0)
    assert len({ids.image_id(job, i) for job in "ab" for i in range(8)}) == 16
    assert ids.IMAGE_NAME.fullmatch(ids.image_id("a", 0) + ".png")


@given(MOMENTS)
def test_an_id_says_when_its_job_was_made_to_the_digit_that_clients_see(moment: float) -> None:
    made = ids.new_job_id(moment)
    assert iso(ids.created_at(made)) == iso(moment)
    assert ids.job_id_at(ids.created_at(made)) <= made <= ids.job_id_at(ids.created_at(made), end=True)


@given(st.integers(min_value=1, max_value=4_000_000_000_000))
def test_a_millisecond_is_found_again_by_the_number_that_stands_for_it(milliseconds: int) -> None:
    assert uuid.UUID(ids.job_id_at(milliseconds / 1000)).int >> 80 == milliseconds


@given(MOMENTS, st.integers(min_value=0, max_value=4094))
def test_ids_of_one_moment_are_in_the_order_of_their_places(moment: float, place: int) -> None:
    first, second = ids.new_job_id(moment, place), ids.new_job_id(moment, place + 1)
    assert first < second
    assert ids.created_at(first) == ids.created_at(second)
    assert {uuid.UUID(made).version for made in (first, second)} == {7}
    assert ids.JOB_ID.fullmatch(first)
