"""The service, its webhooks function and the queue between them, on the test's clock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lambdas.domain.jobs.job import Job
from lambdas.domain.jobs.request import ImageRequest
from lambdas.domain.ports.webhooks import Reply
from lambdas.domain.webhooks import Event
from lambdas.usecases.jobs.run_job import run_job
from lambdas.usecases.jobs.submit_job import Caller, submit_job
from lambdas.usecases.webhooks.deliver import Delivery, deliver_webhook
from tests.support import recursion
from tests.support.fake_events import FakeEvents, FakeReceiver, FakeSigner, FakeWebhookMeter, Message
from tests.support.fakes import Fakes

URL = "https://a.example/h"
VISIBLE_AGAIN = 180  # seconds until a message that was not handled comes again
DAY = 86_400
OK, DOWN = Reply(200), Reply(503)


class Killed(BaseException):
    """The function ends here."""


class World:
    """The service, its webhooks function, and what the queue does with the messages."""

    def __init__(self, **changes: Any) -> None:
        self.deps = Fakes(**changes)
        self.clock = self.deps.clock
        self.events: FakeEvents = self.deps.events
        self.receiver = FakeReceiver(now=self.clock.now)
        self.signer, self.meter = FakeSigner(), FakeWebhookMeter()
        self.dead: list[Message] = []
        self.delivery = Delivery(
            jobs=self.deps.jobs,
            outbox=self.deps.outbox,
            events=self.events,
            receiver=self.receiver,
            signer=self.signer,
            clock=self.clock,
            meter=self.meter,
            render=lambda event, job: f"{event.type} {job.id}".encode(),
        )

    def job(self, url: str | None = URL) -> Job:
        job, _ = submit_job(ImageRequest("x", webhook_url=url), Caller("acme", "r"), self.deps)
        return job

    def ended(self, url: str | None = URL) -> Job:
        job = self.job(url)
        return run_job("acme", job.id, self.clock.now() + 100, self.deps) or job

    def event(self, job: Job) -> Event:
        event = self.deps.outbox.get("acme", job.id)
        assert event
        return event

    def handle(self, message: Message) -> None:
        """As the queue does: what was not handled comes again, and what Lambda takes for a loop is dead."""
        chain = recursion.invoked("webhooks", message.chain)
        if chain is None:
            self.dead.append(message)
            return
        self.events.chain = chain
        try:
            deliver_webhook(message.tenant, message.job_id, message.due, self.delivery)
        except (Exception, Killed):
            self.events.messages.append(replace(message, arrives=self.clock.now() + VISIBLE_AGAIN))
        finally:
            self.events.chain = recursion.API

    def run(self, until: float = float("inf")) -> None:
        """Handle what arrives, in its order, until there is nothing more or `until`."""
        while self.events.messages and min(self.events.messages).arrives <= until:
            message = min(self.events.messages)
            self.events.messages.remove(message)
            self.clock.time = max(self.clock.time, message.arrives)
            self.handle(message)
        self.clock.time = max(self.clock.time, min(until, 1e12) if until != float("inf") else 0)
