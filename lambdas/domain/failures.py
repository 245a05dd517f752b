"""The ways in which a call to a provider can fail, and what follows from each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final, Literal

from lambdas.domain.errors import (
    ContentRefused,
    GenerationTimeout,
    InvalidRequest,
    OutcomeUnknown,
    ProvidersFailed,
    ServiceError,
)

Paid = Literal["no", "yes", "unknown"]  # unknown: the call may have been charged
Outcome = Literal["success", "failed", "refused", "unknown"]  # of an attempt


class Failure(StrEnum):
    """Why a provider did not give the image."""

    THROTTLED = "throttled"  # it takes fewer calls from this account
    UNAVAILABLE = "unavailable"  # it is down or full, or was not reached
    TIMEOUT = "timeout"  # it had its time
    BAD_ANSWER = "bad_answer"  # what it answered is no image
    CONTENT_POLICY = "content_policy"  # it refuses the prompt or the image
    INVALID_REQUEST = "invalid_request"  # the request is at fault
    NOT_AUTHORIZED = "not_authorized"  # it does not accept our key, or our settings cannot be used
    OUT_OF_CREDIT = "out_of_credit"  # our account or quota is used up
    MODEL_GONE = "model_gone"  # it does not have the model
    FAILED = "failed"  # its own work failed
    OUTCOME_UNKNOWN = "outcome_unknown"  # the call was made, and its end is not known


class HealthEffect(Enum):
    """What a failure says about the provider."""

    NOTHING = 0  # it was up, and the request was at fault
    FAILURE = 1  # it, or the way to it, failed
    SHUT = 2  # it will refuse every call until a person has done something
    MODEL = 3  # one of its models is not there


@dataclass(frozen=True, slots=True)
class Consequence:
    """What follows from a failure."""

    retry: bool  # whether the same request may succeed a little later at the same provider
    fallback: bool  # whether another provider may give the image
    health: HealthEffect
    error: type[ServiceError]  # the client's, where nobody else gives the image
    outcome: Outcome  # of the attempt
    outcome_if_charged: Outcome  # of the attempt where the call may have been charged


_NOTHING, _FAILURE = HealthEffect.NOTHING, HealthEffect.FAILURE
CONSEQUENCES: Final[Mapping[Failure, Consequence]] = {
    Failure.THROTTLED: Consequence(True, True, _FAILURE, ProvidersFailed, "failed", "failed"),
    # charged: a gateway gave up on the provider behind it
    Failure.UNAVAILABLE: Consequence(True, True, _FAILURE, ProvidersFailed, "failed", "unknown"),
    # no retry: it would only double the wait
    Failure.TIMEOUT: Consequence(False, True, _FAILURE, GenerationTimeout, "failed", "unknown"),
    Failure.BAD_ANSWER: Consequence(False, True, _FAILURE, ProvidersFailed, "failed", "failed"),
    # no fallback: asking around until somebody agrees would make every policy the weakest one
    Failure.CONTENT_POLICY: Consequence(False, False, _NOTHING, ContentRefused, "refused", "refused"),
    # no fallback: the request was checked against the card before
    Failure.INVALID_REQUEST: Consequence(False, False, _NOTHING, InvalidRequest, "failed", "failed"),
    # charged: work that was accepted before, and may not be asked after any more
    Failure.NOT_AUTHORIZED: Consequence(False, True, HealthEffect.SHUT, ProvidersFailed, "failed", "unknown"),
    Failure.OUT_OF_CREDIT: Consequence(False, True, HealthEffect.SHUT, ProvidersFailed, "failed", "failed"),
    Failure.MODEL_GONE: Consequence(False, True, HealthEffect.MODEL, ProvidersFailed, "failed", "failed"),
    Failure.FAILED: Consequence(True, True, _FAILURE, ProvidersFailed, "failed", "failed"),
    Failure.OUTCOME_UNKNOWN: Consequence(False, True, _FAILURE, OutcomeUnknown, "failed", "unknown"),
}


class ProviderFailure(Exception):
    """A provider did not give the image.

    `paid`: "no" (the provider surely charged nothing), "unknown" (the call may have been charged and
    its image is not in our hands). `made`: the image was made, and so it was charged: `cost_usd`, or where the provider
    does not say what, the list price. `answer` is what a paid call answered and cannot be used: it is kept.
    """

    def __init__(
        self,
        code: Failure,
        detail: str,
        *,
        paid: Paid = "no",
        retry_after: float | None = None,
        made: bool = False,
        cost_usd: float | None = None,
        answer: bytes | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.paid = paid
        self.retry_after = retry_after
        self.made = made
        self.cost_usd = cost_usd
        self.answer = answer
        self.field = ""  # the client's own that is at fault, where one is
