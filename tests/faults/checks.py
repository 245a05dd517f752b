"""Invariants that hold after any failure.

Each job has ended once, the books say what the jobs say, each charge is on a receipt, and nothing is half written.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from lambdas.domain import catalogue
from lambdas.domain.jobs.job import COMPLETED, Job
from lambdas.domain.limits import budget
from tests.faults.world import World


def check_all(world: World) -> None:
    """When nothing waits any more."""
    jobs = world.jobs()
    by_id = {job.id: job for job in jobs}
    assert all(job.final for job in jobs), [job.status for job in jobs]
    for job in jobs:
        _check_images(job, world)
    _check_books(jobs, world)
    _check_ledgers(jobs, world)
    batches = {row["sk"]["S"]: json.loads(row["job_ids"]["S"]) for row in world.rows("#batch")}
    for row in world.rows("#idempotency"):
        assert row["job_id"]["S"] in by_id or row["job_id"]["S"] in batches, "a key without its job"
        assert set(batches.get(row["job_id"]["S"], ())) <= set(by_id), "a batch without its jobs"
    for row in world.rows("#cache"):
        assert by_id[row["job_id"]["S"]].status == COMPLETED


def _check_images(job: Job, world: World) -> None:
    found = {row["sk"]["S"] for row in world.rows(table="images")}
    counted = {row["sk"]["S"] for row in world.rows(f"#{job.request.project_id}", "images")}
    for image in job.images:
        assert image.name in found & counted
        data = world.deps.blobs.get(image.key)
        assert data and len(data) == image.bytes
    if job.status == COMPLETED and not any("deleted" in row for row in world.rows()):
        assert len(job.images) == job.request.n


def _check_books(jobs: list[Job], world: World) -> None:
    """What was reserved is given back, and what was spent is spent once."""
    wanted = dict.fromkeys(("committed_microusd", "spent_microusd", "lost_microusd", "committed_images", "images"), 0)
    deleted = sum(len(row.get("deleted", {}).get("SS", ())) for row in world.rows())
    for job in jobs:
        if job.cached:
            continue
        change = asdict(budget.settlement(job))
        change["committed_microusd"] += job.reserved_microusd
        change["committed_images"] += job.reserved_images
        wanted = {column: value + change[column] for column, value in wanted.items()}
    rows = world.rows("#budget")
    assert len(rows) <= 1
    found = {column: int(rows[0].get(column, {"N": "0"})["N"]) if rows else 0 for column in wanted}
    wanted["images"] += deleted  # what was made stays counted
    wanted["committed_images"] += deleted
    assert found == wanted


def _check_ledgers(jobs: list[Job], world: World) -> None:
    """No order is charged twice, and each charge is an image or a loss that some receipt names."""
    for name, shop in world.providers.all.items():
        if catalogue.cards_of(name)[0].price_usd == 0:
            continue
        assert len(set(shop.charged)) == len(shop.charged), f"{name} was paid twice"
        told = [a for job in jobs for a in job.attempts if a.provider == name and a.outcome in ("success", "unknown")]
        assert len(shop.charged) <= len(told), f"{name} was paid for what no receipt names"
