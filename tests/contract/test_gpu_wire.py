"""The message format between the service and the GPU worker: each side reads what the other one writes."""

from __future__ import annotations

import ast
import io
import json
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from PIL import Image

from gpu_worker import contract
from gpu_worker.contract import PaintAnswer, PaintRequest, PurgeRequest, Refusal
from gpu_worker.pipelines import table
from gpu_worker.scenes import networks, scene
from gpu_worker.scenes.scene import random_scene
from lambdas.domain import backgrounds, catalogue
from lambdas.domain.catalogue import sizes
from lambdas.domain.catalogue.cards import scenes
from lambdas.domain.failures import ProviderFailure
from lambdas.domain.jobs import request
from lambdas.domain.jobs.request import GeneratedImage, ImageTask
from lambdas.domain.ports.providers import Purged
from lambdas.domain.routing import planning
from lambdas.providers import sagemaker
from lambdas.providers._client.gpu_answers import to_purged

ROOT = Path(__file__).parents[2]
TURBO = catalogue.cards_of("sagemaker")[0]
ID = "3f1c9a52-0c55-4b7e-9d2e-1f4d7a3b9c10"
ORDER = ImageTask(TURBO, "a cat", 7, (512, 768), id=ID)
FULL = replace(
    ORDER, negative_prompt="dogs", steps=4, cfg=1.5, format="webp", reference=b"\x89PNG", reference_type="image/png"
)


def _sent(order: ImageTask) -> bytes:
    return json.dumps(sagemaker.to_payload(order)).encode()


def test_the_least_request() -> None:
    assert PaintRequest.of(_sent(ORDER)) == PaintRequest(
        task="text-to-image",
        id=ID,
        model=TURBO.id,
        prompt="a cat",
        width=512,
        height=768,
        seed=7,
        format="png",
    )


def test_the_fullest_request() -> None:
    assert PaintRequest.of(_sent(FULL)) == PaintRequest(
        task="image-to-image",
        id=ID,
        model=TURBO.id,
        prompt="a cat",
        width=512,
        height=768,
        seed=7,
        format="webp",
        negative_prompt="dogs",
        steps=4,
        guidance=1.5,
        image=b"\x89PNG",
    )


def test_whatever_the_service_lets_through_the_worker_takes() -> None:
    sides = TURBO.sides
    assert sides
    assert (get_args(request.Format), request.MAX_PROMPT) == (contract.FORMATS, contract.MAX_PROMPT)
    assert (contract.MAX_STEPS, contract.MAX_GUIDANCE, contract.MAX_SEED) == (
        request.MAX_STEPS,
        request.MAX_CFG,
        request.MAX_SEED,
    )
    assert contract.MIN_SIDE == request.MIN_SIDE
    assert sides.min == table.TURBO.least
    assert sides.max <= contract.MAX_SIDE
    assert sides.step % contract.SIDE_STEP == 0
    assert set(TURBO.formats) <= set(contract.FORMATS)
    for size in [(sides.min, sides.max), (sides.max, sides.min)]:
        PaintRequest.of(_sent(replace(FULL, generate=size, prompt="x" * request.MAX_PROMPT, seed=request.MAX_SEED)))


def test_no_model_is_asked_for_more_steps_than_it_takes() -> None:
    wish = request.ImageRequest("a cat", width=512, height=512, steps=30, given=("steps",))
    cards = [card for card in catalogue.CARDS if card.provider == "sagemaker" and "steps" in card.honours]
    assert table.TURBO.id in {card.id for card in cards}
    for card in cards:
        assert planning.image_task(wish, card, 7, 0).steps == min(30, table.MODELS[card.id].most_steps)


def test_whatever_size_is_asked_for_the_small_model_is_asked_for_one_that_it_paints() -> None:
    small, row = catalogue.card(table.SCENES.id), table.SCENES
    assert small
    assert (small.provider, small.licence, small.steps_max) == ("sagemaker", row.licence, row.most_steps)
    for size in [(None, None), (64, 64), (2048, 64), (1024, 576), (512, 512)]:
        made = PaintRequest.of(_sent(ImageTask(small, "a red star", 7, sizes.plan(small, *size).generate, id=ID)))
        assert row.least <= min(made.width, made.height)
        assert made.width * made.height <= row.most_pixels


def test_both_ends_know_the_words_that_the_small_model_was_taught() -> None:
    rng = random.Random(1)
    told = {word for _ in range(4000) for word in re.findall(r"[a-z]+", random_scene(rng).caption(rng))}
    assert told == scenes.WORDS <= set(networks.words())
    assert scenes.SIDE == scene.SIDE == table.SCENES.native


