"""Compositing: products are kept byte for byte, cut-outs are scored, and answers are not trusted."""

from __future__ import annotations

import io
import itertools
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from lambdas.adapters.images.compositing import PillowCompositor
from lambdas.adapters.images.cutouts import Cutout
from lambdas.adapters.images.frames import shown, unshown
from lambdas.adapters.images.pictures import PillowPictures
from lambdas.domain.backgrounds import Canvas, Unplaceable
from lambdas.domain.failures import ProviderFailure
from tests.gpu_worker.background.products import draw, softened

DROPS = PillowCompositor()
CANVASES = [Canvas(), Canvas(padding=0), Canvas(padding=17), Canvas(320, 256), Canvas(200, 256, 8)]


def _open(data: bytes) -> Any:
    return Image.open(io.BytesIO(data))


def _png(picture: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _noise(size: tuple[int, int], seed: int = 1) -> bytes:
    drawn = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return _png(Image.fromarray(drawn))


def _taken(product: Any, alpha: bool, kind: str = "PNG") -> bytes:
    clean, media_type = PillowPictures().take(product.file(alpha, kind))
    assert media_type == "image/png"
    return clean


def _as_service(photo: bytes, coverage: Any) -> bytes:
    """The answer of a service that cuts out as the true coverage says, in colours of its own."""
    picture = _open(photo).convert("RGB").point([min(255, level + 9) for level in range(256)] * 3)
    picture.putalpha(Image.fromarray(np.round(coverage * 255).astype(np.uint8)))
    return _png(picture)


def _core_differs(made: Any, mask: Any, product: Any) -> int:
    """How many opaque pixels are not the photo's, wherever the product now stands."""
    picture, alpha = np.asarray(made.convert("RGB")), np.asarray(mask)
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    true = (
        np.flatnonzero(np.round(product.coverage * 255).any(axis=1))[0],
        np.flatnonzero(np.round(product.coverage * 255).any(axis=0))[0],
    )
    down, across = rows[0] - true[0], columns[0] - true[1]
    ys, xs = np.nonzero(alpha == 255)
    return int((picture[ys, xs] != product.rgb[ys - down, xs - across]).any(axis=1).sum())


@pytest.mark.parametrize(("seed", "canvas"), list(itertools.product(range(8), CANVASES)), ids=str)
@pytest.mark.parametrize("fmt", ["png", "webp"])
def test_no_opaque_pixel_of_a_product_changes(seed: int, canvas: Canvas, fmt: str) -> None:
    product = draw(seed)
    cut = _taken(product, alpha=True, kind="WEBP" if seed % 2 else "PNG")
    plain = _taken(product, alpha=False)
    for photo, cutout in ((cut, None), (plain, _as_service(plain, product.coverage))):
        stage = DROPS.stage(photo, cutout, canvas)
        made = DROPS.compose(_noise(stage.size, seed), photo, cutout, canvas, fmt)
        image, mask = _open(made.image), _open(made.mask)
        assert image.format == fmt.upper()
        assert image.size == mask.size == made.size
        assert (np.asarray(mask) == 255).sum() > 500
        assert _core_differs(image, mask, product) == 0
        assert 0.5 < (made.components["exact_pixel_fraction"] or 0) <= 1


def test_what_is_around_the_product_is_the_scene() -> None:
    product, scene = draw(0), _noise((160, 120))
    made = DROPS.compose(scene, _taken(product, alpha=True), None, Canvas(), "png")
    clear = np.asarray(_open(made.mask)) == 0
    assert clear.sum() > 1000
    assert np.array_equal(np.asarray(_open(made.image))[clear], np.asarray(_open(scene))[clear])


def test_a_service_s_cut_out_of_another_size_is_scaled_and_the_product_is_not() -> None:
    product = draw(1, 640, 480)
    photo = _taken(product, alpha=False)
    small = _png(_open(_as_service(photo, product.coverage)).resize((320, 240)))
    made = DROPS.compose(_noise((640, 480)), photo, small, Canvas(), "png")
    image, alpha = np.asarray(_open(made.image)), np.asarray(_open(made.mask))
    assert np.array_equal(image[alpha == 255], product.rgb[alpha == 255])


@pytest.mark.parametrize("size", [(900, 200), (200, 900), (4000, 3000), (40, 30)], ids=str)
def test_services_are_shown_what_they_take_and_the_way_back_is_the_same_place(size: tuple[int, int]) -> None:
    marked = Image.new("RGB", size, (20, 20, 20))
    marked.paste((240, 240, 240), (size[0] // 2, size[1] // 2, size[0], size[1]))
    seen = shown(marked, 1_048_576, (0, 0, 0))
    assert min(seen.size) >= 64
    assert seen.width * seen.height <= 1_048_576 * 1.01
    assert 0.4 <= seen.width / seen.height <= 2.5
    back = unshown(seen, size)
    assert back.size == size
    away = ImageChops.difference(back, marked).convert("L").point([0] * 128 + [255] * 128)
    assert away.histogram()[255] / (size[0] * size[1]) < 0.01


def test_a_model_is_shown_the_product_and_told_to_leave_it() -> None:
    product = draw(0)
    stage = DROPS.stage(_taken(product, alpha=True), None, Canvas(320, 256))
    image, mask = np.asarray(_open(stage.image)), np.asarray(_open(stage.mask))
    assert set(np.unique(mask)) == {0, 255}
    assert (image[mask == 255] == 127).all()
    assert (mask == 0).sum() == (np.round(product.coverage * 255) > 0).sum()


def _confidence(rgb: Any, alpha: Any) -> tuple[float, Any]:
    score, parts, said = Cutout(Image.fromarray(rgb), Image.fromarray(np.round(alpha * 255).astype(np.uint8))).judged()
    assert any("low confidence" in sentence for sentence in said) == (score < 0.5)
    return score, parts


def test_the_confidence_falls_as_the_edge_gets_softer() -> None:
    product = draw(0)
    scores = [_confidence(product.rgb, softened(product.coverage, radius))[0] for radius in (0, 2, 5, 12)]
    assert all(better > worse for better, worse in itertools.pairwise(scores))
    assert scores[0] > 0.9


def test_the_confidence_falls_as_the_product_leaves_the_photo() -> None:
    scores = []
    for away in (0, 40, 60):
        product = draw(1, at=(away, 0))
        scores.append(_confidence(product.rgb, product.coverage)[0])
    assert all(better > worse for better, worse in itertools.pairwise(scores))


def test_the_confidence_falls_as_nothing_is_left_of_the_product() -> None:
    scores = [_confidence(draw(0, scale=scale).rgb, draw(0, scale=scale).coverage)[0] for scale in (1.0, 0.2, 0.1)]
    assert all(better > worse for better, worse in itertools.pairwise(scores))
    assert scores[-1] < 0.5


def test_a_cut_out_by_the_border_is_trusted_as_far_as_the_border_is_even() -> None:
    product = draw(2)
    even, parts, _ = Cutout.by_border(Image.fromarray(product.rgb)).judged()
    assert parts["border_evenness"] == 1.0
    busy = product.rgb.copy()
    busy[:, :80] = np.random.default_rng(3).integers(0, 256, (120, 80, 3), np.uint8)
    uneven, parts, said = Cutout.by_border(Image.fromarray(busy)).judged()
    assert (parts["border_evenness"] or 0) < 0.8
    assert uneven < 0.5 < even
    assert any("low confidence" in sentence for sentence in said)
    true = product.coverage > 0.5
    alpha = np.asarray(Cutout.by_border(Image.fromarray(product.rgb)).alpha) > 127
    assert (alpha & true).sum() / (alpha | true).sum() > 0.9


def test_where_nothing_is_to_be_seen_it_says_so() -> None:
    blank = _png(Image.new("RGB", (200, 100), "white"))
    clear = _png(Image.new("RGBA", (200, 100), (9, 9, 9, 0)))
    with pytest.raises(Unplaceable, match="no product was found"):
        DROPS.stage(blank, None, Canvas())
    with pytest.raises(Unplaceable, match="no product was found"):
        DROPS.product(clear)
    with pytest.raises(Unplaceable, match="no product was found"):
        DROPS.check_cutout(blank, clear)


def test_an_alpha_channel_that_is_opaque_everywhere_says_nothing() -> None:
    photo = _png(Image.fromarray(draw(0).rgb).convert("RGBA"))
    assert DROPS.product(photo) == ((160, 120), None)
    assert DROPS.product(_taken(draw(0), alpha=True))[1]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"<html>", "not a whole PNG"),
        (_noise((160, 120)), "no alpha channel"),
        (_png(Image.new("RGBA", (160, 160), (0, 0, 0, 99))), "another picture"),
    ],
)
def test_what_is_no_cut_out_of_the_photo_is_not_taken(answer: bytes, says: str) -> None:
    with pytest.raises(ProviderFailure, match=says) as caught:
        DROPS.check_cutout(_taken(draw(0), alpha=False), answer)
    assert caught.value.code == "bad_answer"


