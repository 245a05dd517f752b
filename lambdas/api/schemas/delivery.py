"""The transforms of an image on delivery: as a query, and as the body that asks for a signed link."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from lambdas.api.schemas.common import Body, Query, View, Whole
from lambdas.domain import links
from lambdas.domain.delivery import MAX_BLUR, MAX_WATERMARK, Fit, Target, Wish, checked_text
from lambdas.domain.jobs.request import MAX_SIDE

DEFAULT_SECONDS = 3600
_NUMBER = re.compile(r"[0-9]{1,10}(\.[0-9]{1,10})?")
_NAMES = ("w", "h", "fit", "format", "quality", "blur", "grayscale", "watermark")


def _plain(value: object) -> object:
    """A number in a query is digits, with or without a fraction: no sign, exponent, space or underscore."""
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError("must be a number in plain digits")
    return value


def _switch(value: object) -> object:
    if isinstance(value, str):
        if value not in ("true", "false"):
            raise ValueError("must be true or false")
        return value == "true"
    return value


def _hundredths(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _text(value: str | None) -> str | None:
    return None if value is None else checked_text(value)


_SIDE = Field(ge=1, le=MAX_SIDE, description="Pixels; with one side alone the other follows by proportion.")
Side = Annotated[int | None, _SIDE, Whole, BeforeValidator(_plain)]
FitName = Annotated[
    Fit | None,
    Field(description="With both sides: cover (fills and is cut from the middle; the default), contain or fill."),
]
Format = Annotated[
    Target | None, Field(description="`auto`: the best that the Accept header names; absent: the original's.")
]
Quality = Annotated[int | None, Field(ge=1, le=100, description="Not with png."), Whole, BeforeValidator(_plain)]
Blur = Annotated[
    float | None,
    Field(ge=0, le=MAX_BLUR, allow_inf_nan=False, description="A radius in pixels of the result."),
    AfterValidator(_hundredths),
    BeforeValidator(_plain),
]
Grayscale = Annotated[bool | None, Field(description="true or false."), BeforeValidator(_switch)]
Watermark = Annotated[
    str | None,
    Field(max_length=4 * MAX_WATERMARK, description=f"Up to {MAX_WATERMARK} characters, written at the lower right."),
    AfterValidator(_text),
]


class TransformQuery(Query):
    """The query of a stable link. `kid`, `expires` and `sig` are checked before it is read."""

    w: Side = None
    h: Side = None
    fit: FitName = None
    format: Format = None
    quality: Quality = None
    blur: Blur = None
    grayscale: Grayscale = None
    watermark: Watermark = None
    kid: str | None = Field(None, description="Of a signed link: which key has signed it.")
    expires: int | None = Field(None, description="Of a signed link: when it ends, in Unix seconds.")
    sig: str | None = Field(None, description="Of a signed link: the signature.")

    def wish(self) -> Wish:
        return Wish(**{name: getattr(self, name) for name in _NAMES})


class LinkBody(Body):
    """The body of POST /unified/jobs/{job_id}/images/{image_id}/link."""

    expires_in: Annotated[
        int, Field(ge=1, le=links.MAX_SECONDS, description="Seconds that the link works, 7 days at the most."), Whole
    ] = DEFAULT_SECONDS
    w: Side = None
    h: Side = None
    fit: FitName = None
    format: Format = None
    quality: Quality = None
    blur: Blur = None
    grayscale: bool | None = None
    watermark: Watermark = None

    def wish(self) -> Wish:
        return Wish(**{name: getattr(self, name) for name in _NAMES})

    def parameters(self) -> dict[str, str]:
        """What was sent, as it stands in a query."""
        sent = ((name, getattr(self, name)) for name in _NAMES)
        return {name: _written(value) for name, value in sent if value is not None}


class LinkView(View):
    url: str = Field(description="Works without a key, for exactly these parameters.")
    expires_at: str = Field(description="When it stops working: ISO 8601, UTC.")


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
