"""Refuse a job that would wait too long in the queue, before anything is stored."""

from __future__ import annotations

from lambdas.domain.errors import Overloaded
from lambdas.domain.limits import backlog
from lambdas.usecases.deps import Deps


def check_backlog(tenant: str, second_after: float, deps: Deps) -> None:
    """Raises Overloaded if a job of the tenant, queued now, could not begin in time.

    Both the whole backlog and the tenant's own part of it must be too long: the fair queue serves a tenant with few
    jobs first, so no tenant is refused for another's load. `second_after`: see backlog.wait_of_all.
    """
    workers = deps.worker_concurrency
    limit = backlog.deadline(deps.max_queue_seconds, deps.generation_timeout)
    if workers <= 0 or limit <= 0:
        return
    messages = deps.backlog.waiting()
    if not messages:
        return
    mean = backlog.mean_seconds(deps.health.snapshot(), deps.clock.now())
    of_all = backlog.wait_of_all(messages, mean, workers, second_after)
    if of_all <= limit:
        return
    most = backlog.most_own(limit, mean, workers)
    # counted beyond the limit, because Retry-After depends on the excess
    own = deps.backlog.queued(tenant, min(2 * most + 1, backlog.MAX_COUNTED))
    if own <= most:
        return
    wait = min(of_all, backlog.wait_of_own(own, mean, workers))
    retry_after = backlog.retry_after(wait, limit)
    raise Overloaded(
        f"your waiting jobs would keep a new one longer than {limit:g} s; try again in {retry_after} s",
        retry_after=retry_after,
    )
