"""Makes and reads ids: time-ordered job ids, image and call ids derived from them, and the bucket's keys."""

from __future__ import annotations

import hashlib
import os
import re
import uuid

JOB_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
IMAGE_NAME = re.compile(r"im_[0-9a-f]{16}\.(png|jpg|webp)")
UPLOAD = re.compile(r"up_[0-9a-f]{32}")
TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")

_ASYNC_KEY = re.compile(f"async/in/(?P<tenant>{TENANT.pattern})/(?P<job>{JOB_ID.pattern})/{JOB_ID.pattern}[.]json")


def new_job_id(now: float, place: int | None = None) -> str:
    """Return a version 7 UUID (RFC 9562): the order as text is the order of creation, to the millisecond.

    Ids of the same `now` are in the order of their `place`, 0 to 4095, if it is given.
    """
    bits = _milliseconds(now) << 80 | int.from_bytes(os.urandom(10), "big")
    if place is not None:
        bits = bits & ~(0xFFF << 64) | place << 64
    bits = bits & ~(0xF << 76) | 0x7 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=bits))


def job_id_at(now: float, *, end: bool = False) -> str:
    """Return the smallest (or, with `end`, the largest) job id of the millisecond `now`, as the bound of a range."""
    rest = (1 << 80) - 1 if end else 0
    return str(uuid.UUID(int=_milliseconds(now) << 80 | rest))


def created_at(job_id: str) -> float:
    """Return when the job of this id was made, in Unix seconds, to the millisecond."""
    return (uuid.UUID(job_id).int >> 80) / 1000


def _milliseconds(moment: float) -> int:
    """Return the whole milliseconds of a time; via microseconds, since the direct product may be just below."""
    return round(moment * 1_000_000) // 1000


def image_id(job_id: str, attempt: int) -> str:
    """Return the id of the image of the job's attempt number `attempt`.

    It depends on the attempt: a run that resumes the attempt finds its image, and a late run, whose attempt was
    followed by another one, does not overwrite that one's image.
    """
    return "im_" + hashlib.sha256(f"{job_id}:{attempt}".encode()).hexdigest()[:16]


def raw_key(tenant: str, job_id: str, attempt: int) -> str:
    """Return the bucket's key of the raw answer of the job's attempt number `attempt`."""
    return f"raw/{tenant}/{job_id}/{attempt}"


def answer_key(tenant: str, job_id: str, digest: str) -> str:
    """Return the bucket's key of an answer that is too large for the gateway."""
    return f"answers/{tenant}/{job_id}/{digest[:32]}"


def variants_prefix(tenant: str, image: str) -> str:
    """Return what the bucket's keys of an image's variants begin with."""
    return f"variants/{tenant}/{image}/"


def new_upload_id() -> str:
    """Return the id of an upload, which cannot be guessed."""
    return f"up_{uuid.uuid4().hex}"


def upload_key(tenant: str, upload_id: str) -> str:
    """Return the key of the picture that a client uploads into the bucket itself."""
    return f"uploads/{tenant}/{upload_id}"


def async_key(owner: str, call: str) -> str:
    """Return the bucket's key of the request of a call to an asynchronous endpoint; `owner` is `tenant/job`."""
    return "/".join(part for part in ("async/in", owner, f"{call}.json") if part)


def owner_of(async_key: str) -> tuple[str, str] | None:
    """Return tenant and job of an `async_key`; `None` for any other key."""
    found = _ASYNC_KEY.fullmatch(async_key)
    return (found["tenant"], found["job"]) if found else None


def call_id(job_id: str, index: int, model: str, number: int) -> str:
    """Return a UUID for the job's call number `number` to `model` for an image; a run that resumes gets the same."""
    digest = hashlib.sha256(f"{job_id}:{index}:{model}:{number}".encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))