def test_every_caption_that_it_was_taught_is_one_that_it_is_asked() -> None:
    rng = random.Random(2)
    small = catalogue.card(table.SCENES.id)
    assert small
    for _ in range(1000):
        caption = random_scene(rng).caption(rng)
        assert small.reads(caption), caption
        assert len(caption) <= small.prompt_max


def test_the_answer() -> None:
    said = PaintAnswer(ID, TURBO.id, 9, 512, 768, "png", b"a picture", {"queue": 0.1, "paint": 1.0, "encode": 0.02})
    assert sagemaker.to_image(said.to_json(), ORDER) == GeneratedImage(b"a picture", 9, painted=1.0)
    assert set(json.loads(said.to_json())) == {"id", "model", "seed", "width", "height", "format", "image", "timings"}


def test_an_answer_to_another_request_is_not_taken() -> None:
    with pytest.raises(ProviderFailure, match="another request"):
        sagemaker.to_image(PaintAnswer("x", TURBO.id, 9, 512, 768, "png", b"a picture").to_json(), ORDER)


def test_every_refusal_is_understood() -> None:
    assert set(sagemaker.CODES) == set(contract.STATUSES)
    for code in contract.STATUSES:
        failure = sagemaker.to_failure(Refusal(code, "why", 2.5).to_json())
        assert failure
        assert (failure.code, failure.retry_after) == (sagemaker.CODES[code][0], 2.5)
    plain = sagemaker.to_failure(Refusal("busy", "why").to_json())
    assert plain
    assert plain.retry_after is None


def test_statuses_mean_the_same_over_plain_http() -> None:
    assert {Refusal(code, "").status for code in contract.STATUSES} == {400, 413, 422, 500, 503, 504}


def _changed(**changes: Any) -> bytes:
    return json.dumps({**sagemaker.to_payload(ORDER), **changes}).encode()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "must be JSON"),
        (b"[" * 100_000, "must be JSON"),
        (b"[]", "JSON object"),
        (_changed(n=2), "unknown field: n"),
        (_changed(task="paint"), "task must be one of"),
        (_changed(task=["text-to-image"]), "task must be one of"),
        (_changed(id=""), "id must be"),
        (_changed(id="x" * 65), "id must be"),
        (_changed(model=7), "model must be"),
        (_changed(prompt=""), "prompt must be"),
        (_changed(prompt="x" * 10_001), "prompt must be"),
        (_changed(negative_prompt=7), "negative_prompt must be"),
        (_changed(width=56), "width must be"),
        (_changed(width=2056), "width must be"),
        (_changed(width=513), "multiple of 8"),
        (_changed(height=512.0), "height must be"),
        (_changed(seed=-1), "seed must be"),
        (_changed(seed=2**32), "seed must be"),
        (_changed(seed=True), "seed must be"),
        (_changed(steps=0), "steps must be"),
        (_changed(steps=151), "steps must be"),
        (_changed(guidance=-0.1), "guidance must be"),
        (_changed(guidance=30.1), "guidance must be"),
        (_changed(guidance=float("nan")), "guidance must be"),
        (_changed(guidance=True), "guidance must be"),
        (_changed(format="gif"), "format must be"),
        (_changed(image="AAAA"), "image must be there exactly"),
        (_changed(task="image-to-image"), "image must be there exactly"),
        (_changed(task="image-to-image", image="!"), "image must be base64"),
        (_changed(task="image-to-image", image=""), "image must be base64"),
        (_changed(task="image-to-image", image=7), "image must be base64"),
    ],
)
def test_the_worker_refuses(body: bytes, says: str) -> None:
    with pytest.raises(Refusal, match=says) as caught:
        PaintRequest.of(body)
    assert (caught.value.code, caught.value.status) == ("invalid_request", 400)


def test_the_worker_refuses_what_is_too_large() -> None:
    for read in (PaintRequest.of, PurgeRequest.of, contract.read):
        with pytest.raises(Refusal) as caught:
            read(b" " * contract.MAX_BODY + b"{}")
        assert caught.value.status == 413


SCENE = {"task": "background", "id": ID, "model": TURBO.id, "seed": 7, "format": "png", "image": "iVBORw=="}


def _scene(**changes: Any) -> bytes:
    return json.dumps({**SCENE, **changes}).encode()


def test_the_least_background_leaves_the_scene_and_the_size_to_the_worker() -> None:
    asked = PaintRequest.of(_scene())
    assert (asked.prompt, asked.width, asked.height, asked.padding, asked.candidates) == ("", 0, 0, None, None)
    assert asked.image == b"\x89PNG"
    assert PaintRequest.of(_scene(prompt=None, width=None, height=None)) == asked


