"""Names of things: time-ordered job ids and the image names derived from them."""

from __future__ import annotations

import hashlib
import os
import re
import uuid

JOB_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
IMAGE_NAME = re.compile(r"im_[0-9a-f]{16}\.(png|jpg|webp)")
TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")

_ASYNC_KEY = re.compile(f"async/in/(?P<tenant>{TENANT.pattern})/(?P<job>{JOB_ID.pattern})/{JOB_ID.pattern}[.]json")


def new_job_id(now: float, place: int | None = None) -> str:
    """A version 7 UUID (RFC 9562): its order as text is the order of creation, to the millisecond.

    Ids of the same `now` are in the order of their `place`, 0 to 4095, where they are given one.
    """
    bits = _milliseconds(now) << 80 | int.from_bytes(os.urandom(10), "big")
    if place is not None:
        bits = bits & ~(0xFFF << 64) | place << 64
    bits = bits & ~(0xF << 76) | 0x7 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=bits))


def job_id_at(now: float, *, end: bool = False) -> str:
    """The smallest (or, with `end`, the largest) job id of the millisecond `now`: a bound for ranges."""
    rest = (1 << 80) - 1 if end else 0
    return str(uuid.UUID(int=_milliseconds(now) << 80 | rest))


def created_at(job_id: str) -> float:
    """When the job of this id was made, in Unix seconds, to the millisecond by which ids are ordered."""
    return (uuid.UUID(job_id).int >> 80) / 1000


def _milliseconds(moment: float) -> int:
    """The millisecond in which a moment lies; by way of microseconds, since a product alone can fall just below it."""
    return round(moment * 1_000_000) // 1000


def image_id(job_id: str, attempt: int) -> str:
    """The id of the image that the job's attempt number `attempt` gave.

    Whoever takes the attempt up again finds it by this; and a run that comes late, whose attempt was given up and
    followed by another, does not put its picture in the place of that one's.
    """
    return "im_" + hashlib.sha256(f"{job_id}:{attempt}".encode()).hexdigest()[:16]


def raw_key(tenant: str, job_id: str, attempt: int) -> str:
    """Where the bucket keeps what the job's attempt number `attempt` got, before it is looked at."""
    return f"raw/{tenant}/{job_id}/{attempt}"


def async_key(owner: str, call: str) -> str:
    """Where the bucket has what an asynchronous endpoint is to read for a call; `owner` is `tenant/job`."""
    return "/".join(part for part in ("async/in", owner, f"{call}.json") if part)


def owner_of(async_key: str) -> tuple[str, str] | None:
    """Tenant and job of such a place; `None` for any other."""
    found = _ASYNC_KEY.fullmatch(async_key)
    return (found["tenant"], found["job"]) if found else None


def call_id(job_id: str, index: int, model: str, number: int) -> str:
    """A UUID for the job's call number `number` to `model` for an image: the same for whoever takes it up again."""
    digest = hashlib.sha256(f"{job_id}:{index}:{model}:{number}".encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))
