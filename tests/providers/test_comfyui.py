"""ComfyUI: graphs, the reading of answers, and one submission after any fault."""

from __future__ import annotations

import io
import json
import logging
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from lambdas.domain import catalogue
from lambdas.domain.catalogue.cards.comfyui import LOADERS
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.failures import ProviderFailure
from lambdas.domain.jobs.request import MAX_CFG, MAX_STEPS, GeneratedImage, ImageTask, Ticket
from lambdas.providers import comfyui
from lambdas.providers._client.http import Answer
from lambdas.providers.comfyui import to_failure, to_file, to_payload, to_upload
from lambdas.settings import Settings
from tests.doubles.comfyui import FakeComfyUI
from tests.doubles.service import paint

DEV = catalogue.cards_of("comfyui")[0]
FP8 = catalogue.card("flux1-dev-fp8")
ID = "3f1c9a52-0c55-4b7e-9d2e-1f4d7a3b9c10"
ORDER = ImageTask(DEV, "a cat", 7, (256, 320), id=ID)
PICTURE = paint("a sketch", (64, 48))


def _new(**changes: Any) -> ImageTask:
    return replace(ORDER, id=str(uuid.uuid4()), **changes)


def test_payload() -> None:
    assert to_payload(ORDER) == {
        "prompt_id": ID,
        "prompt": {
            "1": {
                "class_type": "UNETLoader",
                "inputs": {"unet_name": "flux1-dev.safetensors", "weight_dtype": "default"},
            },
            "2": {
                "class_type": "DualCLIPLoader",
                "inputs": {
                    "clip_name1": "clip_l.safetensors",
                    "clip_name2": "t5xxl_fp16.safetensors",
                    "type": "flux",
                },
            },
            "3": {"class_type": "VAELoader", "inputs": {"vae_name": "ae.safetensors"}},
            "4": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["2", 0]}},
            "5": {"class_type": "FluxGuidance", "inputs": {"conditioning": ["4", 0], "guidance": 3.5}},
            "6": {"class_type": "ConditioningZeroOut", "inputs": {"conditioning": ["4", 0]}},
            "7": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 256, "height": 320, "batch_size": 1}},
            "8": {
                "class_type": "KSampler",
                "inputs": {
                    "model": ["1", 0],
                    "seed": 7,
                    "steps": 20,
                    "cfg": 1.0,
                    "sampler_name": "euler",
                    "scheduler": "simple",
                    "positive": ["5", 0],
                    "negative": ["6", 0],
                    "latent_image": ["7", 0],
                    "denoise": 1.0,
                },
            },
            "9": {"class_type": "VAEDecode", "inputs": {"samples": ["8", 0], "vae": ["3", 0]}},
            "10": {"class_type": "SaveImage", "inputs": {"images": ["9", 0], "filename_prefix": f"image-api/{ID}"}},
        },
    }


def test_payload_of_a_checkpoint_with_steps_and_guidance() -> None:
    assert FP8
    graph = to_payload(replace(ORDER, card=FP8, steps=8, cfg=2.0))["prompt"]
    assert graph["1"]["inputs"] == {"ckpt_name": "flux1-dev-fp8.safetensors"}
    assert (graph["4"]["inputs"]["clip"], graph["9"]["inputs"]["vae"]) == (["1", 1], ["1", 2])
    assert (graph["8"]["inputs"]["steps"], graph["5"]["inputs"]["guidance"]) == (8, 2.0)
    assert graph["8"]["inputs"]["cfg"] == 1.0
    assert "2" not in graph


def test_payload_with_a_reference() -> None:
    order = replace(ORDER, reference=PICTURE, reference_type="image/webp")
    graph = to_payload(order)["prompt"]
    assert graph["11"] == {"class_type": "LoadImage", "inputs": {"image": f"image-api/{ID}.webp"}}
    assert graph["12"]["inputs"] == {
        "image": ["11", 0],
        "upscale_method": "lanczos",
        "width": 256,
        "height": 320,
        "crop": "center",
    }
    assert graph["7"] == {"class_type": "VAEEncode", "inputs": {"pixels": ["12", 0], "vae": ["3", 0]}}
    assert 0 < graph["8"]["inputs"]["denoise"] < 1


