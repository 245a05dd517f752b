"""Every way the service can refuse or fail, each with a stable code and a sentence for the client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One invalid field of a request, as the client named it. `kind` is OpenAI's word for what is wrong with it."""

    field: str
    message: str
    kind: str = ""


class ServiceError(Exception):
    """The root. `detail` is shown to the client: it says what is wrong and what would be right.

    `members`: what the answer tells besides, by name, as extension members of RFC 9457.
    """

    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"

    def __init__(
        self,
        detail: str,
        *,
        errors: tuple[FieldError, ...] = (),
        retry_after: int | None = None,
        headers: dict[str, str] | None = None,
        members: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors
        self.retry_after = retry_after
        self.headers = headers or {}
        self.members = members or {}


class InvalidRequest(ServiceError):
    code = "invalid_request"
    title = "Invalid request"


class MalformedBody(ServiceError):
    code = "malformed_body"
    title = "Malformed body"


class UnknownModel(ServiceError):
    code = "unknown_model"
    title = "Unknown model"


class RetiredModel(ServiceError):
    code = "model_retired"
    title = "Model retired"


class ProviderUnconfigured(ServiceError):
    code = "provider_unconfigured"
    title = "Provider not configured"


class NotSupported(ServiceError):
    """What this deployment, as it was set up, cannot do."""

    code = "not_supported"
    title = "Not supported here"


class Unauthenticated(ServiceError):
    code = "missing_api_key"
    title = "API key required"


class Forbidden(ServiceError):
    code = "invalid_api_key"
    title = "API key not valid"


class NotFound(ServiceError):
    code = "not_found"
    title = "Not found"


class MethodNotAllowed(ServiceError):
    code = "method_not_allowed"
    title = "Method not allowed"


class Gone(ServiceError):
    code = "gone"
    title = "Gone"


class IdempotencyMismatch(ServiceError):
    code = "idempotency_mismatch"
    title = "Idempotency-Key already used"


class StillInProgress(ServiceError):
    code = "still_in_progress"
    title = "Still in progress"


class GenerationInProgress(ServiceError):
    """The gateway's time has ended before the job; the same request, sent again, gets its images."""

    code = "generation_in_progress"
    title = "The generation is in progress"


class JobEnded(ServiceError):
    code = "job_ended"
    title = "The job has ended"


class JobStarted(ServiceError):
    code = "job_started"
    title = "The job has started"


class WebhookPending(ServiceError):
    code = "webhook_pending"
    title = "The webhook is being delivered"


class JobNotEnded(ServiceError):
    code = "job_not_ended"
    title = "The job has not ended"


class ProjectExists(ServiceError):
    code = "project_exists"
    title = "The project exists already"


class JobCancelled(ServiceError):
    code = "cancelled"
    title = "The job was cancelled"


class TooLarge(ServiceError):
    code = "too_large"
    title = "Too large"


class UnsupportedMediaType(ServiceError):
    code = "unsupported_media_type"
    title = "Media type not handled"


class ContentRefused(ServiceError):
    code = "content_policy"
    title = "Refused by a content policy"


class RateLimited(ServiceError):
    code = "rate_limited"
    title = "Rate limited"


class BudgetExceeded(RateLimited):
    code = "budget_exceeded"
    title = "The month's budget is used up"


class ProvidersFailed(ServiceError):
    code = "providers_failed"
    title = "Every eligible provider failed"


class OutcomeUnknown(ServiceError):
    code = "outcome_unknown"
    title = "The outcome of a paid call is not known"


class NoneAvailable(ServiceError):
    code = "none_available"
    title = "No provider is available now"


class Unavailable(ServiceError):
    """A service that this one stands on cannot be reached, or has no room now; what was asked of it may be done."""

    code = "temporarily_unavailable"
    title = "Temporarily unavailable"


class Overloaded(ServiceError):
    code = "overloaded"
    title = "Too much work is waiting"


class GenerationTimeout(ServiceError):
    code = "generation_timeout"
    title = "Generation took too long"


def _all(cls: type[ServiceError]) -> list[type[ServiceError]]:
    return [cls, *(c for sub in cls.__subclasses__() for c in _all(sub))]


BY_CODE: dict[str, type[ServiceError]] = {cls.code: cls for cls in _all(ServiceError)}
