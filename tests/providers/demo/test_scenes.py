"""The demo's small model: its square at every size, and a drawing with a note on the receipt if it is missing."""

from __future__ import annotations

import io
import logging
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

from lambdas.adapters.images.pictures import PillowPictures
from lambdas.domain import catalogue
from lambdas.domain.catalogue.cards.scenes import DEMO_SCENES, RATIOS
from lambdas.domain.catalogue.sizes import Sizing
from lambdas.domain.failures import ProviderFailure
from lambdas.domain.jobs.job import COMPLETED, Job
from lambdas.domain.jobs.request import Draft, Format, ImageRequest, ImageTask
from lambdas.providers.demo import build, provider
from lambdas.providers.registry import vocabulary_limited
from lambdas.settings import Settings
from lambdas.usecases.jobs.generate import generate
from lambdas.usecases.jobs.submit_job import Caller
from tests.support.fakes import FakeProviders, Fakes

MODEL = Path(__file__).parents[3] / "gpu_worker" / "scenes" / "weights"  # the one that `make run` has
SCENES, DRAWING = catalogue.cards_of("demo")
ORDER = ImageTask(SCENES, "a red star on white", 7, (128, 128))
INK = (10, 20, 30)


class Framed:
    """In place of the model: a square of ink whose four borders have their own colours, one pixel of each astray."""

    left, right, top, bottom = (200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0)

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def paint(self, prompt: str, seed: int) -> Any:
        square = np.full((128, 128, 3), INK, np.uint8)
        square[0], square[-1] = self.top, self.bottom
        square[1:-1, 0], square[1:-1, -1] = self.left, self.right
        square[64, 0] = square[64, -1] = square[0, 64] = square[-1, 64] = (255, 255, 255)
        return square


@pytest.fixture
def framed(monkeypatch: pytest.MonkeyPatch) -> provider.Demo:
    monkeypatch.setattr("lambdas.providers.demo.scenes.Scenes", Framed)
    return build(Settings(demo_model_dir="/model"))


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("ratio", sorted(RATIOS))
def test_the_border_s_colour_goes_on_to_both_sides_of_the_untouched_square(ratio: str, framed: provider.Demo) -> None:
    width, height = size = RATIOS[ratio]
    picture = opened(framed.paint(replace(ORDER, generate=size), 10).data)
    assert (picture.size, picture.mode) == (size, "RGB")
    left, top = (width - 128) // 2, (height - 128) // 2
    square = np.asarray(picture.crop((left, top, left + 128, top + 128)))
    assert np.array_equal(square, Framed(Path()).paint("", 0))
    first, last = (Framed.left, Framed.right) if width > height else (Framed.top, Framed.bottom)
    if ratio != "1:1":
        before = np.asarray(picture)[:, :left] if left else np.asarray(picture)[:top]
        after = np.asarray(picture)[:, left + 128 :] if left else np.asarray(picture)[top + 128 :]
        assert before.size
        assert after.size
        assert (before == first).all()
        assert (after == last).all()


@pytest.mark.parametrize("fmt", get_args(Format))
def test_it_comes_in_the_format_asked_for_with_its_seed(fmt: str, framed: provider.Demo) -> None:
    painted = framed.paint(replace(ORDER, format=fmt), 10)
    assert str(opened(painted.data).format).lower() == fmt
    assert painted.seed == 7


def test_the_model_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr("lambdas.providers.demo.scenes.Scenes", lambda folder: read.append(folder) or Framed(folder))
    made = build(Settings(demo_model_dir="/model"))
    for _ in range(3):
        made.paint(ORDER, 10)
    assert read == [Path("/model")]


def test_the_drawing_stays_a_drawing(framed: provider.Demo) -> None:
    order = replace(ORDER, card=DRAWING)
    assert framed.paint(order, 10).data == provider.Demo().paint(order, 10).data


def settings(folder: Path) -> Settings:
    return Settings(demo_model_dir=str(folder))


def service(folder: Path) -> Fakes:
    there = FakeProviders(demo=build(settings(folder)))
    return Fakes(providers=there, pictures=PillowPictures(), vocabulary_limited=vocabulary_limited(settings(folder)))


def ask(deps: Fakes, **request: Any) -> Job:
    caller = Caller("acme", "req", None, "f")
    asked = ImageRequest("a red star", **request)
    job, _ = generate(Draft(asked), caller, deps, respond_async=False, deadline=deps.clock.now() + 26)
    return job


def attempts(job: Job) -> list[tuple[str, str, str | None]]:
    return [(a.model, a.outcome, a.error_code) for a in job.attempts]


def test_a_scene_is_painted_by_the_model_and_enlarged_as_is_said() -> None:
    deps = service(MODEL)
    job = ask(deps, seed=5)
    assert attempts(job) == [(DEMO_SCENES, "success", None)]
    assert (job.status, job.model, job.images[0].seed) == (COMPLETED, DEMO_SCENES, 5)
    assert job.sizing == Sizing("128x128", "512x512", "enlarged")
    again, other = ask(deps, seed=5), ask(deps, seed=6)
    first, second, third = (deps.blobs.get(made.images[0].key) for made in (job, again, other))
    assert first == second != third


def broken(tmp_path: Path) -> Path:
    shutil.copytree(MODEL, tmp_path / "broken")
    (tmp_path / "broken" / "unet.onnx").write_bytes(b"no graph")
    return tmp_path / "broken"


@pytest.mark.parametrize("why", ["no files", "no graph", "no numpy", "no runtime"])
def test_where_it_cannot_be_loaded_the_drawing_answers_and_the_receipt_says_so(
    why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if why == "no runtime":
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
    if why == "no numpy":
        monkeypatch.setitem(sys.modules, "lambdas.providers.demo.scenes", None)  # as where an import in it fails
    deps = service({"no files": tmp_path, "no graph": broken(tmp_path)}.get(why, MODEL))
    job = ask(deps, model=DEMO_SCENES)
    assert attempts(job) == [(DEMO_SCENES, "failed", "model_gone"), (DRAWING.id, "success", None)]
    assert (job.status, job.model) == (COMPLETED, DRAWING.id)
    assert job.dropped[0].reason == f"{DEMO_SCENES} gave no image: {DRAWING.id} answered instead"
    assert attempts(ask(deps)) == [(DRAWING.id, "success", None)]
    assert len([r for r in caplog.records if r.levelno >= logging.ERROR and r.name == provider.__name__]) == 1


def test_the_reason_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = build(settings(tmp_path))
    for _ in range(3):
        with pytest.raises(ProviderFailure) as failed:
            made.paint(ORDER, 10)
        assert (failed.value.code, failed.value.paid) == ("model_gone", "no")
    [record] = caplog.records
    assert str(tmp_path) in record.getMessage()


@pytest.mark.parametrize(
    ("given", "here"),
    [
        ({}, set()),
        ({"DEMO_MODEL_DIR": "/m"}, {DEMO_SCENES}),
        ({"GPU_WORKER_URL": "http://w"}, {"image-api/scenes-1"}),
        ({"SAGEMAKER_ENDPOINT": "e"}, set()),
        ({"SAGEMAKER_ENDPOINT": "e", "ALLOWED_MODELS": "a, image-api/scenes-1"}, {"image-api/scenes-1"}),
        ({"SAGEMAKER_ENDPOINT": "e", "DEFAULT_MODEL": "image-api/scenes-1"}, {"image-api/scenes-1"}),
    ],
    ids=str,
)
def test_which_small_models_are_here(given: dict[str, str], here: set[str]) -> None:
    assert vocabulary_limited(Settings.of(given)) == here
