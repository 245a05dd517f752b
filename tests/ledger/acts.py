"""The work of the forked processes: the api's submission, and the handling of a message by the other functions."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from lambdas import wiring
from lambdas.api.schemas.webhooks import render
from lambdas.domain.errors import ServiceError
from lambdas.domain.jobs.request import Draft, ImageRequest
from lambdas.handlers import dead_letter, webhooks, worker
from lambdas.observability import logger
from lambdas.usecases.deps import Deps
from lambdas.usecases.jobs.cancel_job import cancel_job
from lambdas.usecases.jobs.generate import generate
from lambdas.usecases.jobs.submit_batch import submit_batch
from lambdas.usecases.jobs.submit_job import Caller
from tests.ledger.plan import Case
from tests.ledger.process import Clock, Tapped, Wire

CONTEXT = SimpleNamespace(get_remaining_time_in_millis=lambda: 900_000, aws_request_id="ledger")
API_SECONDS = 25.0
live = wiring.live  # the deployed ports, also after `wiring.live` has been made to give others
SEEDS = 16  # from one prompt's seed to the next one's


def prompt_of(number: int) -> str:
    return f"a red fox number {number:06d} in the snow"


def request_of(case: Case, number: int, hooks: str) -> ImageRequest:
    """`hooks`: where the tenant's webhooks go."""
    return ImageRequest(
        prompt_of(number),
        provider=case.kind,
        fallback=(case.other,) if case.other else False,
        n=case.images,
        seed=1_000_000 + SEEDS * number,
        width=256,
        height=256,
        cache=True,
        webhook_url=f"{hooks}/{number}/{case.hook}" if case.hook else None,
    )


def submitting(case: Case, tenant: str, hooks: str, deps: Deps) -> Callable[[], Any]:
    """The api: accept the request, or each of a batch; returns the ids of the jobs."""

    def act() -> Any:
        caller = Caller(tenant, f"req-{case.number}", f"key-{case.number}", f"print-{case.number}")
        try:
            if case.mode == "batch":
                drafts = [Draft(request_of(case, number, hooks)) for number in case.numbers]
                jobs = submit_batch(drafts, caller, deps)[1]
                return [job.id for job in jobs]
            deadline = deps.clock.now() + API_SECONDS
            draft = Draft(request_of(case, case.number, hooks))
            job, _ = generate(draft, caller, deps, respond_async=not case.sync, deadline=deadline)
        except ServiceError as refused:
            return {"refused": refused.code}
        return [job.id]

    return act


def cancelling(tenant: str, job_id: str, deps: Deps) -> Callable[[], Any]:
    def act() -> Any:
        try:
            return bool(cancel_job(tenant, job_id, deps))
        except ServiceError as refused:
            return {"refused": refused.code}

    return act


def handling(body: str, deps: Deps, clock: Clock, *, dead: bool) -> Callable[[], Any]:
    """A function's handler with one message; returns what it could not handle, and why."""
    module: Any = dead_letter if dead else worker

    def act() -> Any:
        why: list[str] = []
        logger.exception = lambda *_, **__: why.append(traceback.format_exc())  # type: ignore[method-assign]
        wiring.live = lambda: deps  # type: ignore[assignment]
        if hasattr(module, "time"):
            module.time = clock
        answer = module.handler({"Records": [{"messageId": "m", "body": body}]}, CONTEXT)
        return {"failed": len(answer["batchItemFailures"]), "why": why}

    return act


def informing(body: str, deps: Deps, wire: Wire) -> Callable[[], Any]:
    """The webhooks function's handler with one message."""

    def act() -> Any:
        why: list[str] = []
        logged: Any = logger
        logged.exception = lambda *_, **__: why.append(traceback.format_exc())
        wiring.live = lambda: deps  # type: ignore[assignment]
        made = wiring.delivery(render)
        receiver: Any = Tapped(made.receiver, wire, lambda *_, **__: "event post")
        webhooks._delivery = lambda: replace(made, receiver=receiver)  # type: ignore[assignment]
        answer = webhooks.handler({"Records": [{"messageId": "m", "body": body}]}, CONTEXT)
        return {"failed": len(answer["batchItemFailures"]), "why": why}

    return act


def message_of(body: str) -> tuple[str, str, bool]:
    """Tenant, job, and whether it is the watchdog's."""
    said = json.loads(body)
    return said["tenant"], said["job_id"], said.get("watchdog", False)
