"""What the engine makes of what waits. The models are fakes; the thread is the real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from threading import Event
from typing import Any

import numpy as np
import pytest

from gpu_worker.contract import Refusal
from gpu_worker.engine.engine import Engine
from gpu_worker.engine.jobs import Done
from gpu_worker.engine.protocol import DeviceLost
from gpu_worker.http.metrics import Metrics
from tests.gpu_worker.fake_models import TURBO, WAIT, FakeModels, Gate, pixels, request

Make = Callable[..., Engine]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Engine] = []

    def build(models: FakeModels, buckets: tuple[int, ...] = (1, 2, 4, 8), **options: Any) -> Engine:
        made.append(Engine(models, Metrics(), buckets, **options))
        made[-1].start().result(WAIT)
        return made[-1]

    yield build
    for engine in made:
        engine.stop()
        engine.join(WAIT)
        assert not engine._thread.is_alive()


def outcome(future: Future[Done]) -> Any:
    error = future.exception(WAIT)
    return error.code if isinstance(error, Refusal) else error or future.result().painting.image


def behind(engine: Engine, gate: Gate, *waiting: Any) -> list[Future[Done]]:
    """Futures of one request that is being painted and of those that then wait."""
    first = engine.put(request("first"))
    gate.reached()
    return [first, *(engine.put(asked) for asked in waiting)]


def test_a_lone_request_is_painted_at_once_and_alone(make: Make) -> None:
    models = FakeModels()
    done = make(models).put(request("a")).result(WAIT)
    assert models.batches == [(["a"], 1)]
    assert np.array_equal(done.painting.image, pixels(request(), 1))


def test_no_time_is_added_for_a_lone_request(make: Make) -> None:
    """The clock only moves while the model paints: nothing between arrival and pixels may ask for more of it."""
    clock, models = Clock(), FakeModels()

    def step(_: int) -> None:
        clock.now += 0.25

    models.at_step = step
    engine = make(models, clock=clock)
    for _ in range(3):
        done = engine.put(request()).result(WAIT)
        assert (done.queue, done.paint) == (0.0, 0.25)


def test_what_waited_together_is_painted_together(make: Make) -> None:
    models = FakeModels()
    gate = Gate(models)
    futures = behind(make(models), gate, *(request(name, seed=n) for n, name in enumerate("abcd")))
    gate.open()
    assert [len(outcome(future)) for future in futures] == [256] * 5
    assert models.batches == [(["first"], 1), (["a", "b", "c", "d"], 4)]
    for n, future in enumerate(futures[1:]):
        assert np.array_equal(outcome(future), pixels(request(seed=n), 4)), "each its own"


def test_with_one_size_the_same_request_is_the_same_pixels_alone_and_in_company(make: Make) -> None:
    models = FakeModels()
    gate = Gate(models)
    futures = behind(make(models, (4,)), gate, *(request(name) for name in "abc"))
    gate.open()
    assert len({outcome(future).tobytes() for future in futures}) == 1
    assert models.batches == [(["first"], 4), (["a", "b", "c"], 4)]


def test_a_shape_with_a_size_of_its_own_is_painted_in_it(make: Make) -> None:
    models = FakeModels(buckets={(512, 512): 1})
    gate = Gate(models)
    large = [request(name, width=512, height=512) for name in "ab"]
    futures = behind(make(models, (4,)), gate, *large)
    gate.open()
    wait_for(futures, WAIT)
    assert models.batches == [(["first"], 4), (["a"], 1), (["b"], 1)]


def test_what_a_bucket_has_no_room_for_is_next(make: Make) -> None:
    models = FakeModels()
    gate = Gate(models)
    futures = behind(make(models), gate, *(request(name) for name in "abcde"))
    gate.open()
    wait_for(futures, WAIT)
    assert models.batches[1:] == [(["a", "b", "c", "d"], 4), (["e"], 1)]


def test_shapes_take_turns_by_who_waited_longest(make: Make) -> None:
    models = FakeModels()
    gate = Gate(models)
    wide: dict[str, Any] = {"width": 512}
    waiting = [request("w1", **wide), request("a"), request("o", model="other"), request("w2", **wide), request("b")]
    futures = behind(make(models), gate, *waiting)
    gate.open()
    wait_for(futures, WAIT)
    assert models.batches[1:] == [(["w1", "w2"], 2), (["a", "b"], 2), (["o"], 1)]


def test_a_full_stream_of_one_shape_does_not_starve_another(make: Make) -> None:
    models = FakeModels()
    gate = Gate(models)
    crowd = [request(f"c{n}") for n in range(20)]
    futures = behind(make(models), gate, *crowd[:10], request("lone", width=512), *crowd[10:])
    gate.open()
    wait_for(futures, WAIT)
    order = [ids for ids, _ in models.batches]
    assert order.index(["lone"]) == 3, "after its elders, in two batches, and before what came later"


def test_one_bad_request_fails_alone(make: Make) -> None:
    models = FakeModels()
    gate = Gate(models)
    bad = [request("x", "break"), request("y", "refused"), request("z", "shapeless")]
    futures = behind(make(models), gate, request("a"), *bad, request("b"))
    gate.open()
    good = pixels(request(), 4)
    assert np.array_equal(outcome(futures[1]), good)
    assert [outcome(future) for future in futures[2:5]] == ["failed", "content_policy", "invalid_request"]
    assert np.array_equal(outcome(futures[5]), good)
    assert models.batches[1:] == [(["a", "x", "y", "b"], 4), (["a"], 4), (["x"], 4), (["y"], 4), (["b"], 4)]


def test_out_of_memory_means_smaller_batches_from_then_on(make: Make) -> None:
    models = FakeModels(room=4)
    gate = Gate(models)
    engine = make(models, (8,))
    futures = behind(engine, gate, *(request(name) for name in "abcde"))
    gate.open()
    wait_for(futures, WAIT)
    assert all(np.array_equal(outcome(future), pixels(request(), 2)) for future in futures)
    assert models.batches[:3] == [(["first"], 8), (["first"], 4), (["first"], 2)]
    assert models.batches[3:] == [(["a", "b"], 2), (["c", "d"], 2), (["e"], 2)]
    other = engine.put(request("o", width=512))
    assert outcome(other).shape == (256, 512, 3)
    assert (["o"], 8) in models.batches, "another shape has its own limit"


def test_after_a_purge_the_memory_is_tried_anew(make: Make) -> None:
    models = FakeModels(room=2)
    engine = make(models, (4,))
    outcome(engine.put(request()))
    models.room = 100
    outcome(engine.put(request()))
    engine.purge(None).result(WAIT)
    outcome(engine.put(request()))
    assert [size for _, size in models.batches] == [4, 2, 1, 1, 4]


def test_a_batch_that_is_too_large_is_split(make: Make) -> None:
    models = FakeModels(room=3)
    gate = Gate(models)
    futures = behind(make(models), gate, *(request(name) for name in "abcd"))
    gate.open()
    wait_for(futures, WAIT)
    assert models.batches[1:] == [(["a", "b", "c", "d"], 4), (["a", "b"], 2), (["c", "d"], 2)]


@pytest.mark.parametrize("model", [TURBO, f"{TURBO}+paper:0.8"])
def test_other_models_give_their_memory_before_a_request_is_refused(make: Make, model: str) -> None:
    models = FakeModels(room=2)
    engine = make(models)
    for other in ("other", "third"):
        outcome(engine.put(request(model=other)))
    assert outcome(engine.put(request(model=model))).shape == (256, 256, 3)
    assert models.loaded() == [TURBO]


def test_other_models_give_their_memory_for_a_model_to_be_loaded(make: Make) -> None:
    models = FakeModels(models_room=2)
    engine = make(models)
    for model in ("other", "third", TURBO):
        assert outcome(engine.put(request(model=model))).shape == (256, 256, 3)
    assert models.loaded() == [TURBO]
    models.models_room = 0
    assert outcome(engine.put(request(model="other"))) == "failed"


def test_no_memory_at_all_is_a_clean_refusal(make: Make) -> None:
    models = FakeModels(room=1)
    engine = make(models)
    assert outcome(engine.put(request())) == "failed"
    models.room = 100
    assert outcome(engine.put(request())).shape == (256, 256, 3), "the next one is tried again"


def test_the_deadline_ends_the_work_between_steps(make: Make) -> None:
    clock, models = Clock(), FakeModels(steps=100)
    steps: list[int] = []

    def step(n: int) -> None:
        steps.append(n)
        clock.now += 1

    models.at_step = step
    engine = make(models, clock=clock)
    assert outcome(engine.put(request(), 3.5)) == "timeout"
    assert steps == [0, 1, 2, 3]
    models.steps = 3
    assert outcome(engine.put(request(), 3.5)).shape == (256, 256, 3), "the next one is none the worse"


def test_a_neighbour_with_more_time_is_painted_nevertheless(make: Make) -> None:
    clock, models = Clock(), FakeModels(steps=5)
    gate = Gate(models)
    engine = make(models, clock=clock)
    engine.put(request("first"))
    gate.reached()
    hasty, patient = engine.put(request("hasty"), 2.5), engine.put(request("patient"), 60)
    waited = models.at_step

    def step(n: int) -> None:
        waited(n)
        if len(models.batches) == 2:
            clock.now += 1

    models.at_step = step
    gate.open()
    assert outcome(hasty) == "timeout"
    assert outcome(patient).shape == (256, 256, 3)
    assert models.batches[1] == (["hasty", "patient"], 2)


def test_the_deadline_holds_in_the_queue(make: Make) -> None:
    clock, models = Clock(), FakeModels()
    gate = Gate(models)
    engine = make(models, clock=clock)
    engine.put(request("first"))
    gate.reached()
    times = {"late": 10, "kept": 30, "later": 11}
    late, kept, later = (engine.put(request(name), seconds) for name, seconds in times.items())
    clock.now += 20
    gate.open()
    assert [outcome(late), outcome(later)] == ["timeout", "timeout"]
    assert outcome(kept).shape == (256, 256, 3)
    assert models.batches == [(["first"], 1), (["kept"], 1)]


def test_what_nobody_waits_for_is_not_painted(make: Make) -> None:
    models = FakeModels()
    gate = Gate(models)
    engine = make(models)
    _, gone, kept = behind(engine, gate, request("gone"), request("kept"))
    assert gone.cancel()
    assert engine.waiting == 1, "nor does it take memory"
    gate.open()
    outcome(kept)
    assert models.batches == [(["first"], 1), (["kept"], 1)]


def test_a_batch_that_nobody_waits_for_ends_at_its_next_step(make: Make) -> None:
    models = FakeModels(steps=100)
    gate = Gate(models)
    engine = make(models)
    (first,) = behind(engine, gate)
    steps: list[int] = []
    waited = models.at_step
    models.at_step = lambda n: (waited(n), steps.append(n))
    first.cancel()
    gate.open()
    models.steps = 1
    outcome(engine.put(request("next")))
    assert models.batches == [(["first"], 1), (["next"], 1)]
    assert len(steps) <= 2


def test_purge_waits_for_the_batch_and_goes_before_what_waits(make: Make) -> None:
    models = FakeModels()
    gate = Gate(models)
    engine = make(models)
    futures = behind(engine, gate, request("a"), request("o", model="other"))
    purged = engine.purge(None)
    assert not purged.done()
    gate.open()
    assert purged.result(WAIT) == ([TURBO], [])
    wait_for(futures, WAIT)
    assert models.gets == [TURBO, TURBO, "other"]
    assert engine.purge("other").result(WAIT) == (["other"], [TURBO])
    assert engine.purge("nothing").result(WAIT) == ([], [TURBO])


def test_an_unknown_model_is_refused_to_all_that_asked_for_it(make: Make) -> None:
    models = FakeModels(broken=frozenset({"other"}))
    gate = Gate(models)
    waiting = [request("x", model="none"), request("y", model="other"), request("z", model="other"), request("a")]
    futures = behind(make(models), gate, *waiting)
    gate.open()
    assert [outcome(future) for future in futures[1:4]] == ["unknown_model", "failed", "failed"]
    assert outcome(futures[4]).shape == (256, 256, 3)
    assert models.gets.count("other") == 1, "a load that fails is slow too"


def test_a_load_that_fails_is_for_all_of_the_model_whatever_their_adapters(make: Make) -> None:
    models = FakeModels(broken=frozenset({"other"}))
    gate = Gate(models)
    waiting = [request("x", model="other+ink:0.5"), request("y", model="other"), request("z", model="other+oil")]
    futures = behind(make(models), gate, *waiting)
    gate.open()
    assert [outcome(future) for future in futures[1:]] == ["failed"] * 3
    assert models.gets == [TURBO, "other+ink:0.5"]


def test_an_adapter_that_is_not_there_is_the_fault_of_those_alone_who_asked_for_it(make: Make) -> None:
    models = FakeModels()
    gate = Gate(models)
    waiting = [request("x", model=f"{TURBO}+nobody"), request("y"), request("z", model=f"{TURBO}+nobody")]
    futures = behind(make(models), gate, *waiting)
    gate.open()
    assert [outcome(futures[1]), outcome(futures[3])] == ["unknown_model"] * 2
    assert outcome(futures[2]).shape == (256, 256, 3)
    assert models.gets.count(f"{TURBO}+nobody") == 1


def test_what_the_memory_has_no_room_for_is_learned_of_the_model_and_not_of_each_adapter(make: Make) -> None:
    models = FakeModels(room=2)
    engine = make(models, (2,))
    for weight in ("0.5", "0.50", "0.51"):
        outcome(engine.put(request(model=f"{TURBO}+ink:{weight}")))
    assert [size for _, size in models.batches] == [2, 1, 1, 1]


def test_requests_with_other_adapters_are_not_painted_together(make: Make) -> None:
    models = FakeModels()
    gate = Gate(models)
    waiting = [request(name, model=f"{TURBO}+ink:{weight}") for name, weight in [("a", 1), ("b", 0.5), ("c", 1)]]
    futures = behind(make(models), gate, *waiting)
    gate.open()
    wait_for(futures, WAIT)
    assert models.batches[1:] == [(["a", "c"], 2), (["b"], 1)]


def test_a_request_is_asked_for_its_shape_once_however_long_it_waits(make: Make) -> None:
    """A prompt of 10,000 characters is read for it, on the GPU's own thread."""
    models = FakeModels()
    gate = Gate(models)
    names = [f"{n}" for n in range(12)]
    futures = behind(
        make(models, (4,)), gate, *(request(name, "word " * 2000, width=256 + 8 * int(name)) for name in names)
    )
    gate.open()
    wait_for(futures, WAIT)
    assert sorted(models.shapes) == sorted(["first", *names, *["first", *names]]), "once, and once by the fake's check"


