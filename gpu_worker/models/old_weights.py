"""Weights in S3 that the table does not name any more: found, so that they can be told of, and removed when asked to.

A deployment keeps its weights in a folder named by its models and their table, so that those of an older table lie
beside it. Only what was staged as a whole is ever found: a folder with the mark that staging writes last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

COMPLETE: Final = ".complete"  # written last when staging, so that half a copy is never taken for one
MOST: Final = 1000  # keys that S3 deletes in one call
_BY_TABLE: Final = re.compile(r"[0-9a-f]{12}")  # a deployment's folder: infra/constructs/gpu/worker_image.py


@dataclass(frozen=True, slots=True)
class Old:
    """A folder of weights as a prefix that ends with a slash, its keys, and how many bytes they are."""

    prefix: str
    keys: tuple[str, ...]
    size: int


def found(s3: Any, target: str, named: Iterable[str]) -> list[Old]:
    """What is old at a target, `s3://bucket/prefix`, and beside it. `named` are the folders of the table."""
    bucket, prefix = _split(target)
    keep = tuple(f"{prefix}{folder}/" for folder in named)
    around = _around(prefix)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=around)
    sizes = {item["Key"]: int(item["Size"]) for page in pages for item in page.get("Contents", ())}
    whole = [key.removesuffix(COMPLETE) for key in sizes if _staged(key, prefix, around)]
    folders = {folder: [key for key in sizes if key.startswith(folder)] for folder in whole if folder not in keep}
    return [Old(folder, tuple(keys), sum(sizes[key] for key in keys)) for folder, keys in sorted(folders.items())]


def remove(s3: Any, target: str, old: Old) -> None:
    """Delete the folder, its mark first, so that it is never taken for a whole copy. Raises RuntimeError."""
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
    """Where to look: below the target, or below its parent where the target is a deployment's folder."""
    parent, _, name = prefix.rstrip("/").rpartition("/")
    return f"{parent}/" if parent and _BY_TABLE.fullmatch(name) else prefix


def _staged(key: str, prefix: str, around: str) -> bool:
    """Whether the key is the mark of a folder just below the target, or below a deployment's folder beside it."""
    parts = key.removeprefix(around).split("/")
    if around != prefix:
        return len(parts) == 3 and parts[2] == COMPLETE and bool(_BY_TABLE.fullmatch(parts[0]))
    return len(parts) == 2 and parts[1] == COMPLETE


def _portions(keys: list[str]) -> list[list[str]]:
    return [keys[start : start + MOST] for start in range(0, len(keys), MOST)]
