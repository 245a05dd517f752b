"""The GPU worker's process behind the local stack: two hundred concurrent requests, equal bytes, and the purge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from gpu_worker.scenes.judging import judge
from gpu_worker.scenes.scene import SIDE, Scene, Thing
from tests.e2e.conftest import make_stack
from tests.e2e.crowd import Clients, Got, Wish, mixed, opened
from tests.e2e.gpu.process import SCENES, TURBO, WorkerProcess
from tests.e2e.test_backgrounds import check_pixels
from tests.gpu_worker.background.products import draw

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]  # against a hang, not a bound
TENANTS = ("crowd", "alone", "keeper", "reader")
KEYS = {"REQUIRE_API_KEY": "1", "API_KEYS": ",".join(f"{name}:key-of-{name}" for name in TENANTS)}
SIZES = ((256, 256), (320, 256), (256, 320), (64, 64))  # the last is below what the model paints
PNG, JPEG, WEBP = "png", "jpeg", "webp"
House = tuple[WorkerProcess, dict[str, Clients]]


@pytest.fixture(scope="module")
def house(gpu_worker: WorkerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The worker, and the clients of each tenant."""
    with make_stack(tmp_path_factory.mktemp("house"), GPU_WORKER_URL=gpu_worker.url, **KEYS) as stack:
        yield gpu_worker, {name: Clients(stack.url, f"key-of-{name}") for name in TENANTS}


