"""Lists the models: the source, revision and licence of their weights, and their tasks and limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Weights:
    """A set of files: a folder of a hub's repository at a revision, one file with its SHA-256, or a folder of this
    package.

    `folder` is its name below the model directory and in S3. It contains the revision, so that no other one is used.
    """

    folder: str
    repo: str = ""
    revision: str = ""
    files: tuple[str, ...] = ()  # patterns of the repository's files to download
    url: str = ""
    sha256: str = ""
    shipped: str = ""  # the folder in this package

    @property
    def proof(self) -> str:
        """A file that every complete copy has."""
        return self.files[0] if self.files else self.url.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Spec:
    """A model. Sides in pixels; `most_pixels` is width times height; `strength` is the repainted share of an image."""

    id: str
    tasks: tuple[str, ...]
    weights: Weights
    licence: str
    dtype: str  # on a GPU; a CPU computes in float32
    steps: int
    most_steps: int
    guidance: float
    strength: float
    native: int  # the side of the training images
    most_pixels: int
    least: int = 64  # of either side
    variant: str | None = None
    vae: Weights | None = None  # replaces the model's own VAE in float16
    tiny: Weights | None = None  # the small decoder

    def described(self) -> dict[str, Any]:
        """Return the row as `GET /models` shows it."""
        return {
            "id": self.id,
            "tasks": list(self.tasks),
            "revision": self.weights.revision or "the worker's own",
            "licence": self.licence,
            "dtype": self.dtype,
            "steps": self.steps,
            "most_steps": self.most_steps,
            "guidance": self.guidance,
            "native": self.native,
            "least": self.least,
            "most_pixels": self.most_pixels,
        }


@dataclass(frozen=True, slots=True)
class SegmenterSpec:
    """An ONNX segmenter: the side of its square input, its pixel normalisation, and whether it returns logits."""

    id: str
    weights: Weights
    licence: str
    side: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    logits: bool


_FILES: Final = (
    "model_index.json",
    "scheduler/*",
    "tokenizer/*",
    "tokenizer_2/*",
    "text_encoder/config.json",
    "text_encoder_2/config.json",
    "unet/config.json",
    "vae/config.json",
    "*/*.fp16.safetensors",
    "LICENSE*",
)
_VAE: Final = Weights(
    folder="sdxl-vae-fp16-fix-207b116d",
    repo="madebyollin/sdxl-vae-fp16-fix",
    revision="207b116dae70ace3637169f1ddd2434b91b3a8cd",
    files=("config.json", "diffusion_pytorch_model.safetensors"),
)
_TINY: Final = Weights(
    folder="taesdxl-b20258aa",
    repo="madebyollin/taesdxl",
    revision="b20258aaef75ef61e659c1e0f14f251cf0ad153e",
    files=("config.json", "diffusion_pytorch_model.safetensors"),
)

TURBO: Final = Spec(
    id="stabilityai/sdxl-turbo",
    tasks=("text-to-image", "image-to-image"),
    weights=Weights(
        folder="sdxl-turbo-71153311",
        repo="stabilityai/sdxl-turbo",
        revision="71153311d3dbb46851df1931d3ca6e939de83304",
        files=_FILES,
    ),
    licence="Stability AI Community Licence: commercial use below a yearly revenue of 1 million USD, else by contract",
    dtype="bfloat16",
    steps=1,
    most_steps=8,
    guidance=0.0,
    strength=0.5,
    native=512,
    most_pixels=1024 * 1024,
    least=256,
    variant="fp16",
    vae=_VAE,
    tiny=_TINY,
)
BASE: Final = Spec(
    id="stabilityai/stable-diffusion-xl-base-1.0",
    tasks=("text-to-image", "image-to-image"),
    weights=Weights(
        folder="sdxl-base-46216598",
        repo="stabilityai/stable-diffusion-xl-base-1.0",
        revision="462165984030d82259a11f4367a4eed129e94a7b",
        files=_FILES,
    ),
    licence="CreativeML Open RAIL++-M",
    dtype="bfloat16",
    steps=30,
    most_steps=100,
    guidance=5.0,
    strength=0.6,
    native=1024,
    most_pixels=1536 * 1536,
    least=256,
    variant="fp16",
    vae=_VAE,
    tiny=_TINY,
)
# Strength just under 1: at 1.0 these weights leave noise (huggingface/diffusers, discussion 8450).
BACKGROUND: Final = Spec(
    id="diffusers/stable-diffusion-xl-1.0-inpainting-0.1",
    tasks=("background",),
    weights=Weights(
        folder="sdxl-inpainting-115134f3",
        repo="diffusers/stable-diffusion-xl-1.0-inpainting-0.1",
        revision="115134f363124c53c7d878647567d04daf26e41e",
        files=_FILES,
    ),
    licence="CreativeML Open RAIL++-M",
    dtype="bfloat16",
    steps=20,
    most_steps=50,
    guidance=7.5,
    strength=0.99,
    native=1024,
    most_pixels=1024 * 1024,
    least=256,
    variant="fp16",
    vae=_VAE,
    tiny=_TINY,
)
# Weights in this package, see scenes/. The UNet supports one size; the weights are stored in 16 bits.
SCENES: Final = Spec(
    id="image-api/scenes-1",
    tasks=("text-to-image",),
    weights=Weights(folder="scenes-1", files=("model_index.json",), shipped="scenes/weights"),
    licence="MIT, as the project",
    dtype="float32",
    steps=4,
    most_steps=8,
    guidance=0.0,
    strength=1.0,
    native=128,
    most_pixels=128 * 128,
    least=128,
)
MODELS: Final[dict[str, Spec]] = {spec.id: spec for spec in (TURBO, BASE, BACKGROUND, SCENES)}

_RELEASES: Final = "https://github.com/danielgatis/rembg/releases/download/v0.0.0/"
_IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
_IMAGENET_STD: Final = (0.229, 0.224, 0.225)
SEGMENTERS: Final[dict[str, SegmenterSpec]] = {
    spec.id: spec
    for spec in (
        SegmenterSpec(
            id="birefnet",
            weights=Weights(
                folder="birefnet-58f621f0",
                url=_RELEASES + "BiRefNet-general-epoch_244.onnx",
                sha256="58f621f00f5d756097615970a88a791584600dcf7c45b18a0a6267535a1ebd3c",
            ),
            licence="MIT",
            side=1024,
            mean=_IMAGENET_MEAN,
            std=_IMAGENET_STD,
            logits=True,
        ),
        SegmenterSpec(
            id="isnet",
            weights=Weights(
                folder="isnet-60920e99",
                url=_RELEASES + "isnet-general-use.onnx",
                sha256="60920e99c45464f2ba57bee2ad08c919a52bbf852739e96947fbb4358c0d964a",
            ),
            licence="Apache-2.0",
            side=1024,
            mean=(0.5, 0.5, 0.5),  # its authors' (github.com/xuebinqin/DIS, IS-Net/Inference.py); rembg has others
            std=(1.0, 1.0, 1.0),
            logits=False,
        ),
        SegmenterSpec(
            id="u2netp",
            weights=Weights(
                folder="u2netp-309c8469",
                url=_RELEASES + "u2netp.onnx",
                sha256="309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
            ),
            licence="Apache-2.0",
            side=320,
            mean=_IMAGENET_MEAN,
            std=_IMAGENET_STD,
            logits=False,
        ),
    )
}
