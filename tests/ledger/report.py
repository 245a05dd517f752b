"""Prints the ledger as a table."""

from __future__ import annotations

from collections import Counter

from tests.ledger.books import COUNTED, WRONG, Account
from tests.ledger.plan import KINDS, every_point

SHOWN = (*COUNTED, "doubles", "silent", "misstated", "unfinished", "needless", "untold", "unverified")


def table(account: Account, *, brief: bool = False) -> str:
    """One line per provider and kill point, or `brief`ly per provider; then the sum and what is wrong."""
    lines = [_line("provider", "killed at", *SHOWN)]
    for kind in KINDS:
        rows = {label: row for (name, label), row in sorted(account.rows.items()) if name == kind}
        if not brief:
            lines += [_line(kind, label, *(row[name] for name in SHOWN)) for label, row in rows.items()]
        total: Counter[str] = sum(rows.values(), Counter())
        lines.append(_line(kind, "all", *(total[name] for name in SHOWN)))
    labels = sorted({label for _, label in account.rows})
    for label in () if brief else labels:
        total = sum((row for (_, of), row in account.rows.items() if of == label), Counter())
        lines.append(_line("all", label, *(total[name] for name in SHOWN)))
    lines.append(_line("all", "all", *(account.total[name] for name in SHOWN)))
    total = account.total
    lines.append(f"charges {total['charges']} = images {total['images']} + recorded losses {total['losses']}")
    said = {**WRONG, "books": "months whose sums do not agree"}
    lines += [f"WRONG: {count} {said[name]}" for name, count in account.wrong.items()]
    lines += account.wrong_books + account.examples
    points, never = len(every_point()), missed(account)
    lines.append(f"points killed at: {points - len(never)} of {points}")
    lines += [" ".join(point) for point in never]
    if account.unhandled:
        reasons = Counter(text.strip().splitlines()[-1] for text in account.unhandled)
        lines += [f"{count} messages came back: {reason}" for reason, count in reasons.most_common(5)]
    return "\n".join(lines)


def missed(account: Account) -> list[tuple[str, str, str]]:
    """The points at which nothing was killed."""
    return sorted(every_point() - account.fired.keys())


def proofs(accounts: dict[str, Account]) -> str:
    """What is wrong without each guard."""
    return "\n".join(f"without {name:12} {account.wrong}" for name, account in accounts.items())


def _line(kind: str, label: str, *figures: object) -> str:
    return f"{kind:12} {label:18}" + "".join(f"{figure!s:>11}" for figure in figures)
