"""Defines projects, which group a tenant's jobs and images under a name."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT = "default"  # the project that every tenant has


@dataclass(frozen=True, slots=True)
class Project:
    """`created_at` in Unix seconds."""

    tenant: str
    id: str
    name: str
    created_at: float


@dataclass(frozen=True, slots=True)
class Counts:
    """The contents of a project now; a lower bound if not `exact`."""

    jobs: int
    images: int
    exact: bool = True
