"""The ports to what belongs to a tenant: keys, projects, its month of money, and how fast it may ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from lambdas.domain.analytics import Columns, Key
from lambdas.domain.limits.budget import Caps, Committed
from lambdas.domain.limits.rate import Verdict
from lambdas.domain.links import LinkKey
from lambdas.domain.projects import Counts, Project


class Keys(Protocol):
    """The port to the stored keys."""

    def tenant_of(self, key_hash: str) -> str | None:
        """The tenant of a living key, by its SHA-256 in hex; `None` for an unknown or revoked one."""


class LinkKeys(Protocol):
    """The keys that sign links to images."""

    def get(self, kid: str) -> LinkKey | None:
        """The key of this id, whether its time has ended or not."""

    def of(self, tenant: str, now: float) -> LinkKey:
        """The key that signs the tenant's links now, made where there is none."""


class Books(Protocol):
    """A tenant's month of money: what is committed, and changes for what is no job. Sums in micro-dollars.

    What jobs reserve and cost is written together with their records, by the port Jobs.
    """

    def committed(self, tenant: str, at: float) -> Committed:
        """What is spent and reserved in the month of `at`."""

    def hold(self, tenant: str, at: float, amount: int, caps: Caps) -> None:
        """Reserve in the month of `at`. Raises BudgetExceeded."""

    def settle(self, tenant: str, at: float, held: int, spent: int, lost: int, sums: Mapping[Key, Columns]) -> None:
        """Replace what was held by what was spent, and by what may have been; add to the daily sums with it."""


class Limits(Protocol):
    """How fast a tenant may ask for what costs or writes."""

    def admit(self, tenant: str, cost: int, now: float) -> Verdict | None:
        """Count `cost` requests at `now`, all or none of them; `None` where there is no limit."""


class Projects(Protocol):
    """A tenant's projects."""

    def create(self, project: Project) -> bool:
        """False when there is one of this id."""

    def ensure(self, tenant: str, project_id: str, now: float) -> None:
        """Make the project, named as its id, where it does not exist. Costs nothing the next time."""

    def get(self, tenant: str, project_id: str) -> Project | None: ...

    def list(self, tenant: str, limit: int, after: str | None) -> list[Project]:
        """In the order of their ids, those that come after `after`."""

    def counts(self, tenant: str, project_id: str) -> Counts: ...
