"""What a quiet tenant notices of one that asks for nine tenths of more than can be done, in virtual time."""

from __future__ import annotations

import argparse
from dataclasses import replace

from tests.support.fairness import GREEDY, QUIET, Outcome, Scene, crowd, play

SECONDS = 8.0  # of one image, approximately


def row(name: str, outcome: Outcome, scene: Scene) -> None:
    """Print one scene: both tenants' waits, the refusals, and the used share of the capacity."""
    waits = "".join(
        f"{outcome.wait(tenant, 0.5):8.1f} /{outcome.wait(tenant):6.1f}" if tenant in scene.rates else " " * 15
        for tenant in (QUIET, GREEDY)
    )
    refused = "/".join(str(outcome.refused[tenant]) for tenant in (QUIET, GREEDY))
    room = min(scene.workers, scene.cap or scene.workers)
    used = outcome.completed * SECONDS / (room * scene.minutes * 60)
    held = f"{outcome.most_held[GREEDY]} of {scene.cap}" if scene.cap else "-"
    print(f"{name:38}{waits}  {refused:>9}  {held:>8}  {used:6.0%}  {outcome.released:8}")


def scenes(minutes: float) -> None:
    """Run scenes with workers as the bottleneck, as in the environments dev and prod, then with a capped provider."""
    print(f"{'':38}{'quiet p50 / p95':>15}{'greedy p50/p95':>15}  {'refused':>9}  {'held':>8}  {'used':>6}  given back")
    for workers in (5, 20):
        scene = Scene(crowd(workers, SECONDS), workers=workers, minutes=minutes, seconds=SECONDS)
        name = f"{workers} workers"
        alone = scene.alone(QUIET)
        row(f"{name}, quiet alone", play(alone), alone)
        row(f"{name}, fair queue", play(scene), scene)
        row(f"{name}, queue without groups", play(replace(scene, fair=False)), scene)
        row(f"{name}, fair, refusing at 120 s", play(replace(scene, max_queue_seconds=120.0)), scene)
    for workers, cap in ((5, 4), (20, 10)):
        scene = Scene(
            crowd(cap, SECONDS), workers=workers, provider="leonardo_ai", cap=cap, minutes=minutes, seconds=SECONDS
        )
        name = f"{workers} workers, {cap} slots"
        alone = scene.alone(QUIET)
        row(f"{name}, quiet alone", play(alone), alone)
        row(f"{name}, fair queue", play(scene), scene)
        row(f"{name}, queue without groups", play(replace(scene, fair=False)), scene)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="of virtual time in each scene")
    scenes(parser.parse_args().minutes)
