"""The worker over real HTTP: what only shows with connections, and many at once."""

from __future__ import annotations

import json
import socket
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from gpu_worker.http.server import MAX_PURGES, Worker
from tests.gpu_worker.client import Answer, asked, call, figure, invoke, payload, running
from tests.gpu_worker.conftest import MakeWorker
from tests.gpu_worker.fake_models import WAIT, FakeModels, Gate, pixels


def until(port: int, name: str, value: float) -> None:
    while figure(port, name) != value:
        pass


def behind(pool: ThreadPoolExecutor, port: int, gate: Gate, *ids: str) -> list[Future[Answer]]:
    """A request that is being painted, and those that then wait."""
    first = pool.submit(invoke, port, id="first")
    gate.reached()
    waiting = [pool.submit(invoke, port, id=one) for one in ids]
    until(port, "gpu_worker_queue_depth", len(ids))
    return [first, *waiting]


def test_ping_does_not_wait_for_the_gpu(make_worker: MakeWorker, models: FakeModels) -> None:
    gate = Gate(models)
    with running(make_worker()) as port, ThreadPoolExecutor() as pool:
        (first,) = behind(pool, port, gate)
        assert call(port, "GET", "/ping").status == 200
        assert call(port, "GET", "/models").status == 200
        gate.open()
        assert first.result(WAIT).status == 200


def test_a_full_worker_refuses_and_says_when_to_come_again(make_worker: MakeWorker, models: FakeModels) -> None:
    gate = Gate(models)
    with running(make_worker(queue_size=3)) as port, ThreadPoolExecutor() as pool:
        inside = behind(pool, port, gate, "a", "b")
        body = json.dumps(payload(task="image-to-image", image="A" * 4_000_000)).encode()
        for refused in (invoke(port), call(port, "POST", "/invocations", body)):
            assert (refused.status, refused.error) == (503, "busy")
            assert refused.json["error"]["retry_after"] >= 1
            assert int(refused.headers["retry-after"]) >= 1
        assert call(port, "GET", "/ping").status == 200
        gate.open()
        assert [one.result(WAIT).status for one in inside] == [200, 200, 200]
        assert invoke(port).status == 200


def test_the_time_is_over_in_the_queue_and_between_steps(make_worker: MakeWorker, models: FakeModels) -> None:
    gate = Gate(models)
    models.steps = 100
    with running(make_worker(timeout_seconds=0.3)) as port, ThreadPoolExecutor() as pool:
        late = behind(pool, port, gate, "a", "b")
        assert [(one.result(WAIT).status, one.result().error) for one in late] == [(504, "timeout")] * 3
        models.steps = 1
        gate.open()
        assert invoke(port, id="next").status == 200
    assert [ids for ids, _ in models.batches] == [["first"], ["next"]]


def test_whoever_hangs_up_is_not_painted_for(make_worker: MakeWorker, models: FakeModels) -> None:
    gate = Gate(models)
    body = json.dumps(payload(id="gone")).encode()
    head = "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    with running(make_worker()) as port, ThreadPoolExecutor() as pool:
        (first,) = behind(pool, port, gate)
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(head.encode() + body)
            until(port, "gpu_worker_queue_depth", 1)
        until(port, "gpu_worker_queue_depth", 0)
        until(port, "gpu_worker_requests_inside", 1)
        gate.open()
        assert first.result(WAIT).status == 200
        assert invoke(port, id="next").status == 200
        assert b"gpu_worker_refusals_total{" not in call(port, "GET", "/metrics").body, "nor is it a failure"
    assert [ids for ids, _ in models.batches] == [["first"], ["next"]]


def test_purge_during_work(make_worker: MakeWorker, models: FakeModels) -> None:
    gate = Gate(models)
    with running(make_worker()) as port, ThreadPoolExecutor() as pool:
        inside = behind(pool, port, gate, "a")
        purged = pool.submit(call, port, "POST", "/models/purge")
        gate.open()
        assert [one.result(WAIT).status for one in [*inside, purged]] == [200, 200, 200]
        assert purged.result().json["remaining"] == []


def test_a_full_worker_can_be_purged_but_not_by_any_number_at_once(make_worker: MakeWorker, models: FakeModels) -> None:
    gate = Gate(models)
    with running(make_worker(queue_size=1)) as port, ThreadPoolExecutor(MAX_PURGES + 2) as pool:
        (first,) = behind(pool, port, gate)
        purges = [pool.submit(call, port, "POST", "/models/purge") for _ in range(MAX_PURGES)]
        until(port, "gpu_worker_requests_inside", 1 + MAX_PURGES)
        more = call(port, "POST", "/models/purge")
        assert (more.status, more.error) == (503, "busy")
        gate.open()
        assert [one.result(WAIT).status for one in [first, *purges]] == [200] * (1 + MAX_PURGES)
        until(port, "gpu_worker_requests_inside", 0)


def test_two_hundred_mixed_requests_at_once_all_end_right(make_worker: MakeWorker, models: FakeModels) -> None:
    worker: Worker = make_worker(queue_size=200)
    kinds: list[dict[str, Any]] = [
        {"format": "png"},
        {"width": 320, "format": "webp", "task": "background", "image": "AAAA"},
        {"model": "other", "height": 320},
        {"prompt": "refused"},
        {"model": "none"},
        {"steps": 3},
        {"prompt": "break"},
        {"width": 1},
    ]
    statuses = [200, 200, 200, 422, 400, 200, 500, 400]

    def one(n: int) -> Answer:
        return invoke(port, id=str(n), seed=n, **kinds[n % 8])

    with running(worker) as port, ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(one, range(200)))
        until(port, "gpu_worker_requests_inside", 0)
    assert [answer.status for answer in answers] == statuses * 25
    for n, answer in enumerate(answers):
        if answer.status == 200:
            assert answer.json["id"] == str(n)
            assert np.array_equal(answer.pixels, pixels(asked(seed=n, **kinds[n % 8]), 4)), "alone or in company"
    assert len(models.threads) == 1
