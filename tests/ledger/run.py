"""Runs lanes in separate processes on one emulator, and collects their results."""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from collections import Counter
from collections.abc import Sequence

from tests.ledger import stage
from tests.ledger.books import Account, generations_counted
from tests.ledger.guards import GUARDS
from tests.ledger.lane import run_lane
from tests.ledger.plan import Case, numbered, whole

Work = tuple[list[Case], str | None]  # the cases of a lane, and the guard that is taken away, if any


def run(jobs: int, seed: int, lanes: int = 3, guard: str | None = None) -> Account:
    """The books of `jobs` requests, run by `lanes` processes. Raises where a lane broke."""
    cases = whole(jobs, seed)
    account = Account()
    accounts, counted = _run([(cases[number::lanes], guard) for number in range(lanes)], seed, lanes)
    for found in accounts:
        account.add(found)
    account.compare(counted)
    return account


def prove(seed: int, lanes: int = 3) -> dict[str, Account]:
    """The books of each guard's cases without that guard; under "none" those of all these cases with all guards."""
    work: dict[str, Work] = {name: (numbered([*guard.cases]), name) for name, guard in sorted(GUARDS.items())}
    work["none"] = numbered([case for guard in GUARDS.values() for case in guard.cases]), None
    return dict(zip(work, _run([*work.values()], seed, lanes)[0], strict=True))


def _run(work: Sequence[Work], seed: int, at_once: int) -> tuple[list[Account], Counter[tuple[str, ...]]]:
    """The account of each lane, and the calls that the deployment has counted of all."""
    found: list[Account] = []
    with stage.emulator() as emulator:
        stage.clean_environment(emulator)
        stage.build(len(work))
        waiting, running = list(enumerate(work)), list[tuple[int, int]]()
        while waiting or running:
            while waiting and len(running) < at_once:
                number, (cases, guard) = waiting.pop(0)
                running.append(_start(number, cases, seed, guard))
            found.append(_end(*running.pop(0)))
        return found, generations_counted()


def _end(pid: int, told: int) -> Account:
    with os.fdopen(told, "rb") as answer:
        text = answer.read()
    os.waitpid(pid, 0)
    found: Account | str = pickle.loads(text)
    if isinstance(found, str):
        raise RuntimeError(f"a lane broke:\n{found}")
    return found


def _start(number: int, cases: list[Case], seed: int, guard: str | None) -> tuple[int, int]:
    told, tell = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        os.close(tell)
        return pid, told
    try:
        os.close(told)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the metrics of the functions
        answer: Account | str = run_lane(number, cases, seed, guard)
    except BaseException:
        answer = traceback.format_exc()
    with os.fdopen(tell, "wb") as out:
        out.write(pickle.dumps(answer))
    os._exit(0)
