"""Defines image requests, and the tasks and answers of providers."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from lambdas.domain.catalogue.model_card import ModelCard, Size

MAX_PROMPT = 10_000
MAX_SIDE = 2048
MIN_SIDE = 64
SIDE_STEP = 8
MAX_STEPS = 150
MAX_CFG = 30.0
MAX_SEED = 4294967295
Format = Literal["png", "jpeg", "webp"]
EXTENSIONS = {"png": "png", "jpeg": "jpg", "webp": "webp"}
MEDIA_TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}

Task = Literal["text-to-image", "background", "inpaint"]
TEXT_TO_IMAGE: Final = "text-to-image"
BACKGROUND: Final = "background"
INPAINT: Final = "inpaint"

Strategy = Literal["balanced", "fastest", "cheapest", "quality"]
DEFAULT_STRATEGY: Final = "default"  # the default model where it is configured, else as `balanced`

_THE_CLIENTS_OWN = frozenset({"labels", "ignored", "given", "project_id", "webhook_url", "warnings", "reference_field"})

# What a request without a negative prompt is given where the model reads one.
SAFE_NEGATIVE_PROMPT = "nsfw, nudity, gore, lowres, blurry, deformed, bad anatomy, watermark, text, jpeg artifacts"
# The same for the scene around a product.
SCENE_PROMPT = "an empty table in a bright, softly lit room, plain surroundings, product photography"
SCENE_NEGATIVE_PROMPT = f"{SAFE_NEGATIVE_PROMPT}, people, hands, second product, frame"


@dataclass(frozen=True, slots=True)
class Dropped:
    """A parameter that was not acted on."""

    name: str
    reason: str


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
    reference_key: str | None = None  # where the reference image stands in the bucket
    reference_type: str = ""
    reference_field: str = "image"  # what the client calls the reference image
    # BACKGROUND: a scene around the product of the reference image. INPAINT: what its mask shows of it is painted anew.
    task: Task = TEXT_TO_IMAGE
    padding: int | None = None  # pixels around the product, for BACKGROUND
    cut_out: bool = False  # whether the reference image's own alpha channel shows what the product is
    strategy: Strategy | Literal["default"] = DEFAULT_STRATEGY
    fallback: bool | tuple[str, ...] = True  # or the providers to ask, in order
    optimize_prompt: bool = True
    cache: bool = False  # whether an earlier image of an equal request may be the answer
    webhook_url: str | None = None  # where the job's end is told
    labels: dict[str, str] = field(default_factory=dict)  # the client's own `metadata`
    ignored: tuple[Dropped, ...] = ()  # parameters that this version does not act on
    warnings: tuple[str, ...] = ()  # what the client should know of what it sent
    given: tuple[str, ...] = ()
    more_references: tuple[tuple[str, str], ...] = ()  # further reference images: where each stands, and its media type
    mask_key: str | None = None  # for INPAINT: where the mask stands in the bucket
    compression: int | None = None  # 0 to 100, the quality that a jpeg or a webp is encoded with; `None`: the usual one

    def to_dict(self) -> dict[str, Any]:
        """As stored on the job record."""
        return without_newer(asdict(self))

    def cache_key(self) -> str | None:
        """Equal for requests that must give the same images; `None` where the client gave no seed or wants none.

        What only concerns the client (its labels, its project, its webhook) does not count.
        """
        if not self.cache or self.seed is None:
            return None
        asked = {k: v for k, v in self.to_dict().items() if k not in _THE_CLIENTS_OWN}
        asked["own"] = sorted({"steps", "cfg"}.intersection(self.given))  # a distilled model is asked for no others
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ImageRequest:
        fallback = data.get("fallback", True)
        lists = {
            "given": tuple(data.get("given", ())),
            "ignored": tuple(Dropped(**entry) for entry in data.get("ignored", ())),
            "warnings": tuple(data.get("warnings", ())),
            "more_references": tuple((key, kind) for key, kind in data.get("more_references", ())),
            "fallback": tuple(fallback) if isinstance(fallback, (list, tuple)) else fallback,
        }
        known = {name: value for name, value in data.items() if name in cls.__slots__}  # another version wrote the rest
        return cls(**{**known, **lists})


def without_newer(stored: dict[str, Any]) -> dict[str, Any]:
    """A stored request without the fields that few requests have: it is as it was before there were such fields."""
    return {name: value for name, value in stored.items() if name not in _NEWER or value != _NEWER[name]}


# With the values that are left out.
_NEWER: Final[dict[str, Any]] = {"compression": None, "mask_key": None, "more_references": ()}


@dataclass(frozen=True, slots=True)
class Draft:
    """A request as the client sent it: its webhook's address is not looked up, its picture not decoded."""

    request: ImageRequest
    picture: str | None = field(default=None, repr=False)  # base64 or a data URI
    picture_field: str = "image"  # what the client calls it
    more: tuple[str, ...] = field(default=(), repr=False)  # further pictures of that field
    mask: str | None = field(default=None, repr=False)  # a picture as well: its transparent part is painted anew
    keeps_shape: bool = False  # whether an image without a size is of the picture's proportion


@dataclass(frozen=True, slots=True)
class ImageTask:
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
    id: str = ""  # a UUID of ours for this call: the same when the call is taken up again by another process
    owner: str = ""  # tenant/job, for the names of what is stored on the call's behalf
    reference: bytes | None = field(default=None, repr=False)  # a checked PNG, JPEG or WebP to start from
    reference_type: str = ""  # its media type
    more_references: tuple[tuple[bytes, str], ...] = field(default=(), repr=False)  # further ones, with their types
    task: Task = TEXT_TO_IMAGE
    padding: int | None = None  # for BACKGROUND alone, as is `generate` of (0, 0): the product's own size
    mask: bytes | None = field(default=None, repr=False)  # PNG of the reference's size, white where to paint


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a call took and made, as its provider counts."""

    text_in: int = 0
    image_in: int = 0
    text_out: int = 0
    image_out: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            self.text_in + other.text_in,
            self.image_in + other.image_in,
            self.text_out + other.text_out,
            self.image_out + other.image_out,
        )


@dataclass(frozen=True, slots=True)
class GeneratedImage:
    """A provider's answer to one task: the unchecked bytes, and the seed that the provider states."""

    data: bytes = field(repr=False)
    seed: int | None = None
    cost_usd: float | None = None  # where the provider says what it charged
    # Of a background whose product the provider itself has cut out: a PNG, 0 to 1, what that is made of, sentences.
    mask: bytes | None = field(default=None, repr=False)
    confidence: float | None = None
    components: dict[str, float | None] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    at: tuple[int, int] | None = None  # x and y of the photo's top-left corner on the image
    painted: float | None = None  # seconds, as the project's own GPU says: of painting, and of its last load
    loaded: float | None = None
    tokens: Tokens | None = None  # where the provider counts them


@dataclass(frozen=True, slots=True)
class Ticket:
    """A provider's own id of work it has accepted (and may charge for); enough to ask after it from anywhere."""

    id: str
    cost_usd: float | None = None  # where the provider says so on acceptance