def painted(number: int) -> Wish:
    """A picture by one of the routes, in turns."""
    size, seed = SIZES[number // 4 % 4], 1000 + number
    params = {"width": size[0], "height": size[1], "seed": seed}
    later = number % 8 >= 4
    route, prompt = number % 4, {"prompt": f"a fox, number {number}"}
    if route == 0:
        return Wish("/v1/generate", size, {**prompt, "params": params}, seed=seed, later=later)
    if route == 1:
        kind = (JPEG, WEBP, PNG)[number % 3]
        return Wish("/generate", size, {**prompt, **params, "format": kind}, format=kind, seed=seed, later=later)
    if route == 2:
        few = {"steps": 1, "cfg": 0}
        return Wish("/generate-image", size, {**prompt, **params, **few}, seed=seed, later=later)
    kind, named = (WEBP, PNG, JPEG)[number % 3], ({"model": TURBO}, {"provider": "sagemaker"}, {"cache": "off"})
    body = {**prompt, **params, "format": kind, **named[number % 3]}
    return Wish("/unified/generate", size, body, format=kind, seed=seed, later=later)


def staged(number: int) -> Wish:
    """A product's background, of the photo's own size or another."""
    product, seed, kind = draw(number % 12, 96, 72), 5000 + number, (PNG, WEBP)[number % 2]
    fields = {"prompt": f"on a rock, number {number}", "seed": str(seed), "format": kind}
    size = (96, 72)
    if number % 3 == 0:
        size = (128, 96)
        fields |= {"width": "128", "height": "96", "padding": "2"}
    path = ("/generate", "/v1/backgrounds")[number // 2 % 2]
    return Wish(path, size, fields=fields, product=product, format=kind, seed=seed, later=number % 4 == 3)


PLAIN = [  # with the service's own defaults, which are the dearest
    Wish("/generate-image", (512, 512), {"prompt": "a fox", "seed": 1}, seed=1),
    Wish("/unified/generate/quick", (512, 512), {"prompt": "a fox"}),
]
BAD = [
    Wish("/v1/generate", (0, 0), {"prompt": ""}),
    Wish("/v1/generate", (0, 0), {"prompt": "x", "params": {"width": 250}}),
    Wish("/generate", (0, 0), {"prompt": "x", "model": "no/such"}),
    Wish("/unified/generate", (0, 0), {"prompt": "x", "reference_image": "bm8gcGljdHVyZQ=="}, later=True),
    Wish("/unified/generate", (0, 0), {"prompt": "x", "model": SCENES}),
    Wish("/generate", (0, 0), fields={"width": "64", "height": "64"}, product=draw(0)),
    Wish("/v1/backgrounds", (0, 0), fields={"padding": "-1"}, product=draw(0, 96, 72), later=True),
]


def test_two_hundred_requests_at_once_all_end_right_and_as_each_would_alone(house: House) -> None:
    worker, clients = house
    good = mixed([*PLAIN, *(painted(n) for n in range(138))], [staged(n) for n in range(60)])
    assert len(good) == 200
    got = clients["crowd"].ask_all(mixed(good, BAD))
    refused = [one for one in got if one.wish in BAD]
    kept = [one for one in got if one.wish not in BAD]
    assert [(o.wish.path, o.answer.text) for o in refused if not 400 <= o.answer.status_code < 500] == []
    assert [(o.wish, o.answer.text) for o in kept if o.answer.status_code not in (200, 202)] == []
    for one in kept:
        check(one)
    accepted = [one.job["generation_id"] for one in kept]
    assert len(set(accepted)) == len(kept)
    assert len({one.job["images"][0]["id"] for one in kept}) == len(kept)

    told_to_wait = {request for one in kept for request in one.told_to_wait}
    listed = [job for job in clients["crowd"].jobs() if job["request_id"] not in told_to_wait]
    assert Counter(job["generation_id"] for job in listed) == Counter(accepted)
    assert {job["status"] for job in listed} == {"completed"}
    assert worker.figure("gpu_worker_batch_requests_sum") > worker.figure("gpu_worker_batch_requests_count")
    assert worker.figure("gpu_worker_requests_inside") == 0

    before = worker.painted
    again = [one for one in kept if one.wish.seed is not None and one.wish.seed % 10 == 7]
    for one in again:
        alone = clients["alone"].ask(one.wish)
        assert (alone.image, alone.mask) == (one.image, one.mask), one.wish
    assert worker.painted - before == len(again) == 20


def check(one: Got) -> None:
    """What a good wish must have come to."""
    wish, job = one.wish, one.job
    assert (job["status"], job["provider"], job["error"]) == ("completed", "sagemaker", None), job
    assert job["metadata"]["cached"] is False
    [image] = job["images"]
    picture = opened(one.image)
    assert (picture.size, (picture.format or "").lower()) == (wish.size, wish.format)
    assert (image["width"], image["height"], image["format"]) == (*wish.size, wish.format)
    if wish.seed is not None:
        assert image["seed"] == wish.seed
    if one.answer.status_code == 200 and wish.path == "/v1/generate":
        assert one.answer.json()["images"][0]["seed"] == wish.seed
    if wish.product is not None:
        check_pixels(picture, opened(one.mask), wish.product, wish.size[::-1])


def test_a_purge_amid_requests_and_after_them(house: House) -> None:
    worker, clients = house
    wishes = mixed([painted(n) for n in range(200, 224)], [staged(n) for n in range(200, 208)])
    before = worker.painted
    with ThreadPoolExecutor(1) as pool:
        crowd = pool.submit(clients["keeper"].ask_all, wishes, 16)

        def enough(painted: int) -> bool:
            return worker.painted >= painted or crowd.done()

        for share, model in ((4, TURBO), (10, SCENES), (16, None)):
            worker.until(partial(enough, before + share))
            purged = clients["keeper"].purge(model)
            assert (purged.status_code, purged.json()["model_id"]) == (200, model), purged.text
            assert {model} - {None} <= set(purged.json()["removed"]) <= {TURBO, SCENES}
            assert model not in purged.json()["remaining"]
        got = crowd.result()
    for one in got:
        assert one.answer.status_code in (200, 202), one.answer.text
        check(one)
    assert clients["keeper"].purge().json()["remaining"] == []
    assert worker.figure("ai_bg_model_loaded{") == 0
    for one in (got[0], next(one for one in got if one.wish.product)):
        again = clients["alone"].ask(one.wish)
        assert (again.image, again.mask) == (one.image, one.mask)
    assert worker.figure("ai_bg_model_loaded{") == 2


def test_the_small_model_paints_what_it_is_asked_for(house: House) -> None:
    _, clients = house
    small, red = "image-api/scenes-1", Scene((Thing("circle", "red"),))
    body = {"prompt": "a red circle on white", "params": {"model": small, "seed": 3}}
    wish = Wish("/v1/generate", (512, 512), body, seed=3)
    got = clients["reader"].ask(wish)
    check(got)
    assert got.job["metadata"]["provider_model"] == small
    assert judge(np.asarray(opened(got.image).convert("RGB").resize((SIDE, SIDE))), red) is None
    assert clients["reader"].purge(small).json()["removed"] == [small]