def _at(canvas: Canvas) -> tuple[int, int]:
    """Where the photo's corner is on the canvas."""
    shown = draw(0).coverage * 255 >= 0.5
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    box = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    return canvas.place((shown.shape[1], shown.shape[0]), box)[1]


def _made(canvas: Canvas, alpha: bool = True) -> tuple[bytes, bytes, bytes]:
    product = draw(0)
    photo = _taken(product, alpha)
    cutout = None if alpha else _as_service(photo, product.coverage)
    made = DROPS.compose(_noise((160, 120)), photo, cutout, canvas, "png")
    return made.image, made.mask, photo


@pytest.mark.parametrize("canvas", CANVASES, ids=str)
@pytest.mark.parametrize("alpha", [True, False])
def test_what_a_provider_composed_is_passed_on_to_the_byte(canvas: Canvas, alpha: bool) -> None:
    image, mask, photo = _made(canvas, alpha)
    taken, kept, size = DROPS.accept(image, mask, photo, canvas, "png", _at(canvas))
    assert taken == image
    assert _open(kept).size == size == _open(image).size
    webp, _, _ = DROPS.accept(image, mask, photo, canvas, "webp", _at(canvas))
    assert _open(webp).format == "WEBP"
    assert np.array_equal(np.asarray(_open(webp)), np.asarray(_open(image)))


