"""Searches many histories: `python -m tests.interleavings --examples 5000 [--store fakes|dynamo] [--seed 1]`."""

from __future__ import annotations

import argparse
import random
import sys
import time

from tests.interleavings.model import LawBroken
from tests.interleavings.search import STORES, search


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.interleavings", description=__doc__)
    parser.add_argument("--examples", type=int, default=1000, help="histories for each store")
    parser.add_argument("--steps", type=int, default=50, help="acts of a history, before all comes to rest")
    parser.add_argument("--store", choices=sorted(STORES), action="append")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="as a run printed it, to repeat that")
    parser.add_argument(
        "--first", action="store_true", help="show the first history that breaks a law, not the shortest"
    )
    options = parser.parse_args()
    sys.stdout.write(f"--seed {options.seed}\n")
    for store in options.store or sorted(STORES):
        began = time.monotonic()
        machine = STORES[store]
        try:
            search(store, options.examples, options.steps, options.seed, shrink=not options.first)
        except LawBroken:
            sys.stderr.write(f"{store}: after {machine.seen['history']} histories that broke no law\n")
            raise
        took = time.monotonic() - began
        figures = ", ".join(f"{count} {name}" for name, count in sorted(machine.seen.items()))
        sys.stdout.write(f"{store}: no law broken in {took:.0f} s; {figures}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
