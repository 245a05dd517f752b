"""The whole way of a product with models that are known: exact pixels, the best candidate, and an honest score."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from gpu_worker.background.cutout import EDGE
from gpu_worker.background.model import BackgroundPainter
from gpu_worker.contract import NOT_EXACT, PaintRequest, Refusal
from gpu_worker.engine.protocol import OutOfMemory, Painting
from gpu_worker.http.encoding import encode
from gpu_worker.pipelines.batch import Item, Run
from gpu_worker.pipelines.table import BACKGROUND, Spec
from tests.gpu_worker.background.products import Product, draw, falls, softened

Array = np.ndarray[Any, Any]


@dataclass
class Scenes:
    """Paints noise around what it is shown; the seeds in `grown` let the object grow by that many pixels."""

    grown: dict[int, int] = field(default_factory=dict)
    room: int = 8
    nothing: bool = False
    spec: Spec = BACKGROUND
    batches: list[tuple[list[int], int]] = field(default_factory=list)

    def windows(self, *_prompts: str | None) -> int:
        return 1

    def paint(self, run: Run, items: Sequence[Item], bucket: int, check: Callable[[], None]) -> list[Array | Refusal]:
        check()
        self.batches.append(([item.seed for item in items], bucket))
        if bucket > self.room:
            raise OutOfMemory
        if self.nothing:
            return [Refusal("failed", "no numbers") for _ in items]
        return [self._scene(run, item) for item in items]

    def _scene(self, run: Run, item: Item) -> Array:
        assert item.image is not None
        assert item.mask is not None
        made = np.random.default_rng(item.seed).integers(180, 256, (run.height, run.width, 3), np.uint8)
        kept = Image.fromarray(255 - np.asarray(item.mask))
        if grow := self.grown.get(item.seed, 0):
            kept = kept.filter(ImageFilter.MaxFilter(2 * grow + 1))
            made[np.asarray(kept) > 0] = 0
        return made


class Dark:
    """A segmenter for these pictures: what is dark is the object."""

    def __init__(self, of: Callable[[Array], Array] = lambda p: p) -> None:
        self.of = of
        self.looked = 0

    def probabilities(self, rgb: Array) -> Array:
        self.looked += 1
        bright = rgb.astype(np.float32).mean(axis=-1)
        return self.of(np.clip((180 - bright) / 40, 0, 1).astype(np.float32))


class Given:
    """A segmenter that answers the first picture with a mask and finds exactly that again in every scene."""

    def __init__(self, mask: Array) -> None:
        self.mask = mask

    def probabilities(self, rgb: Array) -> Array:
        height, width = rgb.shape[:2]
        scaled = Image.fromarray(self.mask.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(scaled)


def asked(image: bytes, **changed: Any) -> PaintRequest:
    values: dict[str, Any] = {
        "task": "background",
        "id": "1",
        "model": BACKGROUND.id,
        "prompt": "a table",
        "width": 0,
        "height": 0,
        "seed": 5,
        "format": "png",
        "image": image,
    }
    return PaintRequest(**(values | changed))


def painted(model: BackgroundPainter, request: PaintRequest) -> Painting:
    (outcome,) = model.paint([request], 1, lambda: None)
    assert isinstance(outcome, Painting), outcome
    return outcome


def decoded(data: bytes) -> Array:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


SIZES = [{}, {"padding": 24}, {"width": 320, "height": 256}, {"width": 264, "height": 200, "padding": 8}]


@pytest.mark.parametrize("kind", ["png", "webp"])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("tenth", range(5))
def test_no_opaque_pixel_of_the_product_differs_in_the_file_that_is_answered(
    tenth: int, alpha: bool, kind: str
) -> None:
    """5 x 2 x 2 x 5 are a hundred products."""
    for number in range(5):
        seed = tenth * 20 + number * 4 + 2 * alpha + (kind == "webp")
        product = draw(seed)
        mask = product.coverage
        model = BackgroundPainter(Scenes(), partial(Given, mask))
        made = painted(model, asked(product.file(alpha=alpha), seed=seed, **SIZES[seed % 4]))
        core = np.round(mask * 255) == 255 if alpha else mask >= EDGE[1]
        answer = decoded(encode(made.image, kind, exact=True))
        assert made.mask is not None
        opaque = np.equal(made.mask, 255)
        assert opaque.sum() == np.sum(core) > 100
        assert np.array_equal(answer[opaque], product.rgb[core])
        assert made.at is not None
        assert np.array_equal(np.argwhere(opaque) - np.array(made.at[::-1]), np.argwhere(core)), "and it says where"
        assert made.components is not None
        assert (made.components["exact_pixel_fraction"] or 0) >= opaque.sum() / (made.mask > 0).sum()


def test_the_candidate_that_grows_the_product_least_is_answered_with_its_seed() -> None:
    scenes = Scenes(grown={5: 9, 6: 5, 7: 2, 8: 6})
    made = painted(BackgroundPainter(scenes, Dark), asked(draw(1).file(alpha=True), candidates=4))
    assert made.seed == 7
    assert scenes.batches == [([5, 6, 7, 8], 4)]
    alone = painted(BackgroundPainter(scenes, Dark), asked(draw(1).file(alpha=True), candidates=1, seed=5))
    assert made.confidence is not None and alone.confidence is not None
    assert made.confidence > alone.confidence
    more, less = (painting.components and painting.components["expansion"] for painting in (alone, made))
    assert isinstance(more, float) and isinstance(less, float)
    assert more > less


def test_seeds_past_the_last_begin_again() -> None:
    scenes = Scenes()
    painted(BackgroundPainter(scenes, Dark), asked(draw(1).file(alpha=True), seed=2**32 - 1, candidates=2))
    assert scenes.batches[0][0] == [2**32 - 1, 0]


def test_the_same_request_is_the_same_bytes() -> None:
    first, second = (painted(BackgroundPainter(Scenes(), Dark), asked(draw(2).file(alpha=False))) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert (first.seed, first.confidence, first.components) == (second.seed, second.confidence, second.components)


def test_where_all_candidates_have_no_room_they_are_painted_one_by_one() -> None:
    scenes = Scenes(room=1)
    made = painted(BackgroundPainter(scenes, Dark), asked(draw(1).file(alpha=True), candidates=3))
    assert [bucket for _, bucket in scenes.batches] == [3, 1]
    assert made.image.shape == (120, 160, 3)


def test_no_room_for_one_candidate_is_told_to_the_engine() -> None:
    with pytest.raises(OutOfMemory):
        painted(BackgroundPainter(Scenes(room=0), Dark), asked(draw(1).file(alpha=True)))


def test_an_alpha_that_was_sent_is_no_certainty_and_no_segmenter_is_no_expansion() -> None:
    made = painted(BackgroundPainter(Scenes(), lambda: None), asked(draw(1).file(alpha=True)))
    assert made.components is not None and made.confidence is not None
    assert made.components["mask_certainty"] is None
    assert made.components["expansion"] is None
    assert made.components["expansion_shown"] is None
    assert 0 < made.confidence <= 1


def test_the_mask_is_the_product_on_the_canvas() -> None:
    made = painted(BackgroundPainter(Scenes(), Dark), asked(draw(1).file(alpha=True), width=320, height=256))
    assert made.mask is not None
    assert made.mask.shape == made.image.shape[:2] == (256, 320)
    assert np.sum(made.mask == 255) == (np.round(draw(1).coverage * 255) == 255).sum()


@pytest.mark.parametrize(
    "image",
    [b"no image", Product(np.full((64, 64, 3), 250, np.uint8), np.ones((64, 64))).file(alpha=False)],
    ids=["no image", "no product"],
)
def test_a_bad_request_is_refused_alone(image: bytes) -> None:
    model = BackgroundPainter(Scenes(), Dark)
    outcomes = model.paint([asked(image), asked(draw(1).file(alpha=True))], 1, lambda: None)
    assert [type(outcome) for outcome in outcomes] == [Refusal, Painting]
    assert isinstance(outcomes[0], Refusal)
    assert outcomes[0].code == "invalid_request"


def test_scenes_without_numbers_are_refused() -> None:
    (outcome,) = BackgroundPainter(Scenes(nothing=True), Dark).paint([asked(draw(1).file(alpha=True))], 1, lambda: None)
    assert isinstance(outcome, Refusal)
    assert outcome.code == "failed"


def test_a_request_may_be_ended_between_its_stages() -> None:
    class Enough(Exception):
        pass

    def check() -> None:
        raise Enough

    with pytest.raises(Enough):
        BackgroundPainter(Scenes(), Dark).paint([asked(draw(1).file(alpha=True))], 1, check)


def test_every_request_is_a_batch_of_its_own() -> None:
    model = BackgroundPainter(Scenes(), Dark)
    one, other = (model.shape(asked(b"-", id=name)) for name in "ab")
    assert one.bucket == other.bucket == 1
    assert one != other


def test_a_jpeg_is_said_not_to_keep_the_pixels_and_png_says_nothing() -> None:
    image = draw(1).file(alpha=True)
    model = BackgroundPainter(Scenes(), Dark)
    assert "JPEG" in painted(model, asked(image, format="jpeg")).warnings[0]
    assert painted(model, asked(image, format="png")).warnings == ()


def blurred(radius: float) -> Callable[[Array], Array]:
    return lambda p: softened(p, radius)


def unsure(share: float) -> Callable[[Array], Array]:
    return lambda p: np.where(p > 0.5, 1 - share / 2, p * 0).astype(np.float32)


def score_of(product: Product, grown: int = 0, of: Callable[[Array], Array] = lambda p: p) -> float:
    scenes = Scenes(grown={5: grown}) if grown else Scenes()
    segmenter = Dark() if grown else Given(of(product.coverage))
    made = painted(BackgroundPainter(scenes, lambda: segmenter), asked(product.file(alpha=False), candidates=1))
    assert made.confidence is not None
    return made.confidence


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_confidence_falls_as_the_edge_of_the_mask_softens(seed: int) -> None:
    assert falls([score_of(draw(seed), of=blurred(radius)) for radius in (0, 1, 2, 4, 6)])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_confidence_falls_as_the_segmenter_grows_unsure(seed: int) -> None:
    assert falls([score_of(draw(seed), of=unsure(share)) for share in (0.0, 0.1, 0.2, 0.3)])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_confidence_falls_as_the_product_leaves_the_photo(seed: int) -> None:
    assert falls([score_of(draw(seed, at=(move, 0))) for move in (0, 60, 66, 72)])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_confidence_falls_as_the_product_gets_lost_in_the_photo(seed: int) -> None:
    assert falls([score_of(draw(seed, 480, 360, scale=s)) for s in (1.0, 0.16, 0.12, 0.08)])


@pytest.mark.parametrize("seed", [4, 5, 6])
def test_confidence_falls_as_the_object_grows(seed: int) -> None:
    product = draw(seed)
    product.rgb[:] = np.where(product.coverage[..., None] > 0.5, 60, 245)
    assert falls([score_of(product, grown=pixels) for pixels in (2, 5, 9, 14)])


def test_low_confidence_is_said() -> None:
    image = draw(1)
    model = BackgroundPainter(Scenes(), lambda: Given(unsure(0.35)(image.coverage)))
    made = painted(model, asked(image.file(alpha=False)))
    assert made.confidence is not None and made.confidence < 0.5
    assert "low confidence" in made.warnings[0]


def test_a_product_at_the_border_is_said() -> None:
    image = draw(1, at=(60, 0))
    made = painted(BackgroundPainter(Scenes(), lambda: None), asked(image.file(alpha=True)))
    assert any("border" in warning for warning in made.warnings)


def test_without_a_segmenter_the_operator_is_at_fault_and_not_the_request() -> None:
    (outcome,) = BackgroundPainter(Scenes(), lambda: None).paint([asked(draw(1).file(alpha=False))], 1, lambda: None)
    assert isinstance(outcome, Refusal)
    assert (outcome.code, outcome.status) == ("failed", 500)


def test_a_share_that_is_measured_before_a_jpeg_is_encoded_is_not_told() -> None:
    model = BackgroundPainter(Scenes(), Dark)
    for fmt in ("jpeg", "webp"):
        made = painted(model, asked(draw(1).file(alpha=True), format=fmt))
        assert made.components is not None
        assert (made.components["exact_pixel_fraction"] is None) == (fmt == "jpeg")
        assert [said for said in made.warnings if "JPEG" in said] == ([NOT_EXACT] if fmt == "jpeg" else [])


def test_a_half_clear_product_is_placed_and_trusted() -> None:
    product = draw(0)
    product.coverage[:] = np.where(product.coverage > 0.5, 90 / 255, 0)
    made = painted(BackgroundPainter(Scenes(), lambda: None), asked(product.file(alpha=True)))
    assert made.confidence is not None and made.mask is not None
    assert made.confidence > 0.5
    assert set(np.unique(made.mask)) == {0, 90}
