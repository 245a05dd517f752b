"""One tenant's service on emulated AWS, with the test's clock, workers and providers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType

from lambdas.adapters.dynamodb.batches import DynamoBatches
from lambdas.adapters.dynamodb.budget import DynamoBooks
from lambdas.adapters.dynamodb.health import DynamoHealth
from lambdas.adapters.dynamodb.items import plain
from lambdas.adapters.dynamodb.jobs import DynamoJobs, job_of
from lambdas.adapters.dynamodb.limits import DynamoLimits
from lambdas.adapters.dynamodb.link_keys import DynamoLinkKeys
from lambdas.adapters.dynamodb.outbox import DynamoOutbox
from lambdas.adapters.dynamodb.projects import DynamoProjects
from lambdas.adapters.dynamodb.slots import DynamoSlots
from lambdas.adapters.lambda_workers import LambdaWorkers
from lambdas.adapters.queues import SqsEvents, SqsQueue
from lambdas.adapters.s3_blobs import S3Blobs
from lambdas.adapters.webhooks.signer import StandardSigner
from lambdas.api.schemas.webhooks import render
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.jobs.job import Job
from lambdas.domain.jobs.request import GeneratedImage, ImageTask, Ticket
from lambdas.domain.limits.budget import Caps
from lambdas.handlers import dead_letter, webhooks, worker
from lambdas.usecases.deps import Deps
from lambdas.usecases.webhooks.deliver import Delivery
from tests.api.client import AnyClient
from tests.faults.injector import Injector, sent_to_queue
from tests.faults.receiver import Receiver
from tests.support.fake_events import FakeWebhookMeter
from tests.support.fakes import FakeClock, FakeMeter, FakePictures, deps_on_fakes

QUEUE, EVENTS = "https://sqs.eu-central-1.amazonaws.com/1/jobs", "https://sqs.eu-central-1.amazonaws.com/1/webhooks"
CAPS = Caps(microusd=50_000_000, images=500)
RATE = 60
COMES_AGAIN = 60.0  # seconds until a message that was not handled is seen again
RECEIVES = 5
PAID_SHOT, TICKET_OF_OURS, TICKET_OF_THEIRS = "bedrock", "runware_ai", "leonardo_ai"


def table_of(name: str) -> Any:
    return dynamodb_backends[DEFAULT_ACCOUNT_ID]["eu-central-1"].tables[name]


def rows_of(name: str) -> list[dict[str, Any]]:
    """All records of a table as they lie in the emulation, without a call."""
    return [row.to_json()["Attributes"] for rows in table_of(name).items.values() for row in rows.values()]


@dataclass
class Shop:
    """A provider that keeps a ledger of what it charged for: the seed of each order."""

    charged: list[int] = field(default_factory=list)

    def paint(self, order: ImageTask, timeout: float) -> GeneratedImage:
        self.charged.append(order.seed)
        return _painted(order)


@dataclass
class TicketShop:
    client_chooses_id: bool
    notifies_completion: bool = False
    charged: list[int] = field(default_factory=list)
    orders: dict[str, ImageTask] = field(default_factory=dict)

    def submit(self, order: ImageTask, timeout: float) -> Ticket:
        ticket = order.id if self.client_chooses_id else f"theirs-{order.id}"
        if ticket not in self.orders:
            self.charged.append(order.seed)
        self.orders[ticket] = order
        return Ticket(ticket)

    def collect(self, ticket: Ticket, order: ImageTask, timeout: float) -> GeneratedImage | None:
        if ticket.id not in self.orders:
            raise ProviderFailure(Failure.OUTCOME_UNKNOWN, "no such work", paid="unknown")
        return _painted(self.orders[ticket.id])


def _painted(order: ImageTask) -> GeneratedImage:
    return GeneratedImage(b"%dx%d:%d" % (*order.generate, order.seed), order.seed)


class Shops:
    """The port Providers."""

    def __init__(self, *names: str) -> None:
        self.all: dict[str, Any] = {
            name: TicketShop(name == TICKET_OF_OURS) if name in (TICKET_OF_OURS, TICKET_OF_THEIRS) else Shop()
            for name in names
        }

    def configured(self) -> frozenset[str]:
        return frozenset(self.all)

    def get(self, provider_id: str) -> Any:
        return self.all[provider_id]


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 900_000


@contextmanager
def beat_once(beat: Callable[[], bool], _seconds: float) -> Iterator[None]:
    with suppress(Exception):
        beat()
    yield


@dataclass
class World:
    """The service of one tenant. `limited`: it has budgets and a rate limit."""

    tenant: str
    injector: Injector
    providers: Shops
    limited: bool = True
    clock: FakeClock = field(default_factory=FakeClock)
    messages: list[dict[str, Any]] = field(default_factory=list)
    deps: Deps = field(init=False)
    client: AnyClient = field(init=False)
    receiver: Receiver = field(init=False)
    delivery: Delivery = field(init=False)
    tried: int = 0  # attempts to deliver the event that its row names, and that were never made

    def __post_init__(self) -> None:
        queue = SqsQueue(QUEUE)
        self.deps = replace(
            deps_on_fakes(),
            jobs=DynamoJobs("jobs", "images"),
            batches=DynamoBatches("jobs"),
            projects=DynamoProjects("projects", "jobs", "images"),
            limits=DynamoLimits("jobs", RATE if self.limited else 0),
            caps=CAPS if self.limited else Caps(),
            health=DynamoHealth("providers"),
            slots=DynamoSlots("providers", {TICKET_OF_THEIRS: 10}),
            books=DynamoBooks("jobs"),
            link_keys=DynamoLinkKeys("keys"),
            outbox=DynamoOutbox("jobs"),
            events=SqsEvents(EVENTS),
            blobs=S3Blobs("images", 300),
            pictures=FakePictures(),
            queue=queue,
            workers=_Workers("worker", queue),
            providers=self.providers,
            clock=self.clock,
            meter=FakeMeter(),
            heartbeat=beat_once,
        )
        self.client = AnyClient(self.deps, identity={"tenant": self.tenant, "auth": "ok"})
        self.receiver = Receiver(self.clock.now, lambda: self.injector.calls)
        self.delivery = Delivery(
            jobs=self.deps.jobs,
            outbox=self.deps.outbox,
            events=self.deps.events,
            receiver=self.receiver,
            signer=StandardSigner("keys", {}),
            clock=self.clock,
            meter=FakeWebhookMeter(),
            render=lambda event, job: render(event, job, self.deps.blobs),
        )
        self.injector.effects |= {"sqs.SendMessage": self._send, "lambda.Invoke": self._invoke}

    def _send(self, request: Any) -> Any:
        asked, answer = sent_to_queue(request)
        due = self.clock.now() + asked.get("DelaySeconds", 0)
        self.messages.append({"due": due, "body": asked["MessageBody"], "queue": asked["QueueUrl"], "received": 0})
        return answer

    def _invoke(self, request: Any) -> Any:
        with suppress(Exception):  # the function's error is in its answer, which nobody reads
            worker.handler(json.loads(request.body), Context())
        return {}

    def deliver(self, message: dict[str, Any]) -> None:
        """As the queue does: a message that is not handled comes again, and in the end is a dead letter."""
        self.messages.remove(message)
        self.clock.time = max(self.clock.time, message["due"])
        message["received"] += 1
        jobs_handler = dead_letter.handler if message["received"] > RECEIVES else worker.handler
        to = webhooks.handler if message["queue"] == EVENTS else jobs_handler
        answer = to({"Records": [{"messageId": "m", "body": message["body"]}]}, Context())
        if answer["batchItemFailures"]:
            self.messages.append({**message, "due": self.clock.now() + COMES_AGAIN})

    def of_jobs(self) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["queue"] == QUEUE]

    def settle(self) -> None:
        """Deliver what waits until nothing does."""
        for _ in range(100):
            waiting = sorted(self.of_jobs(), key=lambda message: message["due"])
            if not waiting:
                return
            self.deliver(waiting[0])
        raise AssertionError("the messages do not end")

    def of_events(self) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["queue"] == EVENTS]

    def tell(self) -> None:
        """Deliver the messages about events until there are none."""
        for _ in range(100):
            waiting = sorted(self.of_events(), key=lambda message: message["due"])
            if not waiting:
                return
            self.deliver(waiting[0])
        raise AssertionError("the messages about events do not end")

    def rows(self, kind: str = "", table: str = "jobs") -> list[dict[str, Any]]:
        """The tenant's records as they lie in the emulation, without a call."""
        found = table_of(table).items.get(DynamoType({"S": self.tenant + kind}), {})
        return [found[at].to_json()["Attributes"] for at in sorted(found, key=lambda at: at.value)]

    def jobs(self) -> list[Job]:
        return [job_of(plain(item)) for item in self.rows()]

    def counted(self) -> float:
        """Requests that the tenant's rate has counted; on a clock that stood still."""
        rows = self.rows("#rate")
        return max(0.0, (int(rows[0]["tat"]["N"]) / 1e6 - self.clock.now()) * RATE / 60) if rows else 0.0


class _Workers(LambdaWorkers):
    """With one client for all: the time that is waited stands still here."""

    def run(self, tenant: str, job_id: str, timeout: float) -> None:
        super().run(tenant, job_id, 20.0)


def open_world(tenant: str, injector: Injector, *providers: str, limited: bool = True) -> World:
    return World(tenant, injector, Shops(*providers), limited)
