"""A job: the record of one request, from acceptance to its one final state."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal

from lambdas.domain.catalogue.sizes import Sizing
from lambdas.domain.failures import Failure, Outcome, Paid
from lambdas.domain.jobs.request import Dropped, ImageRequest, Tokens, without_newer
from lambdas.domain.prompts import Method

JobStatus = Literal["queued", "running", "completed", "failed", "cancelled"]
QUEUED: Final = "queued"
RUNNING: Final = "running"
COMPLETED: Final = "completed"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
FINAL: Final[frozenset[JobStatus]] = frozenset({COMPLETED, FAILED, CANCELLED})


class RecordExists(Exception):
    """There is a record of this id already, and another request has made it."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One image in the bucket."""

    id: str
    name: str  # file name, id and extension
    key: str  # in the bucket: images/{tenant}/{project-id}/{provider}/{name}
    job_id: str
    project_id: str
    provider: str
    width: int
    height: int
    format: str
    bytes: int
    seed: int
    created_at: float
    mask_key: str = ""  # in the bucket, beside the image: what of it is the product, for a background
    confidence: float | None = None  # in that mask, 0 to 1
    components: dict[str, float | None] = field(default_factory=dict)  # what the confidence is made of


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call to a provider. It is written as `unknown` before the call and settled after it."""

    provider: str
    model: str
    outcome: Outcome = "unknown"
    error_code: Failure | None = None
    duration: float = 0.0
    cost_usd: float = 0.0
    image: int = 0  # which of the job's images the call was for
    started_at: float = 0.0
    ticket: str | None = None  # the provider's own id of the work, once it has accepted it
    paid: Paid = "unknown"  # yes: `cost_usd`, which is known also of work that goes on
    painted: float | None = None  # the seconds that the project's own GPU painted, where it says so
    loaded: float | None = None  # those that its last load of the model took
    tokens: Tokens | None = None  # of a call whose provider counts them

    @property
    def unsure(self) -> bool:
        """Whether it may have been charged for, and nobody knows; not so with a cost in a record without `paid`."""
        return self.paid == "unknown" and self.outcome != "success" and not self.cost_usd

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Attempt:
        code, tokens = data.get("error_code"), data.get("tokens")
        return cls(**{**data, "error_code": code and Failure(code), "tokens": tokens and Tokens(**tokens)})


@dataclass(frozen=True, slots=True)
class Rewriting:
    """How the prompt came to be as it is sent, and what that cost in USD: `lost_usd` may have been charged besides."""

    method: Method = "none"
    engine: str | None = None  # the model that wrote it
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    cost_usd: float = 0.0
    lost_usd: float = 0.0

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Rewriting:
        return cls(**{**data, "warnings": tuple(data["warnings"])})


@dataclass(frozen=True, slots=True)
class JobError:
    """Why the job failed, for its client."""

    code: str  # of a ServiceError
    message: str


@dataclass(frozen=True, slots=True)
class Job:
    """The record. Times are Unix seconds. `fence` counts the claims: a write of an older claim is refused."""

    tenant: str
    id: str
    request: ImageRequest
    model: str  # that answers, or is to answer
    provider: str
    seed: int
    created_at: float
    request_id: str = ""
    plan: tuple[str, ...] = ()  # the models to ask, in order
    prompt: str = ""  # as sent to the provider, where it is not the request's own
    rewriting: Rewriting | None = None  # `None` where nobody has looked at the prompt
    cache_key: str | None = None
    cached: bool = False  # its images are those of an earlier job
    status: JobStatus = QUEUED
    fence: int = 0
    lease_until: float = 0.0
    started_at: float | None = None
    finished_at: float | None = None
    images: tuple[StoredImage, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    sizing: Sizing | None = None
    warnings: tuple[str, ...] = ()
    wrong_field: str = ""  # of the request, where its error is the fault of one
    cutout: str | None = None  # where the bucket keeps the product as a paid call has cut it out
    error: JobError | None = None
    expires_at: int = 0
    reserved_microusd: int = 0  # of the month's budget, until the job has ended
    reserved_images: int = 0
    released: int = 0  # how often it was given back to the queue, because no provider could take it

    @property
    def final(self) -> bool:
        return self.status in FINAL

    @property
    def begun(self) -> bool:
        """Whether anything of it is made, or may be paid: until then it can be begun later as well as now."""
        return bool(self.images) or any(attempt.paid != "no" for attempt in self.attempts)

    @property
    def runs(self) -> int:
        """How many runs have claimed it and did not give it back: all but the newest have died."""
        return self.fence - self.released

    @property
    def cost_usd(self) -> float:
        """What its calls were charged, those of the language model that shortened its prompt included."""
        text = self.rewriting.cost_usd if self.rewriting else 0.0
        return round(sum(a.cost_usd for a in self.attempts) + text, 6)

    def tokens(self, image: int | None = None) -> Tokens:
        """What the calls for its images, or for the one of that number, took and made, where providers count tokens."""
        return sum((a.tokens for a in self.attempts if a.tokens and image in (None, a.image)), Tokens())

    def completed(self, now: float) -> Job:
        return replace(self, status=COMPLETED, finished_at=now)

    def failed(self, now: float, code: str, message: str, field: str = "") -> Job:
        """`field`: what is at fault of what the client sent, where that is one field."""
        return replace(self, status=FAILED, finished_at=now, error=JobError(code, message), wrong_field=field)

    def given_back(self) -> Job:
        """Queued again as if it had not been claimed, but for its fence."""
        return replace(self, status=QUEUED, lease_until=0.0, started_at=None, released=self.released + 1)

    def to_dict(self) -> dict[str, Any]:
        """As stored: plain values only. What is said by few requests and attempts is left out of the others."""
        stored = asdict(self)
        stored["request"] = without_newer(stored["request"])
        for attempt in stored["attempts"]:
            for name in ("painted", "loaded", "tokens"):
                if attempt[name] is None:
                    del attempt[name]
        return stored

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Job:
        return cls(
            **{
                **data,
                "request": ImageRequest.from_dict(data["request"]),
                "images": tuple(StoredImage(**i) for i in data["images"]),
                "attempts": tuple(Attempt.from_dict(a) for a in data["attempts"]),
                "plan": tuple(data.get("plan", ())),
                "dropped": tuple(Dropped(**d) for d in data["dropped"]),
                "sizing": data.get("sizing") and Sizing(**data["sizing"]),
                "rewriting": data.get("rewriting") and Rewriting.from_dict(data["rewriting"]),
                "error": data.get("error") and JobError(**data["error"]),
                "warnings": tuple(data["warnings"]),
            }
        )


@dataclass(frozen=True, slots=True)
class Idempotency:
    """That a key was used: for which request (by fingerprint) and which job, until when."""

    tenant: str
    key: str
    fingerprint: str
    job_id: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Jobs that were asked for together, by their ids."""

    tenant: str
    id: str
    job_ids: tuple[str, ...]
    created_at: float
    expires_at: int


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to list; `None` does not filter. Times are Unix seconds, both ends included."""

    project_id: str | None = None
    status: JobStatus | None = None
    provider: str | None = None
    since: float | None = None
    until: float | None = None
