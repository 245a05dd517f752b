"""Implements the port Compositor with Pillow: products are placed by whole pixels and kept byte for byte."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

from lambdas.adapters.images.cutouts import Cutout, border_colour, fully, seen
from lambdas.adapters.images.frames import shown, unshown
from lambdas.adapters.images.pictures import answered, decoded
from lambdas.domain.backgrounds import Box, Canvas, Composed, Staged, Unplaceable
from lambdas.domain.catalogue.model_card import Size
from lambdas.domain.failures import Failure, ProviderFailure

if TYPE_CHECKING:
    from PIL.Image import Image

SCENE_PIXELS: Final = 1_048_576  # the best size for models; the scene is then scaled to its canvas, the product never
CUT_PIXELS: Final = 4_194_304  # a larger mask adds little
SIZE: Final = "the image and its mask are not of the size that was asked for"
NOTHING: Final = 127, 127, 127  # the product's surroundings in the input of a model that paints them

# Lossless if the format can be; JPEG with high quality.
ENCODING: Final[dict[str, dict[str, Any]]] = {
    "png": {"format": "PNG", "compress_level": 4},
    "webp": {"format": "WEBP", "lossless": True, "quality": 40, "method": 2},  # lossless: `quality` is the effort
    "jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
}


class PillowCompositor:
    def product(self, photo: bytes) -> tuple[Size, Box | None]:
        picture = decoded(photo)
        cut = Cutout.by_alpha(picture)
        return picture.size, cut.box if cut else None

    def cuttable(self, photo: bytes) -> bytes:
        picture = decoded(photo).convert("RGB")
        return _encoded(shown(picture, CUT_PIXELS, border_colour(picture)), "jpeg")  # only the answer's mask is used

    def check_cutout(self, photo: bytes, cutout: bytes) -> None:
        _ = _cut(photo, cutout).box

    def mask(self, mask: bytes, photo: bytes) -> bytes:
        drawn, picture = decoded(mask), decoded(photo)
        if drawn.size != picture.size:
            sizes = f"{drawn.width}x{drawn.height}, and the image of {picture.width}x{picture.height}"
            raise Unplaceable(f"the mask must have the image's size; it is of {sizes}")
        free = drawn.getchannel("A").point(range(255, -1, -1)) if drawn.mode == "RGBA" else None
        if free is None or not free.getbbox():
            raise Unplaceable("the mask must be transparent where the image is to change, and it is so nowhere")
        return _encoded(free, "png")

    def stage_edit(self, photo: bytes, mask: bytes) -> Staged:
        image = shown(_on_paper(decoded(photo)), SCENE_PIXELS, NOTHING)
        return Staged(image.size, _encoded(image, "png"), _encoded(shown(_grey(mask), SCENE_PIXELS, 0), "png"))

    def compose_edit(self, painted: bytes, photo: bytes, mask: bytes) -> bytes:
        from PIL import Image

        picture = _on_paper(decoded(photo))
        new = unshown(decoded(painted).convert("RGB"), picture.size)
        return _encoded(Image.composite(new, picture, _grey(mask)), "png")

    def stage(self, photo: bytes, cutout: bytes | None, canvas: Canvas) -> Staged:
        from PIL import Image

        placed = _Placed(_cut(photo, cutout), canvas)
        seen = Image.new("RGB", placed.size, NOTHING)
        seen.paste(placed.rgb, mask=placed.alpha)
        image = shown(seen, SCENE_PIXELS, NOTHING)
        free = shown(placed.alpha.point([255] + [0] * 255), SCENE_PIXELS, 255)
        return Staged(image.size, _encoded(image, "png"), _encoded(fully(free), "png"))

    def compose(self, scene: bytes, photo: bytes, cutout: bytes | None, canvas: Canvas, fmt: str) -> Composed:
        cut = _cut(photo, cutout)
        placed = _Placed(cut, canvas)
        made = unshown(decoded(scene).convert("RGB"), placed.size)
        made.paste(placed.rgb, mask=placed.alpha)
        kept = placed.share_kept(made)
        if kept is None:
            raise ProviderFailure(Failure.FAILED, "the product's own pixels could not be kept", paid="unknown")
        confidence, parts, warnings = cut.judged()
        parts["exact_pixel_fraction"] = kept
        mask = _encoded(placed.alpha, "png")
        return Composed(placed.size, _encoded(made, fmt), mask, confidence, parts, warnings)

    def accept(
        self, image: bytes, mask: bytes, photo: bytes, canvas: Canvas, fmt: str, at: tuple[int, int] | None = None
    ) -> tuple[bytes, bytes, Size]:
        """See the port. The photo's own alpha channel, else the mask at its place in the photo, gives the product.

        The product must then be on the canvas where this service would have placed it.
        """
        came, alpha, picture = answered(image), seen(decoded(mask).convert("L")), decoded(photo)
        made = came.picture
        if not made.size == alpha.size == _expected(canvas, picture.size, made.size):
            raise ProviderFailure(Failure.BAD_ANSWER, SIZE)
        own = Cutout.by_alpha(picture)
        try:
            placed = _Placed(own or _by_mask(picture, alpha, (0, 0) if canvas.keeps_framing else at), canvas)
        except Unplaceable:
            if own is not None:
                raise
            raise ProviderFailure(Failure.BAD_ANSWER, "the mask shows no product that fits the canvas") from None
        if placed.size != made.size:
            raise ProviderFailure(Failure.BAD_ANSWER, SIZE)
        whole = made.convert("RGB")
        if placed.share_kept(whole) is None or placed.differs(alpha):
            raise ProviderFailure(Failure.BAD_ANSWER, "the product's own pixels were not kept")
        plain = came.kind == fmt and made.mode == "RGB" and came.plain
        return image if plain else _encoded(whole, fmt), _encoded(alpha, "png"), placed.size


class _Placed:
    """A product on its canvas, moved by whole pixels. Raises Unplaceable."""

    def __init__(self, cut: Cutout, canvas: Canvas) -> None:
        from PIL import Image

        box = cut.box
        self.size, at = canvas.place(cut.alpha.size, box)
        corner = box[0] + at[0], box[1] + at[1]
        self.rgb, self.alpha = Image.new("RGB", self.size), Image.new("L", self.size)
        self.rgb.paste(cut.rgb.crop(box), corner)
        self.alpha.paste(cut.alpha.crop(box), corner)

    def share_kept(self, made: Image) -> float | None:
        """Return the share of the product's pixels that equal `made`'s; `None` if one of its opaque core differs."""
        from PIL import Image, ImageChops

        bands = ImageChops.difference(made, self.rgb).split()
        worst = ImageChops.lighter(ImageChops.lighter(bands[0], bands[1]), bands[2])
        nothing = Image.new("L", self.size)
        if Image.composite(worst, nothing, fully(self.alpha)).getbbox():
            return None
        there = self.alpha.point([0] + [255] * 255)
        kept = Image.composite(worst.point([255] + [0] * 255), nothing, there)
        return kept.histogram()[255] / there.histogram()[255]

    def differs(self, mask: Image) -> bool:
        from PIL import ImageChops

        return ImageChops.difference(mask, self.alpha).getbbox() is not None


def _on_paper(picture: Image) -> Image:
    """Return an RGB picture, white where it was transparent."""
    from PIL import Image

    if picture.mode != "RGBA":
        return picture.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


def _grey(mask: bytes) -> Image:
    return decoded(mask).convert("L")


def _cut(photo: bytes, cutout: bytes | None) -> Cutout:
    """Cut out by the service's answer, else by the photo's own alpha channel, else by its border."""
    picture = decoded(photo)
    if cutout is not None:
        return Cutout.by_service(picture, decoded(cutout))
    return Cutout.by_alpha(picture) or Cutout.by_border(picture)


def _by_mask(photo: Image, mask: Image, at: tuple[int, int] | None) -> Cutout:
    """Return the product in its photo, whose corner is at `at` on the mask. Raises ProviderFailure without `at`."""
    from PIL import Image

    if at is None:
        raise ProviderFailure(
            Failure.BAD_ANSWER, "it was not said where the product is, so that its pixels cannot be compared"
        )
    alpha = Image.new("L", photo.size)
    alpha.paste(mask, (-at[0], -at[1]))
    return Cutout(photo.convert("RGB"), alpha)


def _expected(canvas: Canvas, photo: Size, otherwise: Size) -> Size:
    """Return the size of an answer, as far as it is known without the product."""
    if canvas.keeps_framing:
        return photo
    return (canvas.width, canvas.height) if canvas.width and canvas.height else otherwise


def _encoded(picture: Image, fmt: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, **ENCODING[fmt])
    return out.getvalue()
