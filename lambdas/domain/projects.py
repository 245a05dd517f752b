"""A project: a name under which a tenant's jobs and images are found together."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT = "default"  # of every tenant, from the start


@dataclass(frozen=True, slots=True)
class Project:
    """`created_at` in Unix seconds."""

    tenant: str
    id: str
    name: str
    created_at: float


@dataclass(frozen=True, slots=True)
class Counts:
    """What a project holds now. Where it is not `exact`, there is at least this much."""

    jobs: int
    images: int
    exact: bool = True
