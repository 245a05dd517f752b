"""Ids: in the order of time, and the same for the same job."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from lambdas.domain import ids

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
