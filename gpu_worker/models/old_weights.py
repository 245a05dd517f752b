"""Finds weights in S3 that the table no longer names, and removes them on request.

A deployment keeps its weights in a folder named after its models and their table, so the weights of an older table lie
beside it. Only complete folders are found: those with the mark that staging writes last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

COMPLETE: Final = ".complete"  # written last when staging, so that half a copy is never taken for one
MAX_KEYS: Final = 1000  # keys that S3 deletes in one call
_BY_TABLE: Final = re.compile(r"[0-9a-f]{12}")  # a deployment's folder: infra/constructs/gpu/worker_image.py


@dataclass(frozen=True, slots=True)
class Old:
    """A folder of weights: its prefix with a trailing slash, its keys, and its size in bytes."""

    prefix: str
    keys: tuple[str, ...]
    size: int


def found(s3: Any, target: str, named: Iterable[str]) -> list[Old]:
    """Return the old weights at a target, `s3://bucket/prefix`, and beside it. `named` are the table's folders."""
    bucket, prefix = _split(target)
    keep = tuple(f"{prefix}{folder}/" for folder in named)
    around = _around(prefix)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=around)
    sizes = {item["Key"]: int(item["Size"]) for page in pages for item in page.get("Contents", ())}
    whole = [key.removesuffix(COMPLETE) for key in sizes if _staged(key, prefix, around)]
    folders = {folder: [key for key in sizes if key.startswith(folder)] for folder in whole if folder not in keep}
    return [Old(folder, tuple(keys), sum(sizes[key] for key in keys)) for folder, keys in sorted(folders.items())]


def remove(s3: Any, target: str, old: Old) -> None:
    """Delete the folder, its mark first, so that the rest is never taken for a complete copy. Raises RuntimeError."""
    bucket, _ = _split(target)
    mark = old.prefix + COMPLETE
    for keys in ((mark,), *_portions([key for key in old.keys if key != mark])):
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True})
        if failed := answer.get("Errors"):
            raise RuntimeError(f"S3 did not delete {failed[0].get('Key')}: {failed[0].get('Code')}")


def _split(target: str) -> tuple[str, str]:
    bucket, _, path = target.removeprefix("s3://").partition("/")
    return bucket, f"{path.strip('/')}/" if path.strip("/") else ""


def _around(prefix: str) -> str:
    """Return the prefix to search: the target, or its parent if the target is a deployment's folder."""
    parent, _, name = prefix.rstrip("/").rpartition("/")
    return f"{parent}/" if parent and _BY_TABLE.fullmatch(name) else prefix


def _staged(key: str, prefix: str, around: str) -> bool:
    """Return whether the key is the mark of a folder in the target, or in a deployment's folder beside it."""
    parts = key.removeprefix(around).split("/")
    if around != prefix:
        return len(parts) == 3 and parts[2] == COMPLETE and bool(_BY_TABLE.fullmatch(parts[0]))
    return len(parts) == 2 and parts[1] == COMPLETE


def _portions(keys: list[str]) -> list[list[str]]:
    return [keys[start : start + MAX_KEYS] for start in range(0, len(keys), MAX_KEYS)]