def test_the_loaders_are_not_touched() -> None:
    before = json.dumps({name: loader.nodes for name, loader in LOADERS.items()})
    to_payload(replace(ORDER, reference=PICTURE, reference_type="image/png"))
    assert json.dumps({name: loader.nodes for name, loader in LOADERS.items()}) == before


def test_upload_form() -> None:
    media_type, body = to_upload(replace(ORDER, reference=b"\r\n--x", reference_type="image/png"))
    assert media_type == f"multipart/form-data; boundary=image-api-{ID}"
    assert body.endswith(f"\r\n\r\n\r\n--x\r\n--image-api-{ID}--\r\n".encode())
    assert f'name="image"; filename="{ID}.png"'.encode() in body


def test_the_cards() -> None:
    assert set(LOADERS) == {card.id for card in catalogue.cards_of("comfyui")}
    for card in catalogue.cards_of("comfyui"):
        assert (card.price_usd, card.call, card.references) == (0.0, "ticket", 1)
        assert card.honours == {"steps", "cfg", "seed"}
        assert card.sides
        assert card.sides.step == 16


# A submission that is refused, and what it means.
REFUSED = {
    "missing_file": ("model_gone", None),
    "missing_node": ("model_gone", None),
    "missing_node_type": ("model_gone", None),
    "too_big": ("invalid_request", None),
    "no_scheduler": ("invalid_request", None),
    "invalid_id": ("invalid_request", None),
    "forbidden": ("not_authorized", None),
    "internal": ("failed", None),
    "throttle": ("throttled", 7.0),
    "unavailable": ("unavailable", None),
    "gone": ("model_gone", None),
}
# A submission whose answer is lost: only asking tells what became of it.
LOST = {
    "reset": "outcome_unknown",
    "lost_response": None,
    "hang": None,
    "drip": None,
    "drip_headers": None,
    "reset_body": None,
    "short_body": None,
    "unreadable": None,
}
# Work that was accepted, and how asking for it ends.
ACCEPTED = {
    "failed_job": "failed",
    "out_of_memory": "failed",
    "interrupted": "failed",
    "no_output": "failed",
    "no_images": "failed",
    "elsewhere": "bad_answer",
    "forgotten": "outcome_unknown",
    "own_id": None,
    "slow": None,
    "truncated_image": None,  # a picture is checked later
    "wrong_size": None,
    "html": None,
    "empty_image": "bad_answer",
    "huge_image": "bad_answer",
}


@pytest.fixture(scope="module")
def _fake() -> Iterator[FakeComfyUI]:
    with FakeComfyUI() as fake:
        yield fake


@pytest.fixture
def fake(_fake: FakeComfyUI) -> FakeComfyUI:
    _fake.clear()
    _fake.calls.clear()
    _fake.jobs.clear()
    _fake.seconds = 0.0
    return _fake


@pytest.fixture
def provider(fake: FakeComfyUI) -> comfyui.ComfyUI:
    return comfyui.build(Settings(comfyui_url=f"{fake.url}/"))


def _finish(provider: comfyui.ComfyUI, ticket: Ticket, order: ImageTask) -> GeneratedImage:
    for _ in range(200):
        if painted := provider.collect(ticket, order, 5):
            return painted
        time.sleep(0.02)
    raise AssertionError("it never ends")


def test_every_fault_of_the_double_is_tested() -> None:
    assert {*REFUSED, *LOST, *ACCEPTED} == FakeComfyUI.faults()


@pytest.mark.parametrize("fault", REFUSED)
def test_refused_submissions(fault: str, fake: FakeComfyUI, provider: comfyui.ComfyUI) -> None:
    fake.inject(fault, times=None)
    with pytest.raises(ProviderFailure) as caught:
        provider.submit(ORDER, 10)
    code, wait = REFUSED[fault]
    assert (caught.value.code, caught.value.paid, caught.value.retry_after) == (code, "no", wait)
    assert len(fake.works) == 1


@pytest.mark.parametrize("fault", LOST)
def test_lost_submissions_are_asked_after(fault: str, fake: FakeComfyUI, provider: comfyui.ComfyUI) -> None:
    fake.inject(fault)
    ticket = provider.submit(ORDER, 0.5)
    assert ticket == Ticket(ID)
    if code := LOST[fault]:
        with pytest.raises(ProviderFailure) as caught:
            provider.collect(ticket, ORDER, 5)
        assert (caught.value.code, caught.value.paid) == (code, "no")
    else:
        assert _finish(provider, ticket, ORDER).data
    assert len(fake.works) == 1