@pytest.mark.parametrize("canvas", CANVASES, ids=str)
@pytest.mark.parametrize("alpha", [True, False])
def test_one_changed_pixel_of_a_provider_s_is_found(canvas: Canvas, alpha: bool) -> None:
    image, mask, photo = _made(canvas, alpha)
    made, opaque = np.asarray(_open(image)).copy(), np.argwhere(np.asarray(_open(mask)) == 255)
    made[tuple(opaque[len(opaque) // 2])] ^= 1
    with pytest.raises(ProviderFailure, match="pixels were not kept"):
        DROPS.accept(_png(Image.fromarray(made)), mask, photo, canvas, "png", _at(canvas))


@pytest.mark.parametrize("canvas", CANVASES[1:], ids=str)
@pytest.mark.parametrize("moved", [(1, 0), (0, -1), (-40, -40), (5000, 0), (-25_000_000, 25_000_000), None], ids=str)
def test_a_place_that_the_pixels_do_not_bear_out_is_not_believed(canvas: Canvas, moved: tuple[int, int] | None) -> None:
    image, mask, photo = _made(canvas, alpha=False)
    at = None if moved is None else (_at(canvas)[0] + moved[0], _at(canvas)[1] + moved[1])
    with pytest.raises(ProviderFailure) as refused:
        DROPS.accept(image, mask, photo, canvas, "png", at)
    assert (refused.value.code, refused.value.paid) == ("bad_answer", "no")


@pytest.mark.parametrize("canvas", CANVASES, ids=str)
def test_a_mask_that_shows_next_to_nothing_is_the_provider_s_fault(canvas: Canvas) -> None:
    image, mask, photo = _made(canvas, alpha=False)
    faint = _png(_open(mask).point([0] + [1] * 255))
    with pytest.raises(ProviderFailure, match="no product") as refused:
        DROPS.accept(image, faint, photo, canvas, "png", _at(canvas))
    assert refused.value.code == "bad_answer"


def test_a_product_that_stands_elsewhere_than_asked_for_is_not_taken() -> None:
    """Kept to the byte, but not in the middle."""
    canvas, photo = Canvas(320, 256), _taken(draw(0), alpha=False)
    image, mask, _ = _made(canvas, alpha=False)
    left, top = _at(canvas)
    aside = [_png(ImageChops.offset(_open(data), 8, 0)) for data in (image, mask)]
    with pytest.raises(ProviderFailure, match="pixels were not kept"):
        DROPS.accept(aside[0], aside[1], photo, canvas, "png", (left + 8, top))


@pytest.mark.parametrize("canvas", CANVASES, ids=str)
@pytest.mark.parametrize("alpha", [True, False])
def test_a_provider_s_image_of_another_size_is_not_taken(canvas: Canvas, alpha: bool) -> None:
    image, mask, photo = _made(canvas, alpha)
    wide, tall = _open(image).size
    other = _png(_open(image).resize((wide + 8, tall)))
    with pytest.raises(ProviderFailure, match="not of the size"):
        DROPS.accept(other, mask, photo, canvas, "png")


def test_another_mask_than_the_photo_s_own_alpha_is_not_taken() -> None:
    image, mask, photo = _made(Canvas())
    with pytest.raises(ProviderFailure, match="pixels were not kept"):
        DROPS.accept(image, _png(_open(mask).filter(ImageFilter.MinFilter(3))), photo, Canvas(), "png")


def test_a_composite_that_is_not_exact_is_never_given(monkeypatch: pytest.MonkeyPatch) -> None:
    paste = Image.Image.paste

    def lossy(self: Any, im: Any, box: Any = None, mask: Any = None) -> None:
        paste(self, im, box, mask)
        if mask is not None and self.mode == "RGB":
            paste(self, self.point([max(0, level - 1) for level in range(256)] * 3))

    monkeypatch.setattr(Image.Image, "paste", lossy)
    with pytest.raises(ProviderFailure, match="could not be kept"):
        DROPS.compose(_noise((160, 120)), _taken(draw(0), alpha=True), None, Canvas(), "png")


# What is too faint to be product, and what is half clear


def _disc(level: int = 255, size: tuple[int, int] = (300, 240), reach: int = 50) -> Any:
    """A red disc in the middle, over colours that an alpha of 0 hides."""
    picture = Image.new("RGBA", size, (40, 200, 90, 0))
    x, y = size[0] // 2, size[1] // 2
    ImageDraw.Draw(picture).ellipse((x - reach, y - reach, x + reach, y + reach), fill=(200, 20, 30, level))
    return picture


def _with_faint(picture: Any, level: int, share: float) -> Any:
    """The picture with faint noise over what was clear, one pixel in the corner at least."""
    pixels = np.asarray(picture).copy()
    there = np.random.default_rng(4).random(pixels.shape[:2]) < share
    there[2, 3] = True
    pixels[..., 3] = np.where(there & (pixels[..., 3] == 0), level, pixels[..., 3])
    return Image.fromarray(pixels)


@pytest.mark.parametrize("level", [1, 2, 11])
@pytest.mark.parametrize("share", [0.0, 0.02, 1.0])
@pytest.mark.parametrize("by_service", [False, True])
def test_what_nobody_sees_is_not_product(level: int, share: float, by_service: bool) -> None:
    clean, faint = (_png(p) for p in (_disc(), _with_faint(_disc(), level, share)))
    scene = _noise((300, 240))
    answers = []
    for picture in (clean, faint):
        photo, cutout = (_png(_open(picture).convert("RGB")), picture) if by_service else (picture, None)
        canvas = Canvas(padding=20)
        staged = DROPS.stage(photo, cutout, canvas)
        made = DROPS.compose(scene, photo, cutout, canvas, "png")
        answers.append((staged.mask, made.size, made.mask, made.confidence))
        assert made.size == (141, 141)
        assert any("fainter than 12" in said for said in made.warnings) == (picture is faint)
    assert answers[0] == answers[1]
    if not by_service:
        assert DROPS.product(faint) == DROPS.product(clean) == ((300, 240), (100, 70, 201, 171))


@pytest.mark.parametrize(("level", "box"), [(11, None), (12, (100, 70, 201, 171)), (90, (100, 70, 201, 171))])
def test_a_half_clear_product_is_one_and_a_fainter_is_none(level: int, box: Any) -> None:
    photo = _png(_disc(level))
    if box is None:
        with pytest.raises(Unplaceable, match="no product was found"):
            DROPS.product(photo)
        return
    assert DROPS.product(photo) == ((300, 240), box)
    made = DROPS.compose(_noise((300, 240)), photo, None, Canvas(), "png")
    assert np.array_equal(np.asarray(_open(made.mask)), np.asarray(_open(photo))[..., 3])
    assert made.confidence > 0.5
    assert (made.components["area_fraction"] or 0) > 0.05


@pytest.mark.parametrize("level", [250, 254, 255])
def test_an_alpha_that_is_nowhere_below_250_says_nothing(level: int) -> None:
    product = draw(2)
    photo = Image.fromarray(product.rgb).convert("RGBA")
    photo.putalpha(Image.new("L", photo.size, level))
    assert DROPS.product(_png(photo)) == ((160, 120), None)
    plain = _png(Image.fromarray(product.rgb))
    for cutout in (None, _as_service(plain, product.coverage)):
        said, right = (DROPS.compose(_noise((160, 120)), one, cutout, Canvas(), "png") for one in (_png(photo), plain))
        assert (said.mask, said.image) == (right.mask, right.image)
    photo.putpixel((0, 0), (0, 0, 0, 249))
    assert DROPS.product(_png(photo))[1] == (0, 0, 160, 120)


def test_a_provider_s_mask_is_read_by_the_same_threshold() -> None:
    image, mask, photo = _made(Canvas())
    faint = np.asarray(_open(mask)).copy()
    faint[0, :] = 7
    _, kept, _ = DROPS.accept(image, _png(Image.fromarray(faint)), photo, Canvas(), "png")
    assert kept == mask or np.array_equal(np.asarray(_open(kept)), np.asarray(_open(mask)))