def test_the_fullest_background() -> None:
    asked = PaintRequest.of(_scene(prompt="a beach", width=1001, height=4096, padding=0, candidates=4))
    assert (asked.prompt, asked.width, asked.height, asked.padding, asked.candidates) == ("a beach", 1001, 4096, 0, 4)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (_scene(image=None), "image must be there exactly"),
        (_scene(width=1000), "height must be"),
        (_scene(height=1000), "width must be"),
        (_scene(width=15, height=1000), "width must be"),
        (_scene(width=1000, height=4097), "height must be"),
        (_scene(padding=-1), "padding must be"),
        (_scene(padding=2049), "padding must be"),
        (_scene(candidates=0), "candidates must be"),
        (_scene(candidates=5), "candidates must be"),
        (_scene(candidates=True), "candidates must be"),
        (_scene(prompt=7), "prompt must be"),
        (_changed(padding=3), "padding goes with the task background"),
        (_changed(candidates=1), "candidates goes with the task background"),
        (_changed(prompt=None), "prompt must be"),
        (_changed(width=None, height=None), "width must be"),
    ],
)
def test_the_worker_refuses_of_backgrounds(body: bytes, says: str) -> None:
    with pytest.raises(Refusal, match=says):
        PaintRequest.of(body)


def test_a_background_s_answer_has_more_where_there_is_more() -> None:
    least = PaintAnswer(ID, TURBO.id, 0, 512, 768, "png", b"a picture")
    full = replace(least, warnings=("w",), mask=b"m", confidence=0.0, components={"mask_certainty": None}, at=(0, -3))
    said = json.loads(full.to_json())
    assert (said["warnings"], said["mask"], said["confidence"]) == (["w"], "bQ==", 0.0)
    assert (said["components"], said["at"]) == ({"mask_certainty": None}, [0, -3])
    assert set(json.loads(least.to_json())) == set(said) - {"warnings", "mask", "confidence", "components", "at"}
    assert sagemaker.to_image(full.to_json(), ORDER) == GeneratedImage(b"a picture", 0)


[SCENES] = [card for card in catalogue.CARDS if card.id == "diffusers/stable-diffusion-xl-1.0-inpainting-0.1"]
AROUND = ImageTask(
    SCENES, "a beach", 7, (0, 0), id=ID, task="background", reference=b"\x89PNG", reference_type="image/png"
)


def test_a_background_that_leaves_its_size_to_the_product() -> None:
    asked = PaintRequest.of(_sent(AROUND))
    assert (asked.task, asked.model, asked.prompt, asked.image) == ("background", SCENES.id, "a beach", b"\x89PNG")
    assert (asked.width, asked.height, asked.padding) == (0, 0, None)


def test_a_background_of_a_size_and_a_padding() -> None:
    asked = PaintRequest.of(_sent(replace(AROUND, generate=(640, 512), padding=0, negative_prompt="text")))
    assert (asked.width, asked.height, asked.padding, asked.negative_prompt) == (640, 512, 0, "text")


def test_whatever_a_client_may_ask_of_a_background_the_worker_takes() -> None:
    assert (contract.MAX_PADDING, contract.MAX_CANVAS) == (backgrounds.MAX_PADDING, backgrounds.MAX_CANVAS)
    assert contract.MIN_CANVAS == backgrounds.MIN_CANVAS <= request.MIN_SIDE
    assert contract.MAX_CANVAS >= request.MAX_SIDE
    most = replace(AROUND, generate=(request.MAX_SIDE, request.MIN_SIDE), padding=backgrounds.MAX_PADDING)
    for fmt in ("png", "webp"):
        PaintRequest.of(_sent(replace(most, format=fmt, prompt="x" * request.MAX_PROMPT, seed=request.MAX_SEED)))


def test_what_the_worker_says_of_a_product_is_read() -> None:
    parts = {"mask_certainty": None, "edge_clipped": 0.25}
    said = PaintAnswer(
        ID, SCENES.id, 9, 8, 8, "png", b"i", warnings=("w",), mask=b"m", confidence=0.0, components=parts, at=(-4, 0)
    )
    assert sagemaker.to_image(said.to_json(), AROUND) == GeneratedImage(
        b"i", 9, mask=b"m", confidence=0.0, components=parts, warnings=("w",), at=(-4, 0)
    )


