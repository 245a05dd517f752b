"""The seam between the service and the GPU worker: what one says the other understands, each by its own code."""

from __future__ import annotations

import ast
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gpu_worker import contract
from gpu_worker.contract import PaintAnswer, PaintRequest, Refusal
from lambdas.domain import catalogue, requests
from lambdas.domain.errors import ProviderFailure
from lambdas.domain.requests import Order, Painted
from lambdas.providers import sagemaker

ROOT = Path(__file__).parents[2]
TURBO = catalogue.default_of("sagemaker")
ID = "3f1c9a52-0c55-4b7e-9d2e-1f4d7a3b9c10"
ORDER = Order(TURBO, "a cat", 7, (512, 768), id=ID)
FULL = replace(
    ORDER, negative_prompt="dogs", steps=4, cfg=1.5, format="webp", reference=b"\x89PNG", reference_type="image/png"
)


def _sent(order: Order) -> bytes:
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
    assert (contract.FORMATS, contract.MAX_PROMPT) == (requests.FORMATS, requests.MAX_PROMPT)
    assert (contract.MAX_STEPS, contract.MAX_GUIDANCE, contract.MAX_SEED) == (
        requests.MAX_STEPS,
        requests.MAX_CFG,
        requests.MAX_SEED,
    )
    assert sides.least >= contract.MIN_SIDE
    assert sides.most <= contract.MAX_SIDE
    assert sides.step % contract.SIDE_STEP == 0
    assert set(TURBO.formats) <= set(contract.FORMATS)
    for size in [(sides.least, sides.most), (sides.most, sides.least)]:
        PaintRequest.of(_sent(replace(FULL, generate=size, prompt="x" * requests.MAX_PROMPT, seed=requests.MAX_SEED)))


def test_the_answer() -> None:
    said = PaintAnswer(ID, TURBO.id, 9, 512, 768, "png", b"a picture", {"queue": 0.1, "paint": 1.0, "encode": 0.02})
    assert sagemaker.to_image(said.to_json(), ORDER) == Painted(b"a picture", 9)
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
        (_changed(width=248), "width must be"),
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
    with pytest.raises(Refusal) as caught:
        PaintRequest.of(bytes(contract.MAX_BODY + 1))
    assert caught.value.status == 413


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
    side = int(sides.most_pixels**0.5)
    out = io.BytesIO()
    Image.effect_noise((side, side), 100).convert("RGB").save(out, "PNG")
    assert len(PaintAnswer(ID, TURBO.id, 7, side, side, "png", out.getvalue()).to_json()) < sagemaker.MAX_SYNC


def test_the_deployables_share_no_code() -> None:
    for folder, other in [("lambdas", "gpu_worker"), ("gpu_worker", "lambdas")]:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not any(name.split(".")[0] == other for name in names), path
