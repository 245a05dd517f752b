"""Headers that OpenAI's SDKs read, for the answers under /v1/images/."""

from __future__ import annotations

from collections.abc import Mapping

from lambdas.api.errors import SHOULD_RETRY
from lambdas.api.limits import NAMES
from lambdas.domain.errors import BudgetExceeded

_THEIRS = ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests")


def of(answer: Mapping[str, str], milliseconds: float, error_code: object) -> dict[str, str]:
    """The headers that go besides those of the answer. A month's budget is none of OpenAI's limits."""
    headers = {"openai-processing-ms": str(round(milliseconds))}
    if SHOULD_RETRY not in answer:
        headers[SHOULD_RETRY] = "false"
    if error_code != BudgetExceeded.code and all(name in answer for name in NAMES):
        limit, remaining, reset = (answer[name] for name in NAMES)
        headers |= zip(_THEIRS, (limit, remaining, _duration(int(reset))), strict=True)
    return headers


def _duration(seconds: int) -> str:
    """As OpenAI writes it: `20s`, `6m0s`."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
