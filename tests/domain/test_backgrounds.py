"""The placement of a product on its canvas, and the models for backgrounds."""

from __future__ import annotations

import random

import pytest

from lambdas.domain.backgrounds import Canvas, Unplaceable
from lambdas.domain.errors import InvalidRequest, ProviderUnconfigured
from lambdas.domain.jobs.job import Job
from lambdas.domain.jobs.request import BACKGROUND, ImageRequest
from lambdas.domain.limits import budget
from lambdas.domain.routing import planning
from lambdas.domain.routing.planning import Deployment

PHOTO, PRODUCT = (300, 200), (60, 30, 240, 170)
SCENE, CUTTER = (f"us.stability.stable-image-{name}-v1:0" for name in ("inpaint", "remove-background"))
WORKER = "diffusers/stable-diffusion-xl-1.0-inpainting-0.1"
NOW = 1_795_000_000.0


@pytest.mark.parametrize(
    ("canvas", "size", "at"),
    [
        (Canvas(), (300, 200), (0, 0)),
        (Canvas(padding=0), (180, 140), (-60, -30)),
        (Canvas(padding=25), (230, 190), (-35, -5)),
        (Canvas(640, 512), (640, 512), (170, 156)),
        (Canvas(640, 512, 40), (640, 512), (170, 156)),
        (Canvas(180, 140), (180, 140), (-60, -30)),
        (Canvas(260, 220, 40), (260, 220), (-20, 10)),
    ],
)
def test_the_product_is_moved_by_whole_pixels(canvas: Canvas, size: tuple[int, int], at: tuple[int, int]) -> None:
    assert canvas.place(PHOTO, PRODUCT) == (size, at)


@pytest.mark.parametrize(
    ("canvas", "says"),
    [
        (Canvas(176, 512), "needs 180x140"),
        (Canvas(512, 136), "needs 180x140"),
        (Canvas(256, 256, 40), "needs 260x220"),
        (Canvas(padding=2048), "canvas of 4276x4236 is not within 16 to 4096"),
    ],
)
def test_a_canvas_that_is_too_small_or_too_large_is_refused(canvas: Canvas, says: str) -> None:
    with pytest.raises(Unplaceable, match=says):
        canvas.place(PHOTO, PRODUCT)


@pytest.mark.parametrize("photo", [(4097, 100), (15, 100), (100, 15)])
def test_a_photo_that_is_no_canvas_is_refused(photo: tuple[int, int]) -> None:
    with pytest.raises(Unplaceable, match="is not within"):
        Canvas().place(photo, (0, 0, 1, 1))


def _plan(request: ImageRequest, *configured: str) -> list[str]:
    house = Deployment(frozenset(configured), "stabilityai/sdxl-turbo")
    return [card.id for card in planning.plan(request, house, NOW, random.Random(1))]


def test_only_models_of_backgrounds_are_asked_for_one() -> None:
    request = ImageRequest("a room", task=BACKGROUND, reference_key="uploads/acme/x")
    assert set(_plan(request, "bedrock", "sagemaker", "gemini", "leonardo_ai")) == {SCENE, WORKER}
    assert _plan(request, "demo") == ["demo/procedural-1"]


def test_no_model_of_backgrounds_is_asked_for_anything_else() -> None:
    everything = ("bedrock", "sagemaker", "demo")
    for request in (ImageRequest("a fox"), ImageRequest("a fox", reference_key="uploads/acme/x")):
        assert not {SCENE, CUTTER, WORKER} & set(_plan(request, *everything))
    for name in (SCENE, CUTTER, WORKER):
        with pytest.raises(InvalidRequest, match="makes no images of its own"):
            _plan(ImageRequest("a fox", model=name), *everything)
    with pytest.raises(InvalidRequest, match="makes no product backgrounds"):
        _plan(ImageRequest("a room", task=BACKGROUND, model=CUTTER), *everything)


def test_without_anybody_who_could_it_says_who_is_needed() -> None:
    with pytest.raises(ProviderUnconfigured, match="need the GPU worker or Bedrock"):
        _plan(ImageRequest("a room", task=BACKGROUND), "gemini", "comfyui")


@pytest.mark.parametrize(("cut_out", "price"), [(True, 70_000), (False, 140_000)])
def test_the_budget_holds_room_for_every_paid_call(cut_out: bool, price: int) -> None:
    request = ImageRequest("a room", task=BACKGROUND, cut_out=cut_out)
    job = Job("acme", "1", request, SCENE, "bedrock", 1, NOW, plan=(WORKER, SCENE))
    assert budget.reserving(job, budget.Caps(microusd=1_000_000)).reserved_microusd == price


def test_what_is_avoided_around_a_product_is_also_what_is_avoided_anywhere() -> None:
    card = next(c for c in Deployment(frozenset({"bedrock"}), "").cards(NOW) if c.id == SCENE)
    avoided = planning.image_task(ImageRequest("a room", task=BACKGROUND), card, 7, 0).negative_prompt or ""
    assert "nsfw" in avoided
    assert "second product" in avoided
    chosen = ImageRequest("a room", task=BACKGROUND, negative_prompt="plants")
    assert planning.image_task(chosen, card, 7, 0).negative_prompt == "plants"