def test_models_to_begin_with(make: Make) -> None:
    engine = Engine(FakeModels(), Metrics(), (1,))
    assert not engine.ready
    engine.start([TURBO, "other"]).result(WAIT)
    assert engine.ready
    engine.stop()
    broken = Engine(FakeModels(), Metrics(), (1,))
    with pytest.raises(Refusal, match="unknown model"):
        broken.start(["none"]).result(WAIT)
    assert not broken.ready
    broken.stop()


def test_a_lost_device_refuses_everything_so_that_it_is_tried_elsewhere(make: Make) -> None:
    models = FakeModels()
    gate = Gate(models)
    engine = make(models)
    told: list[bool] = []
    engine.on_lost = lambda: told.append(True)
    futures = behind(engine, gate, request("x", "lost"), request("a"), request("w", width=512))
    gate.open()
    assert [outcome(future) for future in futures[1:]] == ["busy"] * 3
    engine.join(WAIT)
    assert isinstance(engine.lost, DeviceLost)
    assert told == [True]
    for call in (lambda: engine.put(request()), lambda: engine.purge(None)):
        with pytest.raises(Refusal, match="replaced") as refused:
            call()
        assert refused.value.retry_after == 30


def test_a_purge_that_waits_for_a_device_that_is_lost_is_refused(make: Make) -> None:
    models = FakeModels()
    gate = Gate(models)
    engine = make(models)
    engine.put(request("x", "lost"))
    gate.reached()
    purged = engine.purge(None)
    gate.open()
    with pytest.raises(Refusal, match="replaced"):
        purged.result(WAIT)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)], ids=["interrupt", "exit"])