@pytest.mark.parametrize(
    "at",
    [
        [],
        [1],
        [1, 2, 3],
        [1.0, 2],
        [True, 0],
        ["1", "2"],
        [None, 0],
        [float("nan"), 0],
        [10**9, 0],
        [0, -(10**9)],
        "12",
        {"0": 1, "1": 2},
        7,
        False,
    ],
    ids=str,
)
def test_a_place_that_is_no_two_whole_numbers_is_a_bad_answer(at: Any) -> None:
    said = json.loads(PaintAnswer(ID, SCENES.id, 9, 8, 8, "png", b"i", mask=b"m", confidence=0.5).to_json())
    with pytest.raises(ProviderFailure, match="where the product is") as refused:
        sagemaker.to_image(json.dumps(said | {"at": at}).encode(), AROUND)
    assert (refused.value.code, refused.value.paid) == ("bad_answer", "no")


@pytest.mark.parametrize(
    "changes",
    [
        {"mask": None},
        {"mask": b""},
        {"confidence": None},
        {"confidence": 1.5},
        {"confidence": -0.1},
        {"confidence": float("nan")},
        {"confidence": True},
        {"confidence": "1"},
    ],
    ids=str,
)
def test_a_background_without_a_mask_or_a_confidence_is_not_taken(changes: dict[str, Any]) -> None:
    said = PaintAnswer(ID, SCENES.id, 9, 8, 8, "png", b"i", mask=b"m", confidence=0.5)
    with pytest.raises(ProviderFailure, match="no mask, or no confidence"):
        sagemaker.to_image(replace(said, **changes).to_json(), AROUND)


def test_of_what_a_worker_says_beside_it_only_so_much_is_kept() -> None:
    odd = {"a": True, "b": "x", "c": 1e300, "d": 0.5, **{f"e{n}": 1.0 for n in range(100)}}
    said = json.loads(PaintAnswer(ID, SCENES.id, 9, 8, 8, "png", b"i", mask=b"m", confidence=0.5).to_json())
    read = sagemaker.to_image(json.dumps(said | {"components": odd, "warnings": ["w" * 999] * 99}).encode(), AROUND)
    assert read.components["d"] == 0.5
    assert not {"a", "b", "c"} & set(read.components)
    assert len(read.components) < 20
    assert (len(read.warnings), max(map(len, read.warnings))) == (10, 200)


def test_both_ends_name_the_model_of_backgrounds_alike() -> None:
    assert SCENES.id in table.MODELS
    assert table.MODELS[SCENES.id].tasks == ("background",)


def test_a_purge_is_asked_for_and_its_answer_read() -> None:
    for model_id in (None, "a/b"):
        assert contract.read(json.dumps(sagemaker.to_purge(model_id)).encode()) == PurgeRequest(model_id)
    said = {"model_id": None, "removed": ["a/b"], "remaining": []}
    assert to_purged(said, "it") == Purged(("a/b",), ())
    for wrong in (None, {}, {"removed": 1, "remaining": []}):
        with pytest.raises(ProviderFailure, match="unknown form"):
            to_purged(wrong, "it")


def test_a_purge_is_read_from_either_path() -> None:
    for body, model_id in [(b'{"task": "purge"}', None), (b'{"task": "purge", "model_id": "m"}', "m")]:
        assert contract.read(body) == PurgeRequest.of(body) == PurgeRequest(model_id)
    assert PurgeRequest.of(b" ") == PurgeRequest.of(b"{}") == PurgeRequest.of(b'{"model_id": null}') == PurgeRequest()
    assert contract.read(_sent(ORDER)) == PaintRequest.of(_sent(ORDER))
    for body in (b'{"model": "m"}', b'{"model_id": 7}', b'{"task": "paint"}', b"[]"):
        with pytest.raises(Refusal) as caught:
            PurgeRequest.of(body)
        assert caught.value.status == 400


def test_nothing_of_a_request_is_said_of_it() -> None:
    asked = PaintRequest.of(_sent(replace(FULL, prompt="my secret wish")))
    assert "secret" not in repr(asked)
    with pytest.raises(Refusal) as caught:
        PaintRequest.of(_changed(format="my secret wish"))
    assert "secret" not in caught.value.message


def test_the_largest_pictures_fit_through_an_endpoint() -> None:
    """6 MB each way: the largest square that the card allows, as noise, which no encoder makes smaller."""
    sides = TURBO.sides
    assert sides
    side = int(sides.max_pixels**0.5)
    out = io.BytesIO()
    Image.effect_noise((side, side), 100).convert("RGB").save(out, "PNG")
    assert len(PaintAnswer(ID, TURBO.id, 7, side, side, "png", out.getvalue()).to_json()) < sagemaker.MAX_SYNC


def test_the_deployables_share_no_code() -> None:
    for folder, other in [("lambdas", "gpu_worker"), ("gpu_worker", "lambdas")]:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not any(name.split(".")[0] == other for name in names), path
