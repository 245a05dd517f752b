"""Defines how a call to a provider can fail, and the consequences of each failure."""

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
    """Why a provider gave no image."""

    THROTTLED = "throttled"  # it takes fewer calls from this account
    UNAVAILABLE = "unavailable"  # it is down or full, or was not reached
    TIMEOUT = "timeout"  # it did not answer in time
    BAD_ANSWER = "bad_answer"  # its answer is not an image
    CONTENT_POLICY = "content_policy"  # it refuses the prompt or the image
    INVALID_REQUEST = "invalid_request"  # the request is at fault
    NOT_AUTHORIZED = "not_authorized"  # it does not accept our key, or our settings cannot be used
    OUT_OF_CREDIT = "out_of_credit"  # our account or quota is used up
    MODEL_GONE = "model_gone"  # it does not have the model
    FAILED = "failed"  # its own work failed
    OUTCOME_UNKNOWN = "outcome_unknown"  # the call was made, and its outcome is unknown


class HealthEffect(Enum):
    """The effect of a failure on the provider's health."""

    NOTHING = 0  # the provider worked, the request was wrong
    FAILURE = 1  # the provider, or the network, failed
    SHUT = 2  # the provider refuses every call until the operator intervenes
    MODEL = 3  # one of its models does not exist


@dataclass(frozen=True, slots=True)
class Consequence:
    """The consequence of a failure."""

    retry: bool  # whether the same request may succeed a little later at the same provider
    fallback: bool  # whether another provider may give the image
    health: HealthEffect
    error: type[ServiceError]  # of the job, if no other provider gives the image
    outcome: Outcome  # of the attempt
    outcome_if_charged: Outcome  # of the attempt, if the call may have been charged


_NOTHING, _FAILURE = HealthEffect.NOTHING, HealthEffect.FAILURE
CONSEQUENCES: Final[Mapping[Failure, Consequence]] = {
    Failure.THROTTLED: Consequence(True, True, _FAILURE, ProvidersFailed, "failed", "failed"),
    # charged: a gateway's timeout for the provider behind it
    Failure.UNAVAILABLE: Consequence(True, True, _FAILURE, ProvidersFailed, "failed", "unknown"),
    # no retry: it would double the wait
    Failure.TIMEOUT: Consequence(False, True, _FAILURE, GenerationTimeout, "failed", "unknown"),
    Failure.BAD_ANSWER: Consequence(False, True, _FAILURE, ProvidersFailed, "failed", "failed"),
    # no fallback: else the weakest policy of all providers would apply
    Failure.CONTENT_POLICY: Consequence(False, False, _NOTHING, ContentRefused, "refused", "refused"),
    # no fallback: the request was checked against the card before
    Failure.INVALID_REQUEST: Consequence(False, False, _NOTHING, InvalidRequest, "failed", "failed"),
    # charged: work that was accepted before, and can no longer be polled
    Failure.NOT_AUTHORIZED: Consequence(False, True, HealthEffect.SHUT, ProvidersFailed, "failed", "unknown"),
    Failure.OUT_OF_CREDIT: Consequence(False, True, HealthEffect.SHUT, ProvidersFailed, "failed", "failed"),
    Failure.MODEL_GONE: Consequence(False, True, HealthEffect.MODEL, ProvidersFailed, "failed", "failed"),
    Failure.FAILED: Consequence(True, True, _FAILURE, ProvidersFailed, "failed", "failed"),
    Failure.OUTCOME_UNKNOWN: Consequence(False, True, _FAILURE, OutcomeUnknown, "failed", "unknown"),
}


class ProviderFailure(Exception):
    """A provider gave no image.

    `paid`: "no" (the provider certainly charged nothing) or "unknown" (the call may have been charged, and there is no
    image). `made`: the image was made and charged: `cost_usd`, or the list price if that is `None`. `answer`: the
    unusable answer of a paid call, to be stored.
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
        self.field = ""  # the field of the client's request that is wrong, if any
