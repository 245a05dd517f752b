"""Expired images and a replaced worker: every accepted job reaches a correct final state."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import make_stack
from tests.e2e.crowd import Clients, Wish, mixed
from tests.e2e.gpu.process import HeldWorker, WorkerProcess
from tests.e2e.gpu.test_worker import check, painted, staged

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]  # against a hang, not a bound
KEYS = {"REQUIRE_API_KEY": "1", "API_KEYS": "acme:key-of-acme"}


def plain(number: int, *, later: bool = False) -> Wish:
    size = (256 + 8 * number, 256)
    params = {"width": size[0], "height": size[1], "seed": number}
    if later:
        return Wish("/unified/generate", size, {"prompt": "a fox", **params}, seed=number, later=True)
    return Wish("/v1/generate", size, {"prompt": "a fox", "params": params}, seed=number)


@pytest.mark.parametrize("whose", ["service", "worker"])
def test_an_image_that_is_not_painted_in_its_time(whose: str, tmp_path: Path) -> None:
    limit: dict[str, Any] = {"GENERATION_TIMEOUT_SECONDS": "8"}
    with (
        HeldWorker(tmp_path, **(limit if whose == "worker" else {})) as worker,
        make_stack(tmp_path / "data", GPU_WORKER_URL=worker.url, **KEYS, **(limit if whose == "service" else {})) as s,
    ):
        clients = Clients(s.url, "key-of-acme")
        asked, waiting = clients.ask_all([plain(0), plain(1, later=True)], 2)
        problem = asked.answer.json()
        assert (asked.answer.status_code, problem["code"]) == (504, "generation_timeout"), problem
        assert "the GPU worker did not" in problem["detail"]
        assert waiting.answer.status_code == 202
        jobs = clients.jobs()
        assert waiting.job in jobs
        assert len(jobs) == 2
        for job in jobs:
            assert (job["status"], job["images"], job["error"]["code"]) == ("failed", [], "generation_timeout")
            [attempt] = job["metadata"]["attempts"]
            assert (attempt["provider"], attempt["outcome"], attempt["error_code"]) == (
                "sagemaker",
                "failed",
                "timeout",
            )
            assert attempt["cost_usd"] == 0
        worker.until(lambda: worker.figure("gpu_worker_requests_inside") == 0)
        worker.paint()
        for one in clients.ask_all([plain(2), plain(3, later=True)], 2):
            assert one.answer.status_code in (200, 202), one.answer.text
            check(one)
        worker.leave()
        assert worker.wait() == 0


def test_a_worker_that_is_replaced_amid_requests(tiny_weights: Path, tmp_path: Path) -> None:
    with (
        WorkerProcess(tmp_path, tiny_weights, DRAIN_SECONDS="120") as worker,
        make_stack(tmp_path / "data", GPU_WORKER_URL=worker.url, **KEYS) as stack,
        ThreadPoolExecutor(1) as pool,
    ):
        clients = Clients(stack.url, "key-of-acme")
        wishes = mixed([painted(n) for n in range(18)], [staged(n) for n in range(6)])
        crowd = pool.submit(clients.ask_all, wishes, 8)
        worker.until(lambda: worker.painted >= 4 and worker.figure("gpu_worker_requests_inside") >= 2)
        worker.leave()
        assert worker.wait() == 0
        taken = [line for line in worker.log if line["message"] == "request" and line["status"] != 503]
        assert {line["status"] for line in taken} == {200}
        [leaving] = [line for line in worker.log if line["message"] == "leaving"]
        assert leaving["inside"] >= 1
        worker.start()
        got = crowd.result()

        by_id = {job["generation_id"]: job for job in clients.jobs()}
        assert {job["status"] for job in by_id.values()} <= {"completed", "failed"}
        for one in got:
            if one.job is None:  # it was told so
                assert one.answer.status_code == 502, one.answer.text
            elif one.job["status"] == "completed":
                check(one)
        for job in by_id.values():
            if job["status"] == "failed":
                assert job["error"]["code"] in ("providers_failed", "none_available")
                assert {a["error_code"] for a in job["metadata"]["attempts"]} <= {"unavailable"}
        completed = [job for job in by_id.values() if job["status"] == "completed"]
        answered = [line["id"] for line in worker.log if line["message"] == "request" and line["status"] == 200]
        assert len(completed) == len(set(answered)) == len(answered)
        [after] = clients.ask_all([painted(300)])
        check(after)
        worker.leave()
        assert worker.wait() == 0
