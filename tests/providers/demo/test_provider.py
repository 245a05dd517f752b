"""The demo provider: the same picture for the same task, marked as a demo, at every size, fast and small."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lambdas.domain import catalogue
from lambdas.domain.jobs.request import Format, ImageTask
from lambdas.providers.demo import build, provider
from lambdas.providers.demo.art import SCENES
from lambdas.settings import Settings
from tests.support.properties import examples

ROOT = Path(__file__).parents[3]
CARD = catalogue.cards_of("demo")[-1]
SIZES = [(64, 64), (64, 2048), (2048, 64), (512, 512), (1024, 576), (72, 1000)]
RIBBON = (255, 196, 0)


def _paint(prompt: str = "a cat", seed: int = 7, size: tuple[int, int] = (128, 128), fmt: str = "png") -> bytes:
    painted = build(Settings()).paint(ImageTask(CARD, prompt, seed, size, format=fmt), 10)
    assert painted.seed == seed
    return painted.data


def _open(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_same_order_same_bytes_also_in_another_process() -> None:
    code = (
        "import hashlib; from lambdas.providers import demo; from lambdas.domain import catalogue;"
        "from lambdas.domain.jobs.request import ImageTask; from lambdas.settings import Settings;"
        "order = ImageTask(catalogue.cards_of('demo')[-1], 'a cat', 7, (128, 128));"
        "print(hashlib.sha256(demo.build(Settings()).paint(order, 10).data).hexdigest())"
    )
    there = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "5"},
    )
    assert there.stdout.strip() == hashlib.sha256(_paint()).hexdigest() == hashlib.sha256(_paint()).hexdigest()


def test_another_seed_or_prompt_another_picture() -> None:
    pictures = {_paint(seed=seed) for seed in range(20)} | {_paint(prompt) for prompt in ("a dog", "a cat ", "A cat")}
    assert len(pictures) == 23


@pytest.mark.parametrize("size", SIZES)
def test_every_size_is_exact_and_marked(size: tuple[int, int]) -> None:
    picture = _open(_paint(size=size))
    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", size)
    band = [picture.getpixel((x, size[1] - 1)) for x in range(30)]
    assert band.count(RIBBON) == 30
    letters = [picture.getpixel((x, y)) for x in range(40) for y in range(size[1] - 18, size[1])]
    assert sum(sum(pixel) < 120 for pixel in letters) > 20  # type: ignore[arg-type]


def test_large_pictures_show_the_prompt() -> None:
    def foot(prompt: str) -> bytes:
        return _open(_paint(prompt, size=(512, 512))).crop((90, 475, 500, 510)).tobytes()

    assert foot("the sea at night, one") != foot("the sea at night, two")


@pytest.mark.parametrize("fmt", get_args(Format))
def test_every_format(fmt: str) -> None:
    assert fmt in CARD.formats
    assert str(_open(_paint(fmt=fmt)).format).lower() == fmt


def test_words_steer_scene_and_palette() -> None:
    assert set(provider.SCENE_WORDS.values()) == set(SCENES)
    assert set(provider.PALETTE_WORDS.values()) == set(provider.PALETTES)

    def top(prompt: str) -> tuple[int, int, int]:
        return _open(_paint(prompt)).convert("RGB").resize((1, 1), box=(0, 0, 128, 60)).getpixel((0, 0))  # type: ignore[return-value]

    assert top("a red sea")[0] > top("a blue sea")[0]
    assert top("the green sea")[1] > top("the green sea")[0]
    assert sum(top("the sea at night")) < sum(top("the sea by daylight"))
    red, green, blue = top("a grey forest")
    assert max(red, green, blue) - min(red, green, blue) < 40


@examples(40)
@given(prompt=st.text(max_size=300), seed=st.integers(0, CARD.seed_max))
def test_any_prompt_makes_a_picture(prompt: str, seed: int) -> None:
    assert _open(_paint(prompt, seed, (256, 64))).size == (256, 64)


def test_a_long_prompt_is_cut() -> None:
    assert _open(_paint("mountains " * 1000, size=(512, 512))).size == (512, 512)


def test_the_files_are_small() -> None:
    for scene in ("a city at sunset", "the sea", "mountains", "circles"):
        assert len(_paint(scene, size=(1024, 1024))) < 400_000
