"""A vocabulary-limited model is asked only for prompts of its words, and does not change other requests."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any, Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.domain import catalogue
from lambdas.domain.catalogue.cards.scenes import DEMO_SCENES, GPU_SCENES, PROMPT_MAX, RATIOS, SIDE, WORDS
from lambdas.domain.errors import InvalidRequest, ProviderUnconfigured
from lambdas.domain.failures import Failure
from lambdas.domain.jobs.request import BACKGROUND, ImageRequest, Strategy
from lambdas.domain.providers import ALL, PROVIDERS
from lambdas.domain.routing import planning
from lambdas.domain.routing.health import Health, observed
from lambdas.domain.routing.planning import Deployment
from lambdas.usecases.catalogue.list_models import list_models
from lambdas.usecases.catalogue.list_providers import list_providers

NOW = 1_795_132_800.0  # 2026-11-20
TURBO, DRAWING = "stabilityai/sdxl-turbo", "demo/procedural-1"
SMALL = frozenset({DEMO_SCENES, GPU_SCENES})
DEMO = Deployment(frozenset({"demo"}), TURBO, vocabulary_limited=SMALL)
GPU = Deployment(frozenset({"bedrock", "sagemaker"}), TURBO, vocabulary_limited=SMALL)
SCENE = "Two red stars on a white background."
STRATEGY: tuple[Literal["default"] | Strategy, ...] = ("default", *get_args(Strategy))
[card] = [c for c in catalogue.CARDS if c.id == DEMO_SCENES]


def plan(house: Deployment, prompt: str = SCENE, **request: Any) -> list[str]:
    return [c.id for c in planning.plan(ImageRequest(prompt, **request), house, NOW, random.Random(1))]


@pytest.mark.parametrize(
    "prompt", [SCENE, "a BLUE ring above a pink heart", "draw a small star,\nat the top", " red  circle "]
)
def test_what_is_made_of_its_words_is_read(prompt: str) -> None:
    assert card.reads(prompt)


@pytest.mark.parametrize(
    "prompt",
    ["a fox", "2 red stars", "a red star!", "a blue-green ring", "a red ⭐", "a red\u200bstar", "crosss", "", " ., "],
)
def test_whatever_else_is_in_it_is_not(prompt: str) -> None:
    assert not card.reads(prompt)


def test_a_model_without_words_of_its_own_reads_anything() -> None:
    assert catalogue.cards_of("demo")[-1].reads("")
    assert all(any(not card.words for card in catalogue.cards_of(provider)) for provider in ALL)


@pytest.mark.parametrize("strategy", STRATEGY)
def test_the_demo_paints_a_scene_with_its_model_and_can_still_draw_it(strategy: str) -> None:
    assert plan(DEMO, strategy=strategy) == [DEMO_SCENES, DRAWING]
    assert plan(DEMO, strategy=strategy, fallback=False) == [DEMO_SCENES]


@pytest.mark.parametrize("strategy", STRATEGY)
def test_the_demo_draws_everything_else(strategy: str) -> None:
    assert plan(DEMO, "a fox on white", strategy=strategy) == [DRAWING]


def test_without_its_files_there_is_no_such_model() -> None:
    bare = replace(DEMO, vocabulary_limited=())
    assert plan(bare) == [DRAWING]
    with pytest.raises(ProviderUnconfigured, match="is not here"):
        plan(bare, model=DEMO_SCENES)
    for house, offered in [(bare, False), (DEMO, True)]:
        assert (DEMO_SCENES in [row.id for row in list_models(house, NOW)]) is offered
        [demo] = [row for row in list_providers(house, NOW) if row.id == "demo"]
        assert (DEMO_SCENES in demo.models) is offered


@pytest.mark.parametrize("model", [TURBO, GPU_SCENES])
def test_the_demo_stands_in_for_a_named_model_with_what_suits_the_prompt(model: str) -> None:
    assert plan(DEMO, model=model) == [DEMO_SCENES, DRAWING]
    assert plan(DEMO, "a fox", model=model) == [DRAWING]
    [said] = planning.replaced(ImageRequest("x", model=model), card)
    assert said.reason.startswith("no provider is configured")


def test_who_names_it_has_it_and_is_told_of_what_it_does_not_read() -> None:
    assert plan(DEMO, "a fox", model=DEMO_SCENES) == [DEMO_SCENES, DRAWING]
    assert plan(GPU, "a fox", model=GPU_SCENES)[0] == GPU_SCENES
    assert "two red stars" in planning.warnings(card, NOW, "a fox")[0]
    assert planning.warnings(card, NOW, SCENE) == planning.warnings(card, NOW) == ()


def test_that_the_drawing_stood_in_for_it_is_said_as_it_was() -> None:
    [said] = planning.replaced(ImageRequest("x", model=DEMO_SCENES), catalogue.cards_of("demo")[-1])
    assert said.reason == f"{DEMO_SCENES} gave no image: {DRAWING} answered instead"


def test_found_missing_it_is_left_out_and_the_drawing_goes_on() -> None:
    gone = observed(Health(), Failure.MODEL_GONE, 0.1, 0.0, NOW, DEMO_SCENES)
    assert plan(replace(DEMO, healths={"demo": gone})) == [DRAWING]


@pytest.mark.parametrize("strategy", STRATEGY)
def test_a_gpu_with_a_bigger_model_never_takes_it_of_itself(strategy: str) -> None:
    assert plan(GPU, provider="sagemaker", strategy=strategy)[0] == TURBO
    assert GPU_SCENES not in plan(replace(GPU, default_model=""), strategy=strategy)


def test_the_deployments_own_choice_is_taken_where_the_prompt_suits_it() -> None:
    chosen = replace(GPU, default_model=GPU_SCENES)
    assert plan(chosen)[0] == GPU_SCENES
    assert GPU_SCENES not in plan(chosen, "a fox")


def test_where_nothing_else_is_allowed_it_is_said_what_it_reads() -> None:
    alone = replace(GPU, allowed_models=(GPU_SCENES,))
    assert plan(alone) == [GPU_SCENES]
    with pytest.raises(InvalidRequest, match="two red stars"):
        plan(alone, "a fox")


def test_a_prompt_that_would_be_rewritten_is_none_of_its() -> None:
    assert plan(DEMO, "red " * 1000) == [DRAWING]
    assert plan(DEMO, "red " * 1000, optimize_prompt=False) == [DRAWING]
    with pytest.raises(InvalidRequest, match=str(PROMPT_MAX)):
        plan(DEMO, "red " * 1000, model=DEMO_SCENES)


def test_a_product_s_background_is_none_of_its() -> None:
    assert plan(DEMO, task=BACKGROUND, reference_key="k") == [DRAWING]
    with pytest.raises(InvalidRequest):
        plan(DEMO, task=BACKGROUND, reference_key="k", model=DEMO_SCENES)


HOUSES = st.sampled_from(
    [
        DEMO,
        GPU,
        Deployment(frozenset({"sagemaker"}), TURBO, vocabulary_limited=SMALL),
        Deployment(frozenset(PROVIDERS), TURBO, vocabulary_limited=SMALL, weights={"sagemaker": 1.0}),
    ]
)
PROMPTS = st.lists(st.sampled_from([*sorted(WORDS), "fox", "é", "7", "!"]), min_size=1, max_size=8).map(" ".join)


@given(HOUSES, PROMPTS, st.sampled_from(STRATEGY), st.sampled_from([True, False]), st.integers(0, 9))
def test_no_other_prompt_is_ever_handed_to_it_nor_routed_otherwise_because_of_it(
    house: Deployment, prompt: str, strategy: Strategy | Literal["default"], fallback: bool, seed: int
) -> None:
    request = ImageRequest(prompt, strategy=strategy, fallback=fallback)
    planned = planning.plan(request, house, NOW, random.Random(seed))
    if card.reads(prompt):
        return
    assert not any(c.words for c in planned)
    assert planned == planning.plan(request, replace(house, vocabulary_limited=()), NOW, random.Random(seed))


def test_the_demo_continues_a_square_and_the_worker_paints_one() -> None:
    assert {min(size) for size in RATIOS.values()} == {SIDE}
    gpu = catalogue.card(GPU_SCENES)
    assert gpu
    assert gpu.ratios == {"1:1": RATIOS["1:1"]}
