"""Providers that charge into their own ledger, and whose calls end as the test says."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final

from lambdas.domain.failures import Failure, Paid, ProviderFailure
from lambdas.domain.jobs.request import GeneratedImage, ImageTask, Ticket

# How a call that asks for work ends: whether it was charged, and what the caller gets to see (`None`: its image).
ENDS: Final[dict[str, tuple[bool, tuple[Failure, Paid] | None]]] = {
    "success": (True, None),
    "no picture": (True, None),
    "refused": (False, (Failure.CONTENT_POLICY, "no")),
    "throttled": (False, (Failure.THROTTLED, "no")),
    "unavailable": (False, (Failure.UNAVAILABLE, "no")),
    "failed": (False, (Failure.FAILED, "no")),
    "timeout": (False, (Failure.TIMEOUT, "unknown")),
    "timeout after the charge": (True, (Failure.TIMEOUT, "unknown")),
    "answer lost": (True, (Failure.OUTCOME_UNKNOWN, "unknown")),
    "connection broken": (False, (Failure.OUTCOME_UNKNOWN, "unknown")),
}
# How a look at work that goes on ends. Work that failed is not charged; work that was forgotten stays charged.
LOOKS: Final[dict[str, tuple[Failure, Paid] | None]] = {
    "slow": None,
    "look unavailable": (Failure.UNAVAILABLE, "no"),
    "forgotten": (Failure.OUTCOME_UNKNOWN, "unknown"),
    "work failed": (Failure.FAILED, "unknown"),
}
SHOTS: Final = {"bedrock": "single_shot", "gemini": "single_shot", "sagemaker": "single_shot", "demo": "instant"}
TICKETS: Final = {"runware_ai": True, "leonardo_ai": False, "comfyui": True}  # whether the work has our own id
PAID: Final = frozenset({"bedrock", "gemini", "runware_ai", "leonardo_ai"})


@dataclass
class Call:
    """A call that asked for work. Work that fails later is not charged."""

    provider: str
    model: str
    order_id: str
    end: str
    charged: bool


@dataclass
class Ledger:
    """What the providers know. `asked` is told of every call at the moment in which it arrives."""

    pause: Callable[[str], object]
    asked: Callable[[Call], None]
    calls: list[Call] = field(default_factory=list)
    works: dict[str, tuple[Call, bytes]] = field(default_factory=dict)  # by the ticket
    script: dict[str, deque[str]] = field(default_factory=dict)
    looks: dict[str, deque[str]] = field(default_factory=dict)
    ends: Counter[str] = field(default_factory=Counter)
    sleeper: str = ""  # a provider that works for nobody until it is `awake`, and then tells when it is done
    awake: Callable[[], bool] = lambda: True

    def say(self, provider: str, end: str) -> None:
        """How the provider's next call, or the next look at its work, ends."""
        script = self.looks if end in LOOKS else self.script
        script.setdefault(provider, deque()).append(end)

    def configured(self) -> frozenset[str]:
        return frozenset(SHOTS) | frozenset(TICKETS)

    def get(self, provider: str) -> Any:
        if provider == self.sleeper:
            return SimpleNamespace(
                client_chooses_id=False,
                notifies_completion=True,
                submit=lambda order, _timeout: Ticket(f"place-{self._ask(provider, order, 'submit')[0]}"),
                collect=lambda ticket, order, _timeout: self._look(order) if self.awake() else None,
            )
        if provider in SHOTS:
            return SimpleNamespace(paint=lambda order, _timeout: self._paint(provider, order))
        return SimpleNamespace(
            client_chooses_id=TICKETS[provider],
            notifies_completion=False,
            submit=lambda order, _timeout: self._submit(provider, order),
            collect=lambda ticket, _order, _timeout: self._collect(provider, ticket),
        )

    @staticmethod
    def _look(order: ImageTask) -> GeneratedImage:
        return GeneratedImage(b"%dx%d:woken" % order.generate)

    def _paint(self, provider: str, order: ImageTask) -> GeneratedImage:
        return GeneratedImage(self._ask(provider, order, "paint")[1])

    def _submit(self, provider: str, order: ImageTask) -> Ticket:
        number, _ = self._ask(provider, order, "submit")
        return Ticket(order.id if TICKETS[provider] else f"theirs-{number}")

    def _ask(self, provider: str, order: ImageTask, what: str) -> tuple[int, bytes]:
        """The call arrives and is charged; then its answer comes back. Between the two the caller can be killed."""
        self.pause(f"{what} {provider}")
        script = self.script.get(provider)
        end = script.popleft() if script else "success"
        charged, failure = ENDS[end]
        call = Call(provider, order.card.id, order.id, end, charged)
        number = len(self.calls)
        self.calls.append(call)
        self.ends[end] += 1
        self.asked(call)
        data = b"no picture" if end == "no picture" else b"%dx%d:%d" % (*order.generate, number)
        if charged and provider in TICKETS:
            self.works[order.id if TICKETS[provider] else f"theirs-{number}"] = call, data
        self.pause(f"answer {provider}")
        if failure:
            raise ProviderFailure(failure[0], end, paid=failure[1])
        return number, data

    def _collect(self, provider: str, ticket: Ticket) -> GeneratedImage | None:
        self.pause(f"collect {provider}")
        call, data = self.works.get(ticket.id, (None, b""))
        if call is None:
            raise ProviderFailure(Failure.OUTCOME_UNKNOWN, "no such work", paid="unknown")
        script = self.looks.get(provider)
        look = script.popleft() if script else None
        if look is None:
            return GeneratedImage(data)
        self.ends[look] += 1
        failure = LOOKS[look]
        if failure is None:
            return None
        if failure[1] == "unknown":
            self.works.pop(ticket.id)
            call.charged = look == "forgotten"
        raise ProviderFailure(failure[0], look, paid=failure[1])
