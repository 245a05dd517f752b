"""What several groups of routes share: the closed models, and the fields of a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from lambdas.domain.jobs import request as r
from lambdas.domain.prompts.invisible import is_blank
from lambdas.domain.providers import ALL

if TYPE_CHECKING:
    ProviderName = str
    ProviderChoice = str
else:  # pydantic reads the choices from the table, which the type checker cannot
    ProviderName = Literal[ALL]
    ProviderChoice = Literal["auto", *ALL]


Parameter = Literal["cfg", "negative_prompt", "seed", "steps"]


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


class Query(BaseModel):
    """A closed query: a text is converted to the type of its field."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


class View(BaseModel):
    """A closed answer."""

    model_config = ConfigDict(extra="forbid", defer_build=True)
