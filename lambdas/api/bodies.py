"""What clients may send: closed pydantic models, each turned into the domain's request."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from lambdas.domain.ids import JOB_ID
from lambdas.domain.jobs import request as r
from lambdas.domain.jobs.job import JobFilter
from lambdas.domain.jobs.request import ImageRequest
from lambdas.domain.prompts.invisible import is_blank
from lambdas.domain.providers import ALL


def _visible(text: str) -> str:
    if is_blank(text):
        raise ValueError("must not be blank")
    return text


def _none_if_blank(text: str | None) -> str | None:
    return None if text is not None and is_blank(text) else text


Visible = AfterValidator(_visible)
Prompt = Annotated[
    str,
    Field(
        min_length=1,
        max_length=r.MAX_PROMPT,
        pattern=r"\S",
        description="What to draw.",
        examples=["A futuristic city at sunset"],
    ),
    Visible,
]
NegativePrompt = Annotated[
    str | None, Field(max_length=r.MAX_PROMPT, description="What to avoid."), AfterValidator(_none_if_blank)
]


def _whole(value: object) -> object:
    """To JSON Schema 512.0 is an integer too."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = BeforeValidator(_whole)
Side = Annotated[
    int | None,
    Field(ge=r.MIN_SIDE, le=r.MAX_SIDE, multiple_of=r.SIDE_STEP, description="Pixels, a multiple of 8."),
    Whole,
]
Steps = Annotated[int | None, Field(ge=1, le=r.MAX_STEPS, description="Denoising steps."), Whole]
Cfg = Annotated[
    float | None, Field(ge=0, le=r.MAX_CFG, allow_inf_nan=False, description="Classifier-free guidance scale.")
]
Seed = Annotated[
    int | None,
    Field(ge=0, le=r.MAX_SEED, description="The same seed, model and parameters give the same image."),
    Whole,
]
Model = Annotated[str | None, Field(min_length=1, max_length=200, description="A model of GET /v1/models.")]


class Body(BaseModel):
    """A closed body: unknown fields are refused by name, and values are not converted from other types."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    def given(self) -> tuple[str, ...]:
        """The fields that the client itself sent with a value."""
        return tuple(sorted(n for n in self.model_fields_set if getattr(self, n) is not None))


class Painting(Body):
    """The parameters of one image."""

    width: Side = None
    height: Side = None
    steps: Steps = None
    cfg: Cfg = None
    seed: Seed = None
    model: Model = None


class GenerateBody(Painting):
    """POST /generate."""

    prompt: Prompt
    negative_prompt: NegativePrompt = None
    format: Literal["png", "jpeg", "webp"] = "png"

    def to_request(self) -> ImageRequest:
        return ImageRequest(**self.model_dump(), given=self.given())


class GenerateImageBody(Painting):
    """POST /generate-image."""

    prompt: Prompt
    negative_prompt: NegativePrompt = None

    def to_request(self) -> ImageRequest:
        defaults = {"width": 512, "height": 512, "steps": 30, "cfg": 7.0}
        sent = {k: v for k, v in self.model_dump().items() if v is not None}
        return ImageRequest(**(defaults | sent), given=self.given())


class ModelGenerateBody(Body):
    """POST /v1/generate."""

    prompt: Prompt
    negative_prompt: NegativePrompt = None
    params: Painting = Field(default_factory=Painting)

    @field_validator("params", mode="before")
    @classmethod
    def _null_is_empty(cls, value: object) -> object:
        return {} if value is None else value

    def to_request(self) -> ImageRequest:
        given = (*self.params.given(), *({"negative_prompt"} & set(self.given())))
        return ImageRequest(
            prompt=self.prompt, negative_prompt=self.negative_prompt, **self.params.model_dump(), given=given
        )


if TYPE_CHECKING:
    ProviderName = str
    ProviderChoice = str
else:  # pydantic reads the choices from the table, which the type checker cannot
    ProviderName = Literal[ALL]
    ProviderChoice = Literal["auto", *ALL]

DAY = 86_400.0  # seconds


def _moment(value: object) -> object:
    """ISO 8601; without a zone it is UTC; a plus sign that a URL turned into a space is understood."""
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value.strip().replace(" ", "+").upper())
    except ValueError:
        raise ValueError("must be a time in ISO 8601, such as 2026-11-20T12:00:00Z") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment.year < 1971:
        raise ValueError("must be later than 1970")
    return moment.timestamp()


def _last_moment(value: object) -> object:
    """The same as the end of a range: a date alone is the whole of its day, to the last millisecond."""
    moment = _moment(value)
    return moment + DAY - 0.001 if isinstance(moment, float) and _is_date(value) else moment


def _is_date(value: object) -> bool:
    try:
        date.fromisoformat(str(value).strip())
    except ValueError:
        return False
    return True


_MOMENT = WithJsonSchema({"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]})
_EXAMPLES = ["2026-11-20T12:00:00Z", "2026-11-20"]
Moment = Annotated[
    float | None,
    BeforeValidator(_moment),
    Field(description="ISO 8601, UTC where no zone is given.", examples=_EXAMPLES),
    _MOMENT,
]
LastMoment = Annotated[
    float | None,
    BeforeValidator(_last_moment),
    Field(description="ISO 8601, UTC where no zone is given; a date alone with its whole day.", examples=_EXAMPLES),
    _MOMENT,
]


class JobsQuery(BaseModel):
    """The query of GET /unified/jobs."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    project_id: str | None = Field(None, min_length=1, max_length=63)
    status: Literal["queued", "running", "completed", "failed", "cancelled"] | None = None
    provider: ProviderName | None = None
    since: Moment = Field(None, alias="from")
    until: LastMoment = Field(None, alias="to")
    limit: int = Field(20, ge=1, le=100)
    cursor: str | None = Field(None, pattern=f"^{JOB_ID.pattern}$")

    @field_validator("until")
    @classmethod
    def _in_order(cls, until: float | None, info: ValidationInfo) -> float | None:
        since = info.data.get("since")
        if since is not None and until is not None and since > until:
            raise ValueError("must not be before from")
        return until

    def to_filter(self) -> JobFilter:
        return JobFilter(self.project_id, self.status, self.provider, self.since, self.until)
