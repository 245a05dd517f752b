"""Lists jobs in pages, newest first, at a cost that does not grow with the number of jobs.

Job ids are ordered by time, so a time range is a range of ids and a cursor is the last id that was read. One index
serves the most selective filter; the others are applied to what it returns. The number of queries per page is bounded,
so a page may have fewer jobs than asked for and still a cursor.
"""

from __future__ import annotations

import uuid

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.items import Values, item, plain, values
from lambdas.adapters.dynamodb.writes import attempts
from lambdas.domain.errors import InvalidRequest, Unavailable
from lambdas.domain.ids import JOB_ID, job_id_at
from lambdas.domain.jobs.job import JobFilter

MAX_QUERIES = 4  # of one page
MAX_READS = 8  # of one page's items, if the table returns only a part of them


def list_jobs(
    table: str, tenant: str, where: JobFilter, limit: int, cursor: str | None
) -> tuple[list[Values], str | None]:
    """Return the items of one page and the next cursor. Raises InvalidRequest for an invalid cursor."""
    first = job_id_at(where.since) if where.since is not None else str(uuid.UUID(int=0))
    last = job_id_at(where.until, end=True) if where.until is not None else str(uuid.UUID(int=(1 << 128) - 1))
    if cursor is not None:
        last = min(last, just_below(cursor))
    found: list[Values] = []
    for _ in range(MAX_QUERIES):
        if first > last:
            return found, None
        ids, more = _ids(table, tenant, where, first, last, limit)
        for record in read_items(table, tenant, ids):
            if _matches(record, tenant, where):
                found.append(record)
                if len(found) == limit:
                    following = record["sk"]
                    return found, following if more or following != ids[-1] else None
        if not more:
            return found, None
        last = just_below(ids[-1])
    return found, ids[-1]


def just_below(job_id: str) -> str:
    """Return the largest id below this one, or an empty string, which is below every id."""
    if not JOB_ID.fullmatch(job_id):
        raise InvalidRequest("cursor must be a next_cursor of an earlier page")
    number = uuid.UUID(job_id).int
    return str(uuid.UUID(int=number - 1)) if number else ""


def _ids(table: str, tenant: str, where: JobFilter, first: str, last: str, limit: int) -> tuple[list[str], bool]:
    index, attribute, value = _index(tenant, where)
    answer = aws.client("dynamodb").query(
        TableName=table,
        KeyConditionExpression="#k = :k AND sk BETWEEN :first AND :last",
        ExpressionAttributeNames={"#k": attribute},
        ExpressionAttributeValues=values(k=value, first=first, last=last),
        ProjectionExpression="sk",
        ScanIndexForward=False,
        Limit=limit + 1,  # the additional one shows whether there is a next page
        **({"IndexName": index} if index else {}),
    )
    ids = [plain(key)["sk"] for key in answer["Items"]]
    return ids[:limit], len(ids) > limit


def _index(tenant: str, where: JobFilter) -> tuple[str | None, str, str]:
    if where.project_id is not None:
        return "by_project", "project_key", f"{tenant}#{where.project_id}"
    if where.status is not None:
        return "by_status", "status_key", f"{tenant}#{where.status}"
    if where.provider is not None:
        return "by_provider", "provider_key", f"{tenant}#{where.provider}"
    return None, "pk", tenant


def read_items(table: str, tenant: str, ids: list[str]) -> list[Values]:
    """Return the items of these ids, in their order, without those that do not exist. Raises Unavailable."""
    wanted = [item(tenant, job_id) for job_id in ids]
    got: dict[str, Values] = {}
    for _ in attempts(MAX_READS, 0.1) if wanted else ():
        answer = aws.client("dynamodb").batch_get_item(RequestItems={table: {"Keys": wanted}})
        got |= {record["sk"]: record for record in map(plain, answer["Responses"].get(table, []))}
        wanted = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
        if not wanted:
            break
    if wanted:
        raise Unavailable("the records could not be read, the table has no room now", retry_after=1)
    return [got[job_id] for job_id in ids if job_id in got]


def _matches(record: Values, tenant: str, where: JobFilter) -> bool:
    """Return whether the item passes all filters, that of the index included, which may be stale."""
    wanted = {"project_key": where.project_id, "status_key": where.status, "provider_key": where.provider}
    return all(record[name] == f"{tenant}#{value}" for name, value in wanted.items() if value is not None)
