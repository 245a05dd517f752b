"""Which models are planned for a request, and which parameters are reported as dropped."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.domain import catalogue
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.errors import InvalidRequest, NoneAvailable, ProviderUnconfigured, RetiredModel, UnknownModel
from lambdas.domain.failures import Failure
from lambdas.domain.jobs.request import SAFE_NEGATIVE_PROMPT, ImageRequest
from lambdas.domain.providers import PROVIDERS
from lambdas.domain.routing import fallback, planning
from lambdas.domain.routing.health import Health, observed
from lambdas.domain.routing.planning import Deployment

NOW = 1_795_132_800.0  # 2026-11-20
CORE, SD35 = "stability.stable-image-core-v1:1", "stability.sd3-5-large-v1:0"
TURBO = "stabilityai/sdxl-turbo"
BEDROCK = Deployment(frozenset({"bedrock"}), TURBO)
BOTH = Deployment(frozenset({"bedrock", "sagemaker"}), TURBO)
DEMO = Deployment(frozenset({"demo"}), TURBO)
NOTHING = Deployment(frozenset(), TURBO)


def plan(request: ImageRequest, house: Deployment, now: float = NOW) -> tuple[ModelCard, ...]:
    return planning.plan(request, house, now, random.Random(1))


def chosen(house: Deployment, **request: object) -> str:
    return plan(ImageRequest("x", **request), house)[0].id  # type: ignore[arg-type]


def test_the_default_model_answers_where_its_provider_is_configured() -> None:
    assert chosen(BOTH) == TURBO
    assert chosen(BEDROCK) == CORE
    assert chosen(DEMO) == "demo/procedural-1"
    assert chosen(replace(BEDROCK, default_model=SD35)) == SD35


def test_names_decide() -> None:
    assert chosen(BOTH, model=SD35) == SD35
    assert chosen(BOTH, provider="bedrock") == CORE
    assert chosen(BOTH, provider="bedrock", model=SD35) == SD35


@pytest.mark.parametrize(
    ("house", "request_", "error"),
    [
        (BEDROCK, {"provider": "nobody"}, InvalidRequest),
        (BEDROCK, {"provider": "gemini"}, ProviderUnconfigured),
        (DEMO, {"provider": "bedrock"}, ProviderUnconfigured),
        (BEDROCK, {"provider": "demo"}, ProviderUnconfigured),
        (BEDROCK, {"model": TURBO}, ProviderUnconfigured),
        (BOTH, {"model": TURBO, "provider": "bedrock"}, InvalidRequest),
        (BEDROCK, {"model": "a/b"}, UnknownModel),
        (BEDROCK, {"model": "amazon.nova-canvas-v1:0"}, RetiredModel),
        (replace(BEDROCK, allowed_models=(CORE,)), {"model": SD35}, UnknownModel),
        (replace(BEDROCK, allowed_models=(TURBO,)), {}, NoneAvailable),
        (NOTHING, {}, NoneAvailable),
    ],
)
def test_refusals(house: Deployment, request_: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error):
        chosen(house, **request_)


def test_every_retired_model_names_a_living_replacement() -> None:
    for gone in catalogue.RETIRED:
        with pytest.raises(RetiredModel, match=gone.replacement):
            chosen(BEDROCK, model=gone.id)
        assert catalogue.card(gone.replacement)


def test_the_demo_stands_in_only_where_nothing_else_is() -> None:
    request = ImageRequest("x", model=TURBO)
    [card] = plan(request, DEMO)
    assert card.provider == "demo"
    assert planning.replaced(request, card)[0].name == "model"


def test_a_model_near_its_end_warns() -> None:
    ending = replace(catalogue.cards_of("bedrock")[0], retires_on=date(2027, 1, 10))
    assert "2027-01-10" in planning.warnings(ending, NOW)[0]
    assert planning.warnings(ending, NOW - 60 * 86_400) == ()


def test_only_what_the_client_sent_is_reported() -> None:
    request = ImageRequest("x", steps=30, cfg=7.0, given=("cfg",))
    assert [d.name for d in planning.dropped(request, catalogue.cards_of("bedrock")[0])] == ["cfg"]


def test_a_reference_image_goes_only_where_it_is_taken() -> None:
    request = ImageRequest("x", reference_key="k")
    assert all("image-to-image" in card.capabilities for card in plan(request, BOTH)) if _takers(BOTH) else True
    with pytest.raises(InvalidRequest):
        plan(replace(request, model="stability.stable-image-core-v1:1"), BOTH)


def _takers(house: Deployment) -> list[ModelCard]:
    return [card for card in house.cards(NOW) if "image-to-image" in card.capabilities]


def test_the_others_follow_unless_the_client_does_not_want_them() -> None:
    first, *others = plan(ImageRequest("x", model=SD35), BOTH)
    assert first.id == SD35
    assert TURBO in [card.id for card in others]
    assert [card.id for card in plan(ImageRequest("x", model=SD35, fallback=False), BOTH)] == [SD35]
    order = plan(ImageRequest("x", provider="sagemaker", fallback=("bedrock",)), BOTH)
    assert [card.provider for card in order] == ["sagemaker", "bedrock"]
    with pytest.raises(ProviderUnconfigured):
        plan(ImageRequest("x", fallback=("gemini",)), BOTH)


def test_when_all_are_resting_nobody_is_asked() -> None:
    resting = Health()
    for _ in range(10):
        resting = observed(resting, Failure.UNAVAILABLE, 1.0, 0.0, NOW)
    with pytest.raises(NoneAvailable) as caught:
        plan(ImageRequest("x"), replace(BEDROCK, healths={"bedrock": resting}))
    assert 0 < (caught.value.retry_after or 0) <= 300


@given(st.sampled_from(catalogue.CARDS), st.none() | st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_every_seed_of_an_order_is_one_the_model_takes(card: ModelCard, seed: int | None, n: int) -> None:
    request = ImageRequest("x", seed=seed, n=n)
    first = planning.draw_seed(request, card, random.Random())
    seeds = [planning.image_task(request, card, first, i).seed for i in range(n)]
    assert all(card.seed_min <= s <= card.seed_max for s in seeds)
    assert len(set(seeds)) == n
    if seed is not None and card.seed_min <= seed <= card.seed_max:
        assert seeds[0] == seed


class Lowest(random.Random):
    def randint(self, a: int, b: int) -> int:
        return a


class Highest(random.Random):
    def randint(self, a: int, b: int) -> int:
        return b


@pytest.mark.parametrize("card", catalogue.CARDS, ids=lambda card: card.id)
def test_a_drawn_seed_is_never_0_and_leaves_room_for_every_image(card: ModelCard) -> None:
    assert planning.draw_seed(ImageRequest("x"), card, Lowest()) == 1
    assert planning.draw_seed(ImageRequest("x", n=8), card, Highest()) == card.seed_max - 8


def test_a_fallback_that_takes_the_clients_seed_gets_it() -> None:
    request = ImageRequest("x", seed=0)
    turbo = catalogue.card(TURBO)
    assert turbo
    drawn = planning.draw_seed(request, catalogue.cards_of("bedrock")[0], random.Random())
    assert drawn != 0
    assert planning.image_task(request, turbo, drawn, 0).seed == 0


def test_what_will_be_scaled_is_asked_for_without_loss() -> None:
    card = catalogue.cards_of("bedrock")[0]
    assert planning.image_task(ImageRequest("x", format="jpeg"), card, 1, 0).format == "jpeg"
    assert planning.image_task(ImageRequest("x", format="jpeg", width=512, height=512), card, 1, 0).format == "png"
    assert planning.image_task(ImageRequest("x", format="webp"), card, 1, 0).format == "png"


def test_weights_share_the_traffic() -> None:
    house = replace(BOTH, weights={"bedrock": 3.0, "sagemaker": 1.0})
    request = ImageRequest("x", strategy="balanced")
    first = [planning.plan(request, house, NOW, random.Random(i))[0].provider for i in range(400)]
    assert 0.65 < first.count("bedrock") / 400 < 0.85


def test_a_routes_own_steps_and_guidance_are_not_a_distilled_models() -> None:
    """As those of /generate-image, 30 and 7; what the client itself sends holds."""
    turbo, dev = catalogue.card(TURBO), catalogue.card("runware:101@1")
    assert turbo
    assert dev
    usual = ImageRequest("x", steps=30, cfg=7.0)
    sent = replace(usual, steps=2, cfg=1.5, given=("steps", "cfg"))
    orders = [planning.image_task(request, card, 7, 0) for request in (usual, sent) for card in (turbo, dev)]
    assert [(o.steps, o.cfg) for o in orders] == [(None, None), (30, 7.0), (2, 1.5), (2, 1.5)]


def test_steps_that_were_sent_are_another_picture_than_the_same_number_by_default() -> None:
    usual = ImageRequest("x", steps=30, cfg=7.0, seed=1, cache=True)
    assert usual.cache_key() != replace(usual, given=("steps",)).cache_key()
    assert usual.cache_key() == replace(usual, given=("seed",)).cache_key()


EVERYBODY = Deployment(frozenset(PROVIDERS), TURBO)
STRATEGIES = ["default", "balanced", "fastest", "cheapest", "quality"]
WISHES: dict[str, dict[str, Any]] = {
    "reference": {"reference_key": "k"},
    "background": {"task": "background", "reference_key": "k"},
    "seed 0": {"seed": 0, "given": ("seed",)},
    "the greatest seed": {"seed": 4294967295, "given": ("seed",)},
    "what to avoid": {"negative_prompt": "dogs", "given": ("negative_prompt",)},
    "steps": {"steps": 9, "given": ("steps",)},
    "cfg": {"cfg": 6.5, "given": ("cfg",)},
    "a long prompt": {"prompt": "x " * 1400},
    "much to avoid": {"negative_prompt": "x " * 900, "given": ("negative_prompt",)},
}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("wish", WISHES)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_named_provider_answers_by_the_model_of_its_that_can(provider: str, wish: str, strategy: str) -> None:
    given: dict[str, Any] = {"prompt": "x", "provider": provider, "strategy": strategy}
    asked = ImageRequest(**given | WISHES[wish])
    cards = [c for c in EVERYBODY.cards(NOW) if c.provider == provider and not c.words]
    unsupported_reason = [
        c for c in cards if fallback.unsupported_reason(c, asked, int(asked.reference_key is not None)) is None
    ]
    for allowed in (True, False):
        request = replace(asked, fallback=allowed)
        if not unsupported_reason:
            with pytest.raises(InvalidRequest):
                plan(request, EVERYBODY)
            continue
        first = plan(request, EVERYBODY)[0]
        assert first in unsupported_reason
        assert len(planning.dropped(request, first)) == min(
            len(planning.dropped(request, c)) for c in unsupported_reason
        )


def test_bedrock_takes_a_reference_image_by_the_model_that_does() -> None:
    for strategy in STRATEGIES:
        assert chosen(BEDROCK, provider="bedrock", reference_key="k", strategy=strategy) == SD35
    assert chosen(BEDROCK, reference_key="k") == SD35
    with pytest.raises(InvalidRequest):
        chosen(BEDROCK, model=CORE, reference_key="k")


def test_a_named_provider_makes_all_of_the_size_where_a_model_of_its_can() -> None:
    """Unless the client named a strategy as well, which may be for the price."""
    large = {"provider": "gemini", "width": 2048, "height": 2048}
    assert chosen(EVERYBODY, **large) == "gemini-3-pro-image"
    assert chosen(EVERYBODY, **large, strategy="cheapest") != "gemini-3-pro-image"
    assert chosen(EVERYBODY, **{**large, "width": 1024, "height": 1024}) == "gemini-nano-banana-2.1"
    assert chosen(EVERYBODY, provider="bedrock", width=2048, height=2048) == CORE  # none can


@pytest.mark.parametrize(
    ("request_", "negative", "dropped"),
    [
        ({}, None, []),
        ({"negative_prompt": "dogs", "given": ("negative_prompt",)}, None, ["negative_prompt"]),
        ({"cfg": 1.0, "negative_prompt": "dogs", "given": ("cfg", "negative_prompt")}, None, ["negative_prompt"]),
        ({"cfg": 6.5, "negative_prompt": "dogs", "given": ("cfg", "negative_prompt")}, "dogs", []),
        ({"cfg": 6.5, "given": ("cfg",)}, SAFE_NEGATIVE_PROMPT, []),
        ({"cfg": 7.0}, None, []),  # a route's own guidance is none of turbo's
    ],
)
def test_turbo_heeds_what_to_avoid_where_it_is_guided(request_: object, negative: object, dropped: list[str]) -> None:
    turbo = catalogue.card(TURBO)
    assert turbo
    request = ImageRequest("x", **request_)  # type: ignore[arg-type]
    assert planning.image_task(request, turbo, 7, 0).negative_prompt == negative
    told = planning.dropped(request, turbo)
    assert [d.name for d in told] == dropped
    assert all("cfg" in d.reason for d in told)
