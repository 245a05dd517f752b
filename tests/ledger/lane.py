"""A lane runs its cases one after the other, each delivery in its own process, and then compares the books."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tests.ledger import acts, books, guards, shelf, stage
from tests.ledger.mail import EVENT_VISIBILITY, MAX_EVENT_RECEIVES, Mail, Message
from tests.ledger.plan import FREE, KINDS, Case, Kill
from tests.ledger.process import Clock, Process, Wire, fork, tap
from tests.ledger.receiver import receiver, told
from tests.ledger.sleeper import Sleeper
from tests.ledger.warm import warm
from tests.support import recursion

PAST_LEASE = 25.0
MAX_DELIVERIES = 60
MAX_MESSAGES = 1000  # about a job that has ended: its event's wait for hours comes in steps of 15 min
LATE, TWICE = 0.2, 0.15  # how often a message comes also after its job has ended, and how often twice


class Lane:
    """`guard` is one that the code is to do without, if any; `hooks` is where webhooks go."""

    def __init__(self, number: int, seed: int, guard: str | None, clock: Clock, hooks: str) -> None:
        self.tenants = (f"lane{number}a", f"lane{number}b")
        self.warm_tenant = f"{self.tenants[0]}-warm"
        self.guard = guard
        if guard == "round":
            recursion.allowed = frozenset  # type: ignore[assignment]
        self.die = random.Random(f"{seed}:{number}")
        self.clock, self.wire, self.hooks = clock, Wire(), hooks
        self.db, self.s3 = stage.client("dynamodb"), stage.client("s3")
        sqs = stage.client("sqs")
        readers = {"jobs": ("worker", "dead_letter"), "events": ("webhooks", None)}
        self.mail = Mail(sqs, os.environ["JOBS_QUEUE_URL"], self.die, readers["jobs"])
        limits = EVENT_VISIBILITY, MAX_EVENT_RECEIVES
        self.events = Mail(sqs, os.environ["WEBHOOKS_QUEUE_URL"], self.die, readers["events"], *limits)
        self.fired: Counter[tuple[str, str, str]] = Counter()
        self.kills: Counter[int] = Counter()
        self.unheard: Counter[int] = Counter()  # those of the webhooks function
        self.held: Counter[int] = Counter()  # slots at providers, when all of a case's work was done
        self.usual = dict.fromkeys(KINDS, 0.06)  # seconds of a whole run
        self.stopped: list[tuple[Process, Message | None]] = []
        self.ended: dict[tuple[str, str], Any] = {}  # records of jobs as they were first seen to be final
        self.unhandled: list[str] = []
        self.patient = False

    def run(self, case: Case, doubles: dict[str, str]) -> None:
        self.clock.set(case.begins_at)
        self.patient = case.patient
        self.mail.waiting.clear()
        self.events.waiting.clear()
        shelf.clear(self.db)
        for name, fault in case.faults:
            stage.control(doubles[name], "POST", "/_faults", {"fault": fault, "times": 1})
        tenant = self.tenants[case.number % 2]
        if case.busy:
            shelf.occupy(self.db, case.kind, case.begins_at + case.busy)
        state = self._submit(case, tenant, case.first)
        if case.again and state != "stopped":
            self.clock.sleep(self.die.choice((0.5, 40.0)))
            self._submit(case, tenant, None)
        self._resume()
        if case.mode == "cancel":
            self._cancel(case, tenant)
        self._deliver(case)
        self._resume()
        self._late(case)
        if case.hook:
            self._tell(case)
        if case.promised and case.kind not in FREE:
            self.held[case.number] = shelf.held(self.db)
        for name, _ in case.faults:
            stage.control(doubles[name], "DELETE", "/_faults")

    def deps(self, case: Case, *, worker: bool, telling: bool = False) -> Any:
        names = frozenset(name for name in (case.kind, case.other) if name)
        asleep = {case.kind: Sleeper(self.clock.now, case.begins_at + case.wakes)} if case.wakes else {}
        deps = tap(acts.live(), self.wire, names, self.clock, worker=worker, telling=telling, asleep=asleep)
        return guards.without(self.guard, deps, self.wire) if self.guard else deps

    def _fork(
        self,
        case: Case,
        act: Callable[[Any], Callable[[], Any]],
        kill: Kill | None,
        *,
        worker: bool,
        telling: bool = False,
        chain: recursion.Chain = recursion.API,
    ) -> Process:
        def run() -> Any:
            self.wire.kill, self.wire.counts, self.wire.chain = kill, {}, chain
            return act(self.deps(case, worker=worker, telling=telling))()

        return fork(run)

    def _end(self, process: Process, case: Case, kill: Kill | None, began: float) -> str:
        """Wait for the process, or kill it at any moment."""
        if kill and kill.step == "moment":
            time.sleep(max(0.0, self.die.uniform(0, 1.1 * self.usual[case.kind]) - (time.monotonic() - began)))
            process.end(signal.SIGSTOP if kill.stop else signal.SIGKILL)
        state = process.wait()
        if state in ("killed", "stopped"):
            assert kill
            self.fired[case.kind, kill.step, kill.when] += 1
            self.kills[case.number] += 1
        return state

    def _submit(self, case: Case, tenant: str, kill: Kill | None) -> str:
        began = time.monotonic()
        hooks = f"{self.hooks}/{tenant}"
        process = self._fork(case, lambda deps: acts.submitting(case, tenant, hooks, deps), kill, worker=False)
        state = self._end(process, case, kill, began)
        if state == "stopped":
            self.stopped.append((process, None))
            self.clock.sleep(PAST_LEASE)
        self.mail.take()
        return state

    def _cancel(self, case: Case, tenant: str) -> None:
        if self.mail.waiting:
            job_id = self.mail.waiting[0].job[1]
            process = self._fork(case, lambda deps: acts.cancelling(tenant, job_id, deps), case.last, worker=False)
            self._end(process, case, case.last, time.monotonic())

    def _deliver(self, case: Case) -> None:
        """Deliver until every job that is known has ended."""
        kills, last = list(case.kills), [case.last]
        for _ in range(MAX_DELIVERIES):
            self.mail.take()
            if self._all_ended():
                return
            watchdog = True if case.watchdog_first and kills else False if case.mode == "give up" else None
            message = self.mail.next(self.clock.now(), watchdog=watchdog)
            if message is None:
                return
            if message.due > self.clock.now():
                self.clock.set(message.due)
            left = last if message.dead else kills
            fired = self.kills[case.number]
            self._attend(message, case, left[0] if left else None)
            if left and (left[0] is None or self.kills[case.number] > fired):
                left.pop(0)  # else it waits for a run that comes so far

    def _attend(self, message: Message, case: Case, kill: Kill | None) -> None:
        waiting = list(self.stopped)
        copies = 2 if case.mode == "race" and message.receives == 1 else 1
        began = time.monotonic()

        def act(deps: Any) -> Callable[[], Any]:
            return acts.handling(message.body, deps, self.clock, dead=message.dead)

        chain = self.mail.chain(message)
        processes = [self._fork(case, act, kill if not n else None, worker=True, chain=chain) for n in range(copies)]
        for number, process in enumerate(processes):
            state = self._end(process, case, kill if not number else None, began)
            if state == "stopped":
                self.stopped.append((process, message))
                if kill and kill.brief:
                    self._fork(case, act, None, worker=True, chain=chain).wait()
                    self._go_on(process, message)
                else:
                    self.clock.sleep(PAST_LEASE)
            elif number == 0 or state != "done":
                self._settle(message, process)
        if copies == 1 and processes[0].state == "done" and not kill:
            self.usual[case.kind] += 0.1 * (time.monotonic() - began - self.usual[case.kind])
        for process, held in waiting:
            self._go_on(process, held)

    def _settle(self, message: Message, process: Process, mail: Mail | None = None) -> None:
        """What the queue does when the function has ended."""
        mail = mail or self.mail
        if process.state == "done" and not process.answer["failed"]:
            # those that go round for hours would multiply
            many = self.patient or (mail is self.events and len(mail.waiting) > 2)
            if self.die.random() < TWICE and not many:
                mail.again(message, self.clock.now())
            return
        if process.state == "done":
            self.unhandled += process.answer["why"]
        mail.back(message, self.clock.now())

    def _go_on(self, process: Process, message: Message | None) -> None:
        self.stopped.remove((process, message))
        process.resume()
        process.wait()
        self.mail.take()
        if message is not None:
            self._settle(message, process)

    def _resume(self) -> None:
        for process, message in list(self.stopped):
            self._go_on(process, message)

    def _tell(self, case: Case) -> None:
        """Deliver all messages about the job, which has ended, and about its event, until there are none."""
        kills = list(case.tells)
        for _ in range(MAX_MESSAGES):
            self.mail.take()
            self.events.take()
            mail = min(self.events, self.mail, key=Mail.first)
            message = mail.next(self.clock.now())
            if message is None:
                return
            self.clock.set(max(self.clock.now(), message.due))
            if mail is self.mail:
                self._attend(message, case, None)
                self._resume()
            elif self._inform(message, case, kills[0] if kills else None) and kills:
                kills.pop(0)  # else it waits for an attempt that comes so far

    def _inform(self, message: Message, case: Case, kill: Kill | None) -> bool:
        """One message to the webhooks function; whether it was killed, where it was to be."""

        def act(deps: Any) -> Callable[[], Any]:
            return acts.informing(message.body, deps, self.wire)

        chain = self.events.chain(message)
        process = self._fork(case, act, kill, worker=True, telling=True, chain=chain)
        killed = self._end(process, case, kill, time.monotonic()) == "killed"
        self.unheard[case.number] += killed
        self._settle(message, process, self.events)
        return killed or kill is None

    def _late(self, case: Case) -> None:
        """Some messages come when all is over: nothing may change then. Of a job that is to be told of, all come."""
        for message in [] if case.hook else list(self.mail.waiting):
            if self.die.random() < LATE:
                self.clock.set(max(self.clock.now(), message.due))
                self._attend(message, case, None)
                self._resume()

    def _all_ended(self) -> bool:
        for tenant, job_id in {message.job for message in self.mail.waiting}:
            if (tenant, job_id) in self.ended:
                continue
            key = {"pk": {"S": tenant}, "sk": {"S": job_id}}
            item = self.db.get_item(TableName="jobs", Key=key, ConsistentRead=True).get("Item")
            if item is None:
                continue
            if item["status"]["S"] not in ("completed", "failed", "cancelled"):
                return False
            self.ended[tenant, job_id] = item
        return True


def run_lane(number: int, cases: list[Case], seed: int, guard: str | None) -> books.Account:
    """All cases of a lane, and what the books say of them."""
    clock = Clock()
    with stage.doubles() as addresses, receiver(clock) as hooks:
        os.environ.update(stage.settings_of(number, addresses))
        lane = Lane(number, seed, guard, clock, hooks)
        warm(lane)
        for address in (*addresses.values(), hooks):
            stage.control(address, "DELETE", "/_ledger")
        try:
            for case in cases:
                lane.run(case, addresses)
        finally:
            for process, _ in lane.stopped:
                with suppress(ProcessLookupError):
                    process.end(signal.SIGKILL)
        calls = books.calls_of(addresses)
        return books.read(lane, cases, calls, told(hooks))
