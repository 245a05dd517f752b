"""Webhooks: which to list, what became of one, and what a receiver gets."""

from __future__ import annotations

from pydantic import Field

from lambdas.api.schemas.common import Query, View
from lambdas.api.schemas.jobs import JobView
from lambdas.domain.ids import JOB_ID
from lambdas.domain.iso_time import iso
from lambdas.domain.jobs.job import Job
from lambdas.domain.ports.media import Blobs
from lambdas.domain.webhooks import PENDING, Event, EventType, State
from lambdas.usecases.webhooks.payload import payload


class WebhooksQuery(Query):
    """The query of GET /unified/webhooks."""

    state: State | None = None
    limit: int = Field(20, ge=1, le=100)
    cursor: str | None = Field(None, pattern=f"^{JOB_ID.pattern}$")


class WebhookView(View):
    """An event: one final state of one job, for one address."""

    generation_id: str
    webhook_id: str = Field(description="The `webhook-id` header, the same at every attempt.")
    type: EventType
    url: str
    state: State
    attempts: int
    next_attempt_at: str | None = Field(description="While pending: not before this time.")
    created_at: str
    last_status: int | None = Field(description="The HTTP status of the last answer.")
    last_error: str | None

    @classmethod
    def of(cls, event: Event) -> WebhookView:
        return cls(
            generation_id=event.job_id,
            webhook_id=event.id,
            type=event.type,
            url=event.url,
            state=event.state,
            attempts=event.attempts,
            next_attempt_at=iso(event.due) if event.state == PENDING else None,
            created_at=iso(event.created_at) or "",
            last_status=event.last_status,
            last_error=event.last_error or None,
        )


class WebhooksView(View):
    webhooks: list[WebhookView]
    next_cursor: str | None


def render(event: Event, job: Job, blobs: Blobs) -> bytes:
    """The body of an attempt to deliver the event."""
    return payload(event, JobView.of(job, blobs).model_dump())
