"""A webhook receiver, and the invariants of its events after any failure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lambdas.domain.ports.webhooks import Reply
from lambdas.domain.webhooks import DELIVERED, DISABLED, MAX_ATTEMPTS
from tests.support.signatures import verified

if TYPE_CHECKING:
    from tests.faults.injector import Plan
    from tests.faults.world import World

SECRET = "whsec_" + 40 * "A"


@dataclass(frozen=True)
class Post:
    id: str
    said: dict[str, Any]
    status: int


@dataclass
class Receiver:
    """The port Receiver: it verifies each attempt, and gives its `answers` in turn, the last one from then on."""

    now: Callable[[], float]
    calls: Callable[[], list[str]]  # of AWS, so far
    answers: list[int] = field(default_factory=lambda: [200])
    posts: list[Post] = field(default_factory=list)
    first_at: int | None = None  # so many calls were made before the first attempt

    def post(self, _url: str, body: bytes, headers: Mapping[str, str], _timeout: float) -> Reply:
        if self.first_at is None:
            self.first_at = len(self.calls())
        said = verified(SECRET, body, headers, self.now())
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.posts.append(Post(headers["webhook-id"], said, status))
        return Reply(status)


def check_events(world: World, plan: Plan | None) -> None:
    """When nothing waits any more: each job that has ended was told of once, or its event says why not.

    A second time only where the attempt's own writing, which follows it, failed for good. `plan`: what failed.
    """
    first_at = world.receiver.first_at
    afterwards = world.injector.calls[first_at:] if first_at is not None else []
    unwritten = bool(plan and plan.persistent and plan.call in afterwards)
    unanswered = bool(plan and plan.persistent and plan.fault == "lost")
    rows = {row["sk"]["S"]: row for row in world.rows("#webhooks")}
    jobs = {job.id: job for job in world.jobs() if job.request.webhook_url}
    assert rows.keys() == jobs.keys()
    for job_id, row in rows.items():
        end, state, attempts = f"generation.{jobs[job_id].status}", row["state"]["S"], int(row["attempts"]["N"])
        assert row["type"]["S"] == end
        assert row["status_key"]["S"] == f"{world.tenant}#webhook-{state}"
        assert row["lease_until"]["N"] == "0", "an attempt that never ended"
        posts = [post for post in world.receiver.posts if post.id == f"msg_{job_id}"]
        for post in posts:
            data = post.said["data"]
            assert (post.said["type"], data["generation_id"]) == (end, job_id)
            assert data["status"] == jobs[job_id].status
        taken = sum(post.status == 200 for post in posts)
        assert (state == DELIVERED) <= taken <= (state == DELIVERED) + unwritten
        made = len(posts) + world.tried
        if unwritten and plan and plan.call.startswith("sqs"):
            assert attempts == made - 1, "an outage of the queue uses no attempt up"
        assert abs(attempts - made) <= (unwritten or unanswered)
        assert attempts <= MAX_ATTEMPTS
        assert len(world.rows("#webhooks-disabled")) == (state == DISABLED)
