"""The catalogue is consistent, and retires models on their day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import get_args

import pytest

from lambdas.domain import catalogue
from lambdas.domain.catalogue import CARDS, RETIRED
from lambdas.domain.catalogue.model_card import BORDER, ModelCard
from lambdas.domain.jobs.request import MAX_SEED, Format


def test_ids_are_unique() -> None:
    ids = [card.id for card in CARDS] + [model.id for model in RETIRED]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
def test_each_card_holds_together(card: ModelCard) -> None:
    assert card.honours <= {"negative_prompt", "steps", "cfg", "seed"}
    assert card.formats
    assert set(card.formats) <= set(get_args(Format))
    assert 0 <= card.seed_min < card.seed_max <= MAX_SEED
    assert card.price_usd >= 0
    assert 0 < card.created < 1_800_000_000
    assert card.capabilities & {"text-to-image", "background", "remove-background"}
    if card.background_remover not in ("", BORDER):
        remover = catalogue.card(card.background_remover)
        assert remover
        assert (remover.provider, remover.capabilities) == (card.provider, frozenset({"remove-background"}))
    assert not card.background_remover or "background" in card.capabilities
    for ratio, (width, height) in card.ratios.items():
        across, down = map(int, ratio.split(":"))
        assert (width / height) / (across / down) == pytest.approx(1, abs=0.04)
        assert (128 if card.words else 512) <= min(width, height) <= max(width, height) <= 4096
    assert not (card.ratios and card.sides)
    if card.sides:
        assert card.sides.min <= min(card.default_size) <= max(card.default_size) <= card.sides.max
    assert ("image-to-image" in card.capabilities) == (card.references > 0)
    assert 1 <= card.quality <= 10
    assert 0 < card.typical_seconds < card.max_seconds


def test_bedrock_as_of_2026_11_20() -> None:
    cards = [card for card in catalogue.cards_of("bedrock") if "text-to-image" in card.capabilities]
    assert {card.id: (card.price_usd, card.region, card.seed_min, card.seed_max) for card in cards} == {
        "stability.stable-image-core-v1:1": (0.04, "us-west-2", 1, 4294967295),
        "stability.sd3-5-large-v1:0": (0.08, "us-west-2", 1, 4294967294),
        "stability.stable-image-ultra-v1:1": (0.14, "us-west-2", 1, 4294967295),
    }
    for card in cards:
        assert card.honours == {"negative_prompt", "seed"}
        assert len(card.ratios) == 9
        for size in card.ratios.values():
            assert 640 <= min(size) <= max(size) <= 1536
            assert size[0] % 64 == size[1] % 64 == 0
    assert catalogue.cards_of("bedrock")[0] is cards[0]
    assert cards[0].id == "stability.stable-image-core-v1:1"


def test_the_editing_services_of_bedrock() -> None:
    scene, remover = (
        catalogue.card(f"us.stability.stable-image-{name}-v1:0") for name in ("inpaint", "remove-background")
    )
    assert scene
    assert remover
    assert (scene.price_usd, scene.region, scene.seed_min, scene.seed_max) == (0.07, "us-west-2", 1, 4294967294)
    assert (remover.price_usd, remover.region, remover.honours) == (0.07, "us-west-2", frozenset())
    assert scene.background_remover == remover.id


def test_the_demo_and_the_gpu() -> None:
    demo = catalogue.cards_of("demo")[-1]
    assert (demo.id, demo.price_usd, demo.call, demo.ratios) == ("demo/procedural-1", 0.0, "instant", {})
    assert catalogue.cards_of("demo")[0].words  # asked first, for what it reads
    turbo = catalogue.cards_of("sagemaker")[0]
    assert turbo is catalogue.card("stabilityai/sdxl-turbo")
    assert (turbo.provider, turbo.default_size) == ("sagemaker", (512, 512))


def test_look_ups_of_what_is_not_there() -> None:
    assert catalogue.card("dall-e-3") is None
    assert catalogue.retired("dall-e-3") is None
    assert catalogue.cards_of("nobody") == ()


def test_retired_models_name_a_living_replacement() -> None:
    for model in RETIRED:
        assert catalogue.card(model.id) is None
        assert catalogue.retired(model.id) == model
        assert model.reason.endswith(".")
        assert catalogue.card(model.replacement)
        assert catalogue.retired(model.replacement) is None
    canvas = catalogue.retired("amazon.nova-canvas-v1:0")
    assert canvas
    assert (canvas.ended, canvas.reason) == (date(2026, 9, 30), "Amazon Bedrock ended it on 2026-09-30.")


def _with(monkeypatch: pytest.MonkeyPatch, cards: list[ModelCard]) -> None:
    monkeypatch.setattr(catalogue, "CARDS", tuple(cards))
    monkeypatch.setattr(catalogue, "_CARD_BY_ID", {card.id: card for card in cards})


def test_a_card_retires_on_its_day(monkeypatch: pytest.MonkeyPatch) -> None:
    day = date(2027, 3, 1)
    core, *others = CARDS
    _with(monkeypatch, [replace(core, retires_on=day), *others])
    assert catalogue.retired(core.id, day - timedelta(days=1)) is None
    ended = catalogue.retired(core.id, day)
    assert ended
    assert (ended.ended, ended.reason) == (day, "It ended on 2027-03-01.")
    assert ended.replacement == others[0].id
    assert catalogue.card(core.id)  # still there to be listed


def test_today_is_the_default_day(monkeypatch: pytest.MonkeyPatch) -> None:
    core, *others = CARDS
    _with(monkeypatch, [replace(core, retires_on=date(2020, 1, 1)), *others])
    assert catalogue.retired(core.id)


def test_the_last_model_of_a_provider_is_replaced_by_anothers(monkeypatch: pytest.MonkeyPatch) -> None:
    day = date(2027, 3, 1)
    _with(monkeypatch, [replace(card, retires_on=day) if card.provider == "bedrock" else card for card in CARDS])
    ended = catalogue.retired("stability.stable-image-core-v1:1", day)
    assert ended
    assert ended.replacement == "stabilityai/sdxl-turbo"