@pytest.mark.parametrize("fault", ACCEPTED)
def test_accepted_work(fault: str, fake: FakeComfyUI, provider: comfyui.ComfyUI) -> None:
    fake.inject(fault, seconds=0.2)
    ticket = provider.submit(ORDER, 10)
    assert (ticket.id == ID) is (fault != "own_id")
    if code := ACCEPTED[fault]:
        with pytest.raises(ProviderFailure) as caught:
            _finish(provider, ticket, ORDER)
        assert caught.value.code == code
        assert "words of the prompt" not in caught.value.detail
    else:
        assert _finish(provider, ticket, ORDER).data
    assert len(fake.works) == 1


@pytest.mark.parametrize("stage", ["ask", "image"])
@pytest.mark.parametrize("fault", ["throttle", "unavailable", "reset_body", "short_body", "reset", "hang", "drip"])
def test_asking_may_fail_and_is_repeated(
    fault: str, stage: str, fake: FakeComfyUI, provider: comfyui.ComfyUI, waits: list[float]
) -> None:
    ticket = provider.submit(ORDER, 5)
    fake.inject(fault, at=stage)
    waits.clear()
    with pytest.raises(ProviderFailure) as caught:
        provider.collect(ticket, ORDER, 0.4)
    assert caught.value.code == ("throttled" if fault == "throttle" else "unavailable")
    assert 0 < max(waits) <= 0.4
    assert _finish(provider, ticket, ORDER).data
    assert len(fake.works) == 1


@pytest.mark.parametrize(
    ("fault", "code"), [("html", "bad_answer"), ("forbidden", "not_authorized"), ("gone", "failed")]
)
def test_asking_that_cannot_succeed(fault: str, code: str, fake: FakeComfyUI, provider: comfyui.ComfyUI) -> None:
    ticket = provider.submit(ORDER, 5)
    fake.inject(fault, at="ask")
    with pytest.raises(ProviderFailure) as caught:
        provider.collect(ticket, ORDER, 5)
    assert caught.value.code == code


def test_queued_and_running_are_told_from_unknown(fake: FakeComfyUI, provider: comfyui.ComfyUI) -> None:
    fake.seconds = 3600
    first, second = _new(seed=1), _new(seed=2)
    tickets = [provider.submit(order, 5) for order in (first, second)]
    assert provider.collect(tickets[0], first, 5) is None  # running
    assert provider.collect(tickets[1], second, 5) is None  # queued
    with pytest.raises(ProviderFailure) as caught:
        provider.collect(Ticket(str(uuid.uuid4())), first, 5)
    assert (caught.value.code, caught.value.paid) == ("outcome_unknown", "no")
    fake.skip(7200)
    elsewhere = comfyui.build(Settings(comfyui_url=fake.url))  # another process takes the ticket up
    assert _finish(elsewhere, tickets[0], first) != _finish(elsewhere, tickets[1], second)
    assert len(fake.works) == 2


