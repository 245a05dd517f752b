"""Outgoing events in the table `jobs`: a row for each, written with its job's end, and marks of dead addresses."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.idempotency import TELL
from lambdas.adapters.dynamodb.listing import just_below, read_items
from lambdas.domain.jobs.job import Job
from lambdas.domain.ports.webhooks import EventPage
from lambdas.domain.webhooks import Event, State, event_of

Item = dict[str, Any]


def put(table: str, job: Job) -> list[Item]:
    """The part of a transaction that stores the event of a job in its final state; nothing where it has none."""
    event = event_of(job)
    return [{"Put": {"TableName": table, "Item": _item(event)}}] if event else []


class DynamoOutbox:
    """The port Outbox. Events are listed in the order of their jobs' ids, which is the order of time."""

    def __init__(self, table: str) -> None:
        self._table = table

    def get(self, tenant: str, job_id: str) -> Event | None:
        item = self._get(_partition(tenant), job_id)
        return _event(item, tenant) if item else None

    def move(self, before: Event, after: Event) -> bool:
        db = aws.client("dynamodb")
        written_by = {"S": uuid.uuid4().hex}
        try:
            db.put_item(
                TableName=self._table,
                Item={**_item(after), "written_by": written_by},
                ConditionExpression="#state = :state AND attempts = :attempts AND due = :due AND lease_until = :lease",
                ExpressionAttributeNames={"#state": "state"},
                ExpressionAttributeValues={
                    ":state": {"S": before.state},
                    ":attempts": {"N": str(before.attempts)},
                    ":due": {"N": str(before.due)},
                    ":lease": {"N": str(before.lease_until)},
                },
                **TELL,
            )
        except db.exceptions.ConditionalCheckFailedException as refused:
            # a writing whose answer was lost is sent again, and finds itself
            return bool(refused.response.get("Item", {}).get("written_by") == written_by)
        return True

    def list(self, tenant: str, state: State | None, limit: int, cursor: str | None) -> EventPage:
        """Raises InvalidRequest for a cursor that was never given out."""
        last = just_below(cursor) if cursor is not None else "~"  # above every id
        if not last:
            return EventPage([], None)
        if state is None:
            index, attribute, value = {}, "pk", _partition(tenant)
        else:
            index, attribute, value = {"IndexName": "by_status"}, "status_key", _listed_under(tenant, state)
        found = aws.client("dynamodb").query(
            TableName=self._table,
            KeyConditionExpression="#k = :k AND sk <= :last",
            ExpressionAttributeNames={"#k": attribute},
            ExpressionAttributeValues={":k": {"S": value}, ":last": {"S": last}},
            ScanIndexForward=False,
            Limit=limit + 1,  # the one more tells whether this was the last page
            **index,
        )["Items"]
        more, found = len(found) > limit, found[:limit]
        cursor = found[-1]["sk"]["S"] if more else None
        if index:  # it holds keys alone, and may be a moment behind
            found = read_items(self._table, _partition(tenant), [item["sk"]["S"] for item in found])
            found = [item for item in found if item["state"]["S"] == state]
        return EventPage([_event(item, tenant) for item in found], cursor)

    def disable(self, tenant: str, url: str, until: float) -> None:
        item = {**_mark(tenant, url), "expires_at": {"N": str(int(until))}}
        aws.client("dynamodb").put_item(TableName=self._table, Item=item)

    def enable(self, tenant: str, url: str) -> None:
        aws.client("dynamodb").delete_item(TableName=self._table, Key=_mark(tenant, url))

    def disabled(self, tenant: str, url: str, now: float) -> bool:
        mark = _mark(tenant, url)
        item = self._get(mark["pk"]["S"], mark["sk"]["S"])
        return item is not None and int(item["expires_at"]["N"]) > now

    def _get(self, pk: str, sk: str) -> Item | None:
        key = {"pk": {"S": pk}, "sk": {"S": sk}}
        found = aws.client("dynamodb").get_item(TableName=self._table, Key=key, ConsistentRead=True)
        item: Item | None = found.get("Item")
        return item


def _partition(tenant: str) -> str:
    return f"{tenant}#webhooks"


def _listed_under(tenant: str, state: str) -> str:
    return f"{tenant}#webhook-{state}"


def _mark(tenant: str, url: str) -> Item:
    return {"pk": {"S": f"{tenant}#webhooks-disabled"}, "sk": {"S": hashlib.sha256(url.encode()).hexdigest()}}


def _item(event: Event) -> Item:
    item = {
        "pk": {"S": _partition(event.tenant)},
        "sk": {"S": event.job_id},
        "status_key": {"S": _listed_under(event.tenant, event.state)},
        "state": {"S": event.state},
        "type": {"S": event.type},
        "url": {"S": event.url},
        "last_error": {"S": event.last_error},
    }
    for name in ("attempts", "due", "lease_until", "created_at", "finished_at", "expires_at"):
        item[name] = {"N": str(getattr(event, name))}
    if event.last_status is not None:
        item["last_status"] = {"N": str(event.last_status)}
    return item


def _event(item: Item, tenant: str) -> Event:
    texts = {name: item[name]["S"] for name in ("state", "type", "url", "last_error")}
    whole = {name: int(item[name]["N"]) for name in ("attempts", "due", "lease_until", "expires_at")}
    moments = {name: float(item[name]["N"]) for name in ("created_at", "finished_at")}
    status = int(item["last_status"]["N"]) if "last_status" in item else None
    return Event(tenant=tenant, job_id=item["sk"]["S"], last_status=status, **texts, **whole, **moments)  # type: ignore[arg-type]
