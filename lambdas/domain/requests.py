"""What a client asks for, and the order that is given to a provider for one image of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from lambdas.domain.catalogue import ModelCard, Size

MAX_PROMPT = 10_000
MAX_SIDE = 2048
MIN_SIDE = 64
SIDE_STEP = 8
MAX_STEPS = 150
MAX_CFG = 30.0
MAX_SEED = 4294967295
FORMATS = ("png", "jpeg", "webp")
EXTENSIONS = {"png": "png", "jpeg": "jpg", "webp": "webp"}
MEDIA_TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}

# What a request without a negative prompt is given where the model reads one.
SAFE_NEGATIVE_PROMPT = "nsfw, nudity, gore, lowres, blurry, deformed, bad anatomy, watermark, text, jpeg artifacts"


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """A validated request. `None` means that the client left it to the service.

    `given` names the parameters that the client itself sent: only these are reported when a model
    cannot honour them, since a route's own default is no wish of the client.
    """

    prompt: str
    negative_prompt: str | None = None
    provider: str = "auto"
    model: str | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    cfg: float | None = None
    seed: int | None = None
    n: int = 1
    format: str = "png"
    project_id: str = "default"
    given: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As stored on the job record."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ImageRequest:
        return cls(**{**data, "given": tuple(data.get("given", ()))})


@dataclass(frozen=True, slots=True)
class Order:
    """One image to be made by one model: everything in it is already decided.

    `generate` is the size asked of the provider, `ratio` its aspect ratio where the model is chosen by
    one. `steps` and `cfg` are `None` where the model has none. `seed` is within the card's range.
    """

    card: ModelCard
    prompt: str
    seed: int
    generate: Size
    ratio: str | None = None
    negative_prompt: str | None = None
    steps: int | None = None
    cfg: float | None = None
    format: str = "png"  # one of card.formats
    title: str = ""  # what to call this job at the provider; never shown to a client


@dataclass(frozen=True, slots=True)
class Painted:
    """A provider's answer for one order: the bytes as they came, unchecked, and the seed it says it used."""

    data: bytes = field(repr=False)
    seed: int | None = None
