"""Background jobs: their models and costs, and a run killed between or during its two paid calls."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from lambdas.domain.errors import InvalidRequest
from lambdas.domain.failures import Failure, Outcome, ProviderFailure
from lambdas.domain.jobs.job import COMPLETED, FAILED, Attempt, Job, JobError
from lambdas.domain.jobs.request import BACKGROUND, Draft, ImageRequest
from lambdas.usecases.deps import Deps
from lambdas.usecases.images.candidates import may_ask_next
from lambdas.usecases.jobs.accept import accept
from lambdas.usecases.jobs.delete_image import delete_image
from lambdas.usecases.jobs.run_job import run_job
from lambdas.usecases.jobs.submit_job import Caller
from tests.gpu_worker.background.products import Product, draw
from tests.support.real_providers import Deployment, open_house
from tests.support.tripwire import Tripwire
from tests.usecases.jobs.test_crash_matrix import run_to_the_end

SCENE, CUTTER = (f"us.stability.stable-image-{name}-v1:0" for name in ("inpaint", "remove-background"))
WORKER = "diffusers/stable-diffusion-xl-1.0-inpainting-0.1"


@pytest.fixture(scope="module")
def running() -> Iterator[Deployment]:
    with open_house() as house:
        yield house


@pytest.fixture
def house(running: Deployment) -> Iterator[Deployment]:
    running.clear()
    yield running
    running.doubles["sagemaker"].spoil = ""


def submitted(product: Product, deps: Deps, *, alpha: bool, **asked: Any) -> Job:
    text = base64.b64encode(product.file(alpha)).decode()
    draft = Draft(ImageRequest("on a rock by the sea", seed=7, task=BACKGROUND, **asked), text)
    return accept(draft, Caller("acme", "req-1"), deps)[0]


def run(product: Product, deps: Deps, *, alpha: bool, **asked: Any) -> Job:
    job = submitted(product, deps, alpha=alpha, **asked)
    ended = run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
    assert ended
    return ended


def check_pixels(job: Job, product: Product, deps: Deps) -> None:
    """The product as it is in the photo, whose framing was kept."""
    [image] = job.images
    made, mask = (np.asarray(Image.open(io.BytesIO(deps.blobs.get(key) or b""))) for key in (image.key, image.mask_key))
    assert made.shape[:2] == mask.shape == (image.height, image.width) == product.coverage.shape
    assert (mask == 255).sum() > 500
    assert np.array_equal(made[mask == 255], product.rgb[mask == 255])
    assert image.mask_key == f"{image.key.rpartition('.')[0]}_mask.png"
    assert image.confidence is not None
    assert 0 < image.confidence <= 1
    assert "exact_pixel_fraction" in image.components


def told(job: Job) -> list[tuple[str, str, float]]:
    return [(a.model, a.outcome, a.cost_usd) for a in job.attempts]


def test_bedrock_cuts_out_and_paints_in_two_paid_calls(house: Deployment) -> None:
    deps, product = house.deps(), draw(0, 320, 240)
    job = run(product, deps, alpha=False, provider="bedrock")
    assert job.status == COMPLETED, job.error
    assert told(job) == [(CUTTER, "success", 0.07), (SCENE, "success", 0.07)]
    assert job.cost_usd == 0.14
    assert [call.model for call in house.ledger("bedrock")] == [CUTTER, SCENE]
    assert job.images[0].seed == 7
    check_pixels(job, product, deps)


def test_with_an_alpha_channel_one_call_is_enough(house: Deployment) -> None:
    deps, product = house.deps(), draw(1, 320, 240)
    job = run(product, deps, alpha=True, provider="bedrock")
    assert told(job) == [(SCENE, "success", 0.07)]
    check_pixels(job, product, deps)
    mask = np.asarray(Image.open(io.BytesIO(deps.blobs.get(job.images[0].mask_key) or b"")))
    assert np.array_equal(mask, np.round(product.coverage * 255).astype(np.uint8))


@pytest.mark.parametrize("provider", ["bedrock", "sagemaker"])
def test_a_jpeg_on_its_side_keeps_the_product_s_pixels(house: Deployment, provider: str) -> None:
    deps, exif, sent = house.deps(), Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    upright = Image.fromarray(draw(0, 320, 240).rgb)
    upright.transpose(Image.Transpose.ROTATE_90).save(sent, "JPEG", quality=90, exif=exif)
    text = base64.b64encode(sent.getvalue()).decode()
    draft = Draft(ImageRequest("a rock", provider=provider, fallback=False, task=BACKGROUND), text)
    job = accept(draft, Caller("acme", "req-1"), deps)[0]
    ended = run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
    assert ended
    assert ended.status == COMPLETED, ended.error
    [image] = ended.images
    made, mask = (np.asarray(Image.open(io.BytesIO(deps.blobs.get(k) or b""))) for k in (image.key, image.mask_key))
    right = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(sent.getvalue()))))
    assert (mask == 255).sum() > 500
    assert np.array_equal(made[mask == 255], right[mask == 255])


@pytest.mark.parametrize("alpha", [True, False])
def test_the_worker_does_it_in_one_call(house: Deployment, alpha: bool) -> None:
    deps, product = house.deps(), draw(2, 320, 240)
    job = run(product, deps, alpha=alpha, provider="sagemaker")
    assert told(job) == [(WORKER, "success", 0.0)]
    check_pixels(job, product, deps)


@pytest.mark.parametrize("provider", ["bedrock", "sagemaker"])
@pytest.mark.parametrize("fmt", ["png", "webp", "jpeg"])
def test_each_format_is_given_and_what_jpeg_means_is_said(house: Deployment, provider: str, fmt: str) -> None:
    deps, product = house.deps(), draw(3, 320, 240)
    job = run(product, deps, alpha=True, provider=provider, format=fmt, width=512, height=384, padding=8)
    [image] = job.images
    picture = Image.open(io.BytesIO(deps.blobs.get(image.key) or b""))
    assert (picture.format, picture.size) == (fmt.upper(), (512, 384))
    assert any("JPEG cannot keep" in sentence for sentence in job.warnings) == (fmt == "jpeg")
    assert (image.components["exact_pixel_fraction"] is None) == (fmt == "jpeg")


def test_a_worker_that_fails_is_followed_by_bedrock(house: Deployment) -> None:
    deps, product = house.deps(), draw(0, 320, 240)
    house.doubles["sagemaker"].inject("failed_job", times=None)
    job = run(product, deps, alpha=False, provider="sagemaker")
    assert job.status == COMPLETED, job.error
    assert [a.model for a in job.attempts][-2:] == [CUTTER, SCENE]
    assert job.attempts[0].outcome == "failed"
    check_pixels(job, product, deps)


@pytest.mark.parametrize("spoil", ["no_mask", "wrong_confidence", "other_size", "other_pixels"])
def test_what_a_worker_has_spoilt_is_not_given(house: Deployment, spoil: str) -> None:
    deps = house.deps()
    house.doubles["sagemaker"].spoil = spoil
    job = run(draw(0, 320, 240), deps, alpha=True, provider="sagemaker", fallback=False)
    assert (job.status, job.images) == (FAILED, ())
    assert [a.error_code for a in job.attempts] == ["bad_answer"]
    assert not [key for key in deps.blobs.objects if key.startswith("images/")]


@pytest.mark.parametrize("asked", [{"padding": 9}, {"width": 512, "height": 384}], ids=str)
def test_the_worker_s_product_is_found_wherever_it_was_put(house: Deployment, asked: dict[str, int]) -> None:
    deps, product = house.deps(), draw(2, 320, 240)
    job = run(product, deps, alpha=False, provider="sagemaker", fallback=False, **asked)
    assert job.status == COMPLETED, job.error
    [image] = job.images
    made, mask = (np.asarray(Image.open(io.BytesIO(deps.blobs.get(key) or b""))) for key in (image.key, image.mask_key))
    core = np.argwhere(mask == 255)
    colours = {tuple(colour) for colour in product.rgb.reshape(-1, 3)}
    assert len(core) > 500
    assert {tuple(made[tuple(place)]) for place in core} <= colours


@pytest.mark.parametrize("spoil", ["no_place", "other_pixels", "wrong_place"])
@pytest.mark.parametrize("asked", [{"padding": 9}, {"width": 512, "height": 384}], ids=str)
def test_a_moved_product_that_was_not_kept_is_asked_for_elsewhere(
    house: Deployment, asked: dict[str, int], spoil: str
) -> None:
    """Only the worker knows where it found the product: what it says of the place is held against the pixels."""
    deps = house.deps()
    house.doubles["sagemaker"].spoil = spoil
    job = run(draw(0, 320, 240), deps, alpha=False, provider="sagemaker", **asked)
    assert job.status == COMPLETED, job.error
    assert told(job) == [(WORKER, "failed", 0.0), (CUTTER, "success", 0.07), (SCENE, "success", 0.07)]
    assert job.attempts[0].error_code == "bad_answer"


def test_a_cut_out_that_fails_is_the_end_of_it_there(house: Deployment) -> None:
    deps = house.deps()
    house.doubles["bedrock"].inject("moderated_prompt")
    job = run(draw(0, 320, 240), deps, alpha=False, provider="bedrock")
    assert job.error
    assert (job.status, job.error.code) == (FAILED, "content_policy")
    assert [(a.model, a.outcome) for a in job.attempts] == [(CUTTER, "refused")]


def test_what_cannot_be_placed_is_refused_before_the_scene_is_paid(house: Deployment) -> None:
    deps = house.deps()
    job = run(draw(1, 320, 240), deps, alpha=False, provider="bedrock", width=64, height=64, fallback=False)
    assert job.error
    assert (job.status, job.error.code) == (FAILED, "invalid_request")
    assert "never scaled" in job.error.message
    assert job.wrong_field == "image"
    assert told(job) == [(CUTTER, "success", 0.07)]
    with pytest.raises(InvalidRequest, match="never scaled"):
        submitted(draw(1, 320, 240), deps, alpha=True, width=64, height=64)


def test_a_photo_that_is_gone_ends_the_job(house: Deployment) -> None:
    deps = house.deps()
    job = submitted(draw(0), deps, alpha=True, provider="bedrock")
    deps.blobs.delete(job.request.reference_key or "")
    ended = run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
    assert ended
    assert ended.error == JobError("invalid_request", "the photo of the product is no longer there")
    assert ended.attempts == ()
    assert ended.wrong_field == "image"


def test_with_its_image_go_the_mask_and_what_the_paid_calls_answered(house: Deployment) -> None:
    deps = house.deps()
    job = run(draw(0, 320, 240), deps, alpha=False, provider="bedrock")
    objects: dict[str, Any] = deps.blobs.objects
    assert sum(key.startswith("raw/") for key in objects) == 2
    delete_image("acme", job.id, job.images[0].id, deps)
    assert [key for key in objects if not key.startswith("uploads/")] == []


# A run that is killed. Steps of a job of two paid calls, with how often each comes by.
STEPS = {"claim": 1, "intent": 2, "paint": 2, "raw": 2, "image": 2, "finish": 1}
POINTS = [
    (step, when, number)
    for step, most in STEPS.items()
    for number in range(1, most + 1)
    for when in ("before", "after")
]


def _lost(step: str, when: str) -> bool:
    """Whether a paid call was on record and what it answered was not: from the intent until its bytes are stored."""
    at = list(STEPS).index(step), when == "after"
    return (list(STEPS).index("intent"), True) <= at <= (list(STEPS).index("raw"), False)


@pytest.mark.parametrize(("step", "when", "number"), POINTS)
def test_killed_once_neither_call_is_paid_twice(step: str, when: str, number: int, house: Deployment) -> None:
    wire = Tripwire()
    deps, product = wire.deps(house, ("bedrock",)), draw(0, 320, 240)
    job = submitted(product, deps, alpha=False, provider="bedrock", fallback=False)
    before = wire.counts.get(step, 0)
    wire.kill = lambda *at: at == (step, when, before + number)
    ended = run_to_the_end(job, deps)
    assert wire.counts[step] >= before + number
    calls = [call.model for call in house.ledger("bedrock")]
    assert calls.count(CUTTER) <= 1
    assert calls.count(SCENE) <= 1
    assert {a.model for a in ended.attempts if a.outcome != "unknown"} <= set(calls)
    if _lost(step, when):
        assert ended.error
        assert (ended.status, ended.error.code) == (FAILED, "outcome_unknown")
        assert (ended.attempts[-1].model, ended.attempts[-1].outcome) == ((CUTTER, SCENE)[number - 1], "unknown")
    else:
        assert ended.status == COMPLETED, ended.error
        assert calls == [CUTTER, SCENE]
        assert told(ended) == [(CUTTER, "success", 0.07), (SCENE, "success", 0.07)]
        check_pixels(ended, product, deps)


def test_a_cut_out_that_may_have_been_paid_is_not_asked_for_again_but_elsewhere(house: Deployment) -> None:
    wire = Tripwire()
    deps, product = wire.deps(house, ("bedrock", "sagemaker")), draw(0, 320, 240)
    job = submitted(product, deps, alpha=False, provider="bedrock")
    wire.kill = lambda *at: at == ("paint", "after", 1)
    ended = run_to_the_end(job, deps)
    assert ended.status == COMPLETED, ended.error
    assert [(a.model, a.outcome) for a in ended.attempts] == [(CUTTER, "unknown"), (WORKER, "success")]
    check_pixels(ended, product, deps)


def test_a_cut_out_that_came_is_no_call_paid_in_vain() -> None:
    lost = ProviderFailure(Failure.OUTCOME_UNKNOWN, "x", paid="unknown")
    asked: list[tuple[str, str, Outcome, float]] = [
        ("sagemaker", WORKER, "unknown", 0.0),
        ("bedrock", CUTTER, "success", 0.07),
        ("bedrock", SCENE, "unknown", 0.0),
    ]
    attempts = tuple(Attempt(provider, model, outcome, cost_usd=cost) for provider, model, outcome, cost in asked)
    job = Job("acme", "1", ImageRequest("a room"), SCENE, "bedrock", 1, 0.0, attempts=attempts)
    assert may_ask_next(lost, job, 0)
    vain = replace(attempts[1], outcome="failed")
    assert not may_ask_next(lost, replace(job, attempts=(attempts[0], vain, attempts[2])), 0)