def test_work_that_ends_between_the_two_questions(
    fake: FakeComfyUI, provider: comfyui.ComfyUI, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.seconds = 3600
    ticket = provider.submit(ORDER, 5)
    asked = provider._is_queued

    def late(prompt_id: str, ends_at: float) -> bool:
        fake.skip(3600)
        return asked(prompt_id, ends_at)

    monkeypatch.setattr(provider, "_is_queued", late)
    assert provider.collect(ticket, ORDER, 5)


@pytest.mark.parametrize("card", catalogue.cards_of("comfyui"), ids=lambda card: card.id)
def test_a_strict_service_takes_every_order(card: ModelCard, fake: FakeComfyUI, provider: comfyui.ComfyUI) -> None:
    for order in (
        _new(card=card, prompt="ein Käfer 🐞 " * 900, seed=card.seed_max, steps=MAX_STEPS, cfg=MAX_CFG),
        _new(card=card, seed=card.seed_min, steps=1, cfg=0.0, generate=(2048, 1024)),
        _new(card=card, reference=PICTURE, reference_type="image/png"),
    ):
        painted = _finish(provider, provider.submit(order, 10), order)
        assert painted.data.startswith(b"\x89PNG")
    assert {call.model for call in fake.works} == {card.id}


def test_the_picture_has_the_size_of_the_order_also_with_a_reference(
    fake: FakeComfyUI, provider: comfyui.ComfyUI
) -> None:
    from PIL import Image

    order = _new(reference=PICTURE, reference_type="image/png")
    painted = _finish(provider, provider.submit(order, 10), order)
    assert Image.open(io.BytesIO(painted.data)).size == (256, 320)
    assert fake.uploads[f"image-api/{order.id}.png"] == PICTURE


def test_a_reference_that_does_not_decode_fails_when_it_is_painted(
    fake: FakeComfyUI, provider: comfyui.ComfyUI
) -> None:
    order = _new(reference=b"no picture", reference_type="image/png")
    ticket = provider.submit(order, 10)
    with pytest.raises(ProviderFailure) as caught:
        _finish(provider, ticket, order)
    assert caught.value.code == "failed"


@pytest.mark.parametrize(
    ("fault", "code"),
    [("reset", "unavailable"), ("internal", "failed"), ("hang", "timeout"), ("throttle", "throttled")],
)
def test_nothing_is_queued_when_the_upload_fails(
    fault: str, code: str, fake: FakeComfyUI, provider: comfyui.ComfyUI
) -> None:
    fake.inject(fault, at="upload")
    with pytest.raises(ProviderFailure) as caught:
        provider.submit(_new(reference=PICTURE, reference_type="image/png"), 0.5)
    assert (caught.value.code, caught.value.paid) == (code, "no")
    assert fake.works == []


def test_same_order_same_picture_and_never_from_the_cache(fake: FakeComfyUI, provider: comfyui.ComfyUI) -> None:
    orders = [_new(), _new()]
    pictures = [_finish(provider, provider.submit(order, 5), order) for order in orders]
    assert pictures[0] == pictures[1]
    assert fake.jobs[0].file != fake.jobs[1].file


def test_nothing_is_sent_without_time(fake: FakeComfyUI, provider: comfyui.ComfyUI) -> None:
    with pytest.raises(ProviderFailure) as caught:
        provider.submit(ORDER, 0)
    assert (caught.value.code, caught.value.paid) == ("timeout", "no")
    assert fake.calls == []


def test_the_prompt_is_neither_logged_nor_said(
    fake: FakeComfyUI, provider: comfyui.ComfyUI, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fake.inject("too_big")
    with pytest.raises(ProviderFailure) as caught:
        provider.submit(replace(ORDER, prompt="my secret wish"), 5)
    assert "secret wish" not in caplog.text + caught.value.detail


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"error": 7, "node_errors": 7}',
        b'{"error": {"type": "x"}, "node_errors": {"1": 7, "2": {"errors": [7]}}}',
        b'{"error": {"type": "x"}, "node_errors": {"2": {"errors": [{"type": "value_not_in_list"}]}}}',
        b"[" * 100_000,
    ],
)
def test_refusals_of_any_form(body: bytes) -> None:
    failure = to_failure(Answer(400, {}, body, paid=True))
    assert (failure.code, failure.paid) == ("invalid_request", "no")


def _entry(image: Any) -> dict[str, Any]:
    return {"outputs": {"10": {"images": [image]}}, "status": {"status_str": "success", "completed": True}}


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (None, "failed"),
        ([], "failed"),
        ({}, "failed"),
        ({"outputs": {"10": {"images": 7}}, "status": 7}, "failed"),
        (_entry(7), "failed"),
        (_entry({"filename": "a.png"}), "failed"),
        (_entry({"filename": "", "subfolder": "", "type": "output"}), "failed"),
        (_entry({"filename": "a.png", "subfolder": "", "type": "input"}), "bad_answer"),
        (_entry({"filename": "../a.png", "subfolder": "", "type": "output"}), "bad_answer"),
        (_entry({"filename": "..\\a.png", "subfolder": "", "type": "output"}), "bad_answer"),
        ({"status": {"status_str": "error", "messages": [7, ["x"], ["execution_error", 7]]}}, "failed"),
        ({"status": {"status_str": "error", "messages": {}}}, "failed"),
    ],
)
def test_histories_of_any_form(entry: Any, code: str) -> None:
    with pytest.raises(ProviderFailure) as caught:
        to_file(entry)
    assert (caught.value.code, caught.value.paid) == (code, "no")
