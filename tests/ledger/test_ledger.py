"""The kill ledger in small: every point of every provider kind once, and every guard disabled once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from local.settings import ROOT
from tests.ledger.guards import GUARDS
from tests.ledger.plan import KINDS, every_point, is_saved, points_of, whole

MIN_JOBS = 123  # requests in which there is a kill at every point


def ledger(*arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: it forks, which one with pytest's threads must not."""
    command = [sys.executable, "-m", "tests.ledger", *arguments]
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.timeout(300)  # against a hang, not a bound: it takes some 20 s on two free cores
@pytest.mark.e2e
def test_each_job_ends_and_each_charge_is_an_image_or_a_recorded_loss() -> None:
    done = ledger("--jobs", str(MIN_JOBS), "--seed", "3", "--brief")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"points killed at: {len(every_point())} of {len(every_point())}" in done.stdout


@pytest.mark.timeout(300)
@pytest.mark.e2e
def test_the_ledger_sees_the_absence_of_every_guard() -> None:
    done = ledger("--guards")
    assert done.returncode == 0, done.stdout + done.stderr
    said = dict(line.removeprefix("without ").split(maxsplit=1) for line in done.stdout.splitlines())
    assert said.pop("none") == "{}"
    assert said.keys() == GUARDS.keys()
    assert all(f"'{GUARDS[name].column}'" in wrong for name, wrong in said.items()), said


def test_a_plan_is_the_same_for_the_same_seed() -> None:
    assert whole(300, 5) == whole(300, 5)
    assert whole(300, 5) != whole(300, 6)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_lost_by_one_kill_is_lost_in_one_stretch_before_it_is_kept(kind: str) -> None:
    saved = [is_saved(kind, *point) for point in points_of(kind)]
    lost = [number for number, kept in enumerate(saved) if not kept]
    assert lost == list(range(lost[0], lost[-1] + 1)) if lost else kind in ("comfyui", "sagemaker", "demo")
