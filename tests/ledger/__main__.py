"""`python -m tests.ledger --jobs 1000 --seed 1`: run the kill ledger and print it; fails where a column is wrong.

`--guards` instead shows, of each guard of the protocol, what becomes wrong without it.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.ledger import report
from tests.ledger.guards import GUARDS
from tests.ledger.run import prove, run


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--jobs", type=int, default=1000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--lanes", type=int, default=3, help="that run at the same time")
    options.add_argument("--without", choices=sorted(GUARDS), help="take away a guard: the ledger must then be wrong")
    options.add_argument("--guards", action="store_true", help="take away one after the other")
    options.add_argument("--brief", action="store_true", help="one line per provider")
    given = options.parse_args()
    began = time.monotonic()
    if given.guards:
        proofs = prove(given.seed, given.lanes)
        print(report.proofs(proofs))  # noqa: T201
        return int(any((name == "none") == bool(account.wrong) for name, account in proofs.items()))
    account = run(given.jobs, given.seed, given.lanes, given.without)
    print(report.table(account, brief=given.brief))  # noqa: T201
    print(f"{given.jobs} requests, seed {given.seed}: {time.monotonic() - began:.0f} s")  # noqa: T201
    return int(bool(account.wrong or report.missed(account)))


if __name__ == "__main__":
    sys.exit(main())
