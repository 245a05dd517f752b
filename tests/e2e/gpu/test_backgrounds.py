"""A product background by the worker's process behind the local stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.doubles.gpu import SCENES
from tests.e2e.conftest import make_stack
from tests.e2e.gpu.process import WorkerProcess
from tests.e2e.http import Client
from tests.e2e.test_backgrounds import KEY, KEYS, by_form, check, ended
from tests.gpu_worker.background.products import draw

pytestmark = pytest.mark.e2e
NOTHING: dict[str, Any] = {}
SIZED: dict[str, Any] = {"width": "128", "height": "96", "format": "webp"}


def test_by_a_real_worker_with_tiny_weights(gpu_worker: WorkerProcess, tmp_path: Path) -> None:
    """The worker's own process and code, with weights that were never trained: what is around the product is noise."""
    with (
        make_stack(tmp_path, GPU_WORKER_URL=gpu_worker.url, **KEYS) as stack,
        Client(stack.url, timeout=90) as client,
    ):
        for size, fields in ((None, NOTHING), ((96, 128), SIZED)):
            product = draw(0, 96, 72)
            answer = by_form(client, product, headers={"Prefer": "respond-async"}, seed="7", **fields)
            job = ended(client, answer)
            assert (job["status"], job["provider"]) == ("completed", "sagemaker"), job["error"]
            [image] = job["images"]
            check({"status": "success", "image_url": image["url"], **image}, product, size)
        purged = client.post("/v1/models/purge", headers=KEY).json()
        assert SCENES in purged["removed"]
        assert purged["remaining"] == []
