"""Defines the findings of the check, their table and the exit status."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from lambdas.domain import catalogue
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.providers._client.http import quote
from lambdas.settings import Settings

OK: Final = "ok"
LEGACY: Final = "legacy"
GONE: Final = "gone"
UNLISTED: Final = "not in the catalogue"
UNCHECKED: Final = "unchecked"
NOT_ASKED: Final = "could not be asked"
SKIPPED: Final = "skipped"

SOON_DAYS: Final = 60  # as in the warnings of the service's answers
MAX_UNLISTED: Final = 20  # of one provider, whose list may have any length


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table. `until` is the model's last day if it is known; `why` begins in lower case."""

    provider: str
    model: str
    state: str
    why: str = ""
    until: date | None = None

    @property
    def text(self) -> str:
        """The state with its date and its reason."""
        end = f" until {self.until.isoformat()}" if self.until else ""
        if self.state == LEGACY and not end:
            end = ", its end is not told"
        return f"{self.state}{end}" + (f": {self.why}" if self.why else "")


# Asks one service about these models, within a number of seconds in total. Raises ProviderFailure.
Check = Callable[[Settings, tuple[ModelCard, ...], float], list[Finding]]


def unlisted(provider: str, models: Iterable[str]) -> list[Finding]:
    """Return the first MAX_UNLISTED models of a service that have no card, and the number of further ones."""
    names = sorted({quote(name) for name in models if catalogue.card(name) is None})
    found = [Finding(provider, name, UNLISTED, _ended(name)) for name in names[:MAX_UNLISTED]]
    if more := len(names) - len(found):
        found.append(Finding(provider, f"{more} more", UNLISTED))
    return found


def dated(finding: Finding, today: date) -> Finding:
    """Return the finding with the catalogue's date, if that is earlier, and with the state of its date."""
    card = catalogue.card(finding.model)
    if finding.state not in (OK, LEGACY, UNCHECKED):
        return finding
    if card and card.retires_on and (finding.until is None or card.retires_on < finding.until):
        finding = replace(finding, until=card.retires_on)
    if finding.until is None:
        return finding
    if finding.until <= today:
        return replace(finding, state=GONE, until=None, why=f"it ended on {finding.until.isoformat()}")
    return replace(finding, state=LEGACY) if _soon(finding, today) else finding


def exit_status(findings: Sequence[Finding], today: date) -> int:
    """Return 1 if a model is gone, or is legacy and ends soon or at an unknown date; 2 if a service was not asked."""
    if any(f.state == GONE or (f.state == LEGACY and _soon(f, today)) for f in findings):
        return 1
    return 2 if any(f.state == NOT_ASKED for f in findings) else 0


def table(findings: Sequence[Finding]) -> str:
    """Return the findings as lines of three columns."""
    rows = [("PROVIDER", "MODEL", "STATE"), *((f.provider, f.model, f.text) for f in findings)]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "".join(f"{row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]}\n" for row in rows)


def _soon(finding: Finding, today: date) -> bool:
    return finding.until is None or (finding.until - today).days <= SOON_DAYS


def _ended(name: str) -> str:
    gone = catalogue.retired(name)
    return f"the catalogue holds it to have ended, with {gone.replacement} after it" if gone else ""