def test_whoever_waits_for_a_call_that_ends_the_thread_is_told(
    make: Make, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    models = FakeModels()

    def purge(_: object) -> None:
        raise error

    monkeypatch.setattr(models, "purge", purge)
    engine = make(models)
    with pytest.raises(Refusal, match="replaced"):
        engine.purge(None).result(WAIT)
    engine.join(WAIT)
    assert engine.lost is error


def hanging(make: Make) -> tuple[Engine, Clock, Gate, FakeModels]:
    clock, models = Clock(), FakeModels(steps=2)
    gate = Gate(models)
    return make(models, clock=clock), clock, gate, models


def test_a_step_that_never_ends_is_a_lost_gpu(make: Make) -> None:
    engine, clock, gate, models = hanging(make)
    told: list[bool] = []
    engine.on_lost = lambda: told.append(True)
    first = engine.put(request("first"), 10)
    gate.reached()
    patient, purged = engine.put(request("patient"), 1000), engine.purge(None)
    clock.now += 10 + 30
    engine.watch(30)
    assert engine.lost is None, "it may end yet"
    clock.now += 0.5
    engine.watch(30)
    engine.watch(30)
    assert isinstance(engine.lost, TimeoutError)
    assert told == [True]
    assert [outcome(first), outcome(patient), outcome(purged)] == ["timeout", "busy", "busy"]
    with pytest.raises(Refusal, match="replaced"):
        engine.put(request())
    gate.open()
    engine.join(WAIT)
    assert not engine._thread.is_alive(), "a step that ends after all is not followed by another"
    assert [ids for ids, _ in models.batches] == [["first"]]


def test_a_batch_is_given_the_time_of_the_most_patient_of_it(make: Make) -> None:
    clock, models = Clock(), FakeModels()
    gate = Gate(models)
    engine = make(models, clock=clock)
    engine.put(request("first"))
    gate.reached()
    futures = [engine.put(request(name), seconds) for name, seconds in [("hasty", 10), ("patient", 100)]]
    held = Gate(models)
    models.painting.clear()
    gate.open()
    held.reached()
    clock.now += 90
    engine.watch(30)
    assert engine.lost is None
    held.open()
    assert outcome(futures[0]) == "timeout"
    assert outcome(futures[1]).shape == (256, 256, 3)


def test_without_a_time_limit_no_step_hangs(make: Make) -> None:
    engine, clock, gate, _ = hanging(make)
    first = engine.put(request("first"))
    gate.reached()
    clock.now += 1e9
    engine.watch(0)
    gate.open()
    assert outcome(first).shape == (256, 256, 3)


def test_a_model_may_be_loaded_for_longer_than_its_requests_wait(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is started anew for it would load it anew."""
    clock, models = Clock(), FakeModels()
    engine = make(models, clock=clock)
    plain, loading, loaded = models.get, Event(), Event()

    def get(model_id: str) -> Any:
        loading.set()
        assert loaded.wait(WAIT)
        return plain(model_id)

    monkeypatch.setattr(models, "get", get)
    late = engine.put(request(), 10)
    assert loading.wait(WAIT)
    clock.now += 1e9
    engine.watch(0)
    loaded.set()
    assert outcome(late) == "timeout"
    assert engine.lost is None


def test_an_idle_gpu_does_not_hang(make: Make) -> None:
    engine, clock, gate, _ = hanging(make)
    gate.open()
    assert outcome(engine.put(request(), 10)).shape == (256, 256, 3)
    engine.purge(None).result(WAIT)
    clock.now += 1e9
    engine.watch(0)
    assert engine.lost is None


def test_giving_up_refuses_the_calls_that_wait_too(make: Make) -> None:
    models = FakeModels()
    gate = Gate(models)
    engine = make(models)
    behind(engine, gate)
    purged = engine.purge(None)
    engine.give_up()
    with pytest.raises(Refusal, match="replaced"):
        purged.result(WAIT)
    gate.open()


def test_giving_up_refuses_everything_in_hand(make: Make) -> None:
    models = FakeModels(steps=100)
    gate = Gate(models)
    engine = make(models)
    futures = behind(engine, gate, request("a"))
    engine.give_up()
    assert [outcome(future) for future in futures] == ["busy", "busy"]
    gate.open()
    models.steps = 1
    assert outcome(engine.put(request("b"))).shape == (256, 256, 3)
    assert models.batches == [(["first"], 1), (["b"], 1)]


def test_stopping_paints_what_waits_and_takes_nothing_new(make: Make) -> None:
    models = FakeModels()
    gate = Gate(models)
    engine = make(models)
    futures = behind(engine, gate, request("a"), request("w", width=512))
    engine.stop()
    with pytest.raises(Refusal, match="replaced"):
        engine.put(request("late"))
    gate.open()
    assert all(outcome(future) is not None for future in futures)
    engine.join(WAIT)
    assert not engine._thread.is_alive()


def test_two_hundred_mixed_requests_from_three_threads_all_end_right(make: Make) -> None:
    models = FakeModels()
    engine = make(models, (4,))
    prompts = ["a cat", "a cat", "a cat", "refused", "break"]
    asked = [
        request(str(n), prompts[n % 5], seed=n, width=256 + 8 * (n % 3), model=[TURBO, "other"][n % 2])
        for n in range(200)
    ]
    with ThreadPoolExecutor(3) as pool:
        futures = list(pool.map(engine.put, asked))
        purges = list(pool.map(lambda _: engine.purge(None), range(5)))
    for one, future in zip(asked, futures, strict=True):
        if one.prompt == "a cat":
            assert np.array_equal(outcome(future), pixels(one, 4))
        else:
            assert outcome(future) == {"refused": "content_policy", "break": "failed"}[one.prompt]
    assert all(purge.exception(WAIT) is None for purge in purges)
    assert models.threads == {engine._thread.ident}, "only ever one thread"


def test_the_time_ahead_follows_what_was_measured(make: Make) -> None:
    clock, models = Clock(), FakeModels()

    def step(_: int) -> None:
        clock.now += 9

    models.at_step = step
    engine = make(models, clock=clock)
    assert engine.seconds_ahead() == 1
    for _ in range(20):
        outcome(engine.put(request()))
    gate = Gate(models)
    models.painting.clear()
    futures = behind(engine, gate, request("a"), request("b"))
    assert engine.seconds_ahead() == pytest.approx(27, rel=0.02)
    gate.open()
    wait_for(futures, WAIT)
