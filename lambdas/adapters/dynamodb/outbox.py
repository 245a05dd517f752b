"""Stores webhook events and disabled webhook URLs in the table `jobs`; a job's last transaction adds its event."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import asdict, fields

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.items import RETURN_OLD, Raw, Values, get_item, item, plain, values
from lambdas.adapters.dynamodb.listing import just_below, read_items
from lambdas.adapters.dynamodb.writes import Part, refused
from lambdas.domain.jobs.job import Job
from lambdas.domain.ports.webhooks import EventPage
from lambdas.domain.webhooks import Event, State, event_of


def put(table: str, job: Job) -> list[Part]:
    """Return the transaction part that stores the event of a final job; none if it has no event."""
    event = event_of(job)
    return [{"Put": {"TableName": table, "Item": _item(event)}}] if event else []


class DynamoOutbox:
    """Implements the port Outbox. Events are listed by their jobs' ids, which is by time, newest first."""

    def __init__(self, table: str) -> None:
        self._table = table

    def get(self, tenant: str, job_id: str) -> Event | None:
        found = get_item(self._table, _partition(tenant), job_id)
        return _event(found, tenant) if found else None

    def move(self, before: Event, after: Event) -> bool:
        written_by = uuid.uuid4().hex
        left = refused(
            aws.client("dynamodb"),
            "put_item",
            TableName=self._table,
            Item=_item(after, written_by=written_by),
            ConditionExpression="#state = :state AND attempts = :attempts AND due = :due AND lease_until = :lease",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues=values(
                state=before.state, attempts=before.attempts, due=before.due, lease=before.lease_until
            ),
            **RETURN_OLD,
        )
        # a write whose response was lost is sent again and finds its own item
        return left is None or left.get("written_by") == written_by

    def list(self, tenant: str, state: State | None, limit: int, cursor: str | None) -> EventPage:
        """See the port. Raises InvalidRequest for an invalid cursor."""
        last = just_below(cursor) if cursor is not None else "~"  # above every id
        if not last:
            return EventPage([], None)
        if state is None:
            index, attribute, value = {}, "pk", _partition(tenant)
        else:
            index, attribute, value = {"IndexName": "by_status"}, "status_key", _listed_under(tenant, state)
        answer = aws.client("dynamodb").query(
            TableName=self._table,
            KeyConditionExpression="#k = :k AND sk <= :last",
            ExpressionAttributeNames={"#k": attribute},
            ExpressionAttributeValues=values(k=value, last=last),
            ScanIndexForward=False,
            Limit=limit + 1,  # the additional one shows whether there is a next page
            **index,
        )
        found = [plain(raw) for raw in answer["Items"]]
        more, found = len(found) > limit, found[:limit]
        cursor = found[-1]["sk"] if more else None
        if index:  # it has only keys, and may be stale
            found = read_items(self._table, _partition(tenant), [key["sk"] for key in found])
            found = [row for row in found if row["state"] == state]
        return EventPage([_event(row, tenant) for row in found], cursor)

    def disable(self, tenant: str, url: str, until: float) -> None:
        mark = item(*_mark(tenant, url), expires_at=int(until))
        aws.client("dynamodb").put_item(TableName=self._table, Item=mark)

    def enable(self, tenant: str, url: str) -> None:
        aws.client("dynamodb").delete_item(TableName=self._table, Key=item(*_mark(tenant, url)))

    def disabled(self, tenant: str, url: str, now: float) -> bool:
        mark = get_item(self._table, *_mark(tenant, url))
        return mark is not None and mark["expires_at"] > now


def _partition(tenant: str) -> str:
    return f"{tenant}#webhooks"


def _listed_under(tenant: str, state: str) -> str:
    return f"{tenant}#webhook-{state}"


def _mark(tenant: str, url: str) -> tuple[str, str]:
    return f"{tenant}#webhooks-disabled", hashlib.sha256(url.encode()).hexdigest()


def _item(event: Event, **more: str) -> Raw:
    attributes = {name: value for name, value in asdict(event).items() if name not in ("tenant", "job_id")}
    listed = _listed_under(event.tenant, event.state)
    return item(_partition(event.tenant), event.job_id, status_key=listed, **attributes, **more)


def _event(found: Values, tenant: str) -> Event:
    attributes = {field.name: found[field.name] for field in fields(Event) if field.name in found}
    moments = {name: float(found[name]) for name in ("created_at", "finished_at")}
    return Event(**attributes | moments | {"tenant": tenant, "job_id": found["sk"]})
