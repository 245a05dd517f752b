"""A provider's picture that no codec can read ends the attempt, not the run: another provider is asked."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from lambdas.adapters.images.pictures import PillowPictures
from lambdas.domain.jobs.job import COMPLETED
from lambdas.domain.jobs.request import BACKGROUND, Draft, GeneratedImage, ImageRequest
from lambdas.usecases.jobs.accept import accept
from lambdas.usecases.jobs.run_job import run_job
from lambdas.usecases.jobs.submit_job import Caller
from tests.gpu_worker.background.products import draw
from tests.pictures.made import chunk, file, packed, picture, png, scans, seeds
from tests.support.fakes import FakeProvider, FakeProviders, Fakes

SIZE = (24, 16)
SPOILT = {
    "a palette that is missing": png(SIZE, 8, 3, packed([3] * 384, 24, 8)),
    "a scan without end": scans(file(picture(), "jpeg", progressive=True), 5000),
    "a cut": seeds()["jpeg"][:-30],
    "a chunk of no kind": seeds()["png colour 2 of 8"].replace(b"IDAT", b"IDAQ"),
    "a checksum": png(SIZE, 8, 2, bytes(384 * 3))[:-13] + b"?" + chunk(b"IEND", b""),
    "a page": b"<!DOCTYPE html><html><title>Just a moment...</title>",
    "nothing": b"",
}


@pytest.mark.parametrize("name", sorted(SPOILT))
@pytest.mark.parametrize("task", ["picture", "background"])
def test_another_provider_is_asked_and_the_first_one_s_end_is_known(name: str, task: str) -> None:
    first = FakeProvider([lambda order: GeneratedImage(SPOILT[name])])
    good = FakeProvider([lambda order: GeneratedImage(file(Image.new("RGB", order.generate, "red"), "png"))])
    deps = Fakes(pictures=PillowPictures(), providers=FakeProviders(bedrock=first, gemini=good))
    draft = Draft(ImageRequest("a fox", provider="bedrock"))
    if task == "background":
        text = base64.b64encode(draw(0).file(alpha=True)).decode()
        draft = Draft(ImageRequest("a rock", task=BACKGROUND), text)
    job, _ = accept(draft, Caller("acme", "req-1"), deps)
    ended = run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
    assert ended
    assert (ended.attempts[0].outcome, ended.attempts[0].error_code) == ("failed", "bad_answer")
    if task == "picture":
        assert (ended.status, len(ended.attempts)) == (COMPLETED, 2), ended.error
        made = Image.open(io.BytesIO(deps.blobs.get(ended.images[0].key) or b""))
        assert made.format == "PNG"
    else:
        assert ended.error
        assert ended.error.code == "providers_failed"
