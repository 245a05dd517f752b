"""Sends corrupted pictures through every way in, each in its own process, and fails at an unknown outcome."""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys

from tests.pictures.ways import Ways, in_process


def main() -> int:
    """0 where every mutant had a known end at a known cost."""
    options = argparse.ArgumentParser(prog="python -m tests.pictures", description=__doc__)
    options.add_argument("--count", type=int, default=20_000, help="mutants by each way")
    options.add_argument(
        "--seed", type=int, default=random.randrange(2**32), help="as a run printed it, to repeat that"
    )
    options.add_argument("--processes", type=int, default=2)
    options.add_argument("--way", action="append", choices=sorted(Ways().all()), help="this one alone; may come again")
    asked = options.parse_args()
    print(f"--seed {asked.seed}", flush=True)  # noqa: T201
    tasks = [(asked.count, asked.seed, name) for name in asked.way or Ways().all()]
    failed = False
    with multiprocessing.get_context("spawn").Pool(asked.processes, maxtasksperchild=1) as pool:
        for name, found in pool.imap(in_process, tasks):
            mean = 1000 * found.total / max(1, found.count)
            print(  # noqa: T201
                f"{name:26} {found.count:7} mutants  {len(found.faults):4} faults  mean {mean:6.1f} ms"
                f"  longest {found.seconds:5.2f} s  memory +{found.memory:4.0f} MB",
                flush=True,
            )
            for fault in found.faults[:20]:
                print(f"    {fault}")  # noqa: T201
            failed |= bool(found.faults)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
