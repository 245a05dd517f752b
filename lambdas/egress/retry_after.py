"""Parses Retry-After headers."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

MAX_DATE: Final = 64  # characters; HTTP's three date formats are shorter


def seconds(header: str, most: float, date: str = "") -> float | None:
    """Return the seconds of a Retry-After header, a number or a date, `most` at the most; `None` if it has neither.

    `date` is the Date header of the same answer: the date to wait for is of the peer's clock, not of ours.
    """
    text = header.strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text):
        return min(float(text), most)
    until = _moment(text)
    if until is None:
        return None
    wait = (until - (_moment(date) or datetime.now(UTC))).total_seconds()
    return min(max(wait, 0.0), most)


def _moment(text: str) -> datetime | None:
    """Parse a date, or return `None`. The parser also raises OverflowError, for a year out of range, and others."""
    if len(text) > MAX_DATE:
        return None
    try:
        moment = parsedate_to_datetime(text.strip())
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
