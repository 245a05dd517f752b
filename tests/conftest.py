"""Defaults of all tests: markers by folder, no AWS credentials, and no network beyond this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import properties
from tests.support.work import waits_of_this_thread

HERE = Path(__file__).parent
# What imports the packages that requirements-gpu.txt adds. A test elsewhere that needs them says so by `mark.gpu`.
GPU = (
    "benchmarks/test_gpu.py",
    "e2e/gpu",
    "gpu_worker/background/test_segment.py",
    "gpu_worker/pipelines",
    "gpu_worker/scenes/test_export.py",
    "gpu_worker/scenes/test_small_model.py",
    "gpu_worker/scenes/test_train.py",
    "providers/demo/test_scenes_runtime.py",
)

# What `make quick` leaves out: modules of several seconds' computing, and folders of such.
SLOW = (
    "adapters/dynamodb",
    "adapters/images/test_border_cuts.py",
    "adapters/images/test_compositing.py",
    "adapters/images/test_decoding.py",
    "adapters/images/test_pictures.py",
    "adapters/test_aws_adapters.py",
    "adapters/test_queue_backlog.py",
    "adapters/webhooks/test_signer.py",
    "api/test_images_in.py",
    "api/test_prompts.py",
    "benchmarks",
    "docs/test_contract.py",
    "docs/test_requirements.py",
    "domain/prompts/test_compress.py",
    "domain/prompts/test_guard.py",
    "domain/routing/test_simulation.py",
    "domain/test_linear_patterns.py",
    "faults",
    "gpu_worker/background/test_background.py",
    "gpu_worker/http/test_over_http.py",
    "gpu_worker/http/test_serve.py",
    "gpu_worker/models/test_weights.py",
    "gpu_worker/scenes/test_scenes.py",
    "infra",
    "interleavings",
    "ledger",
    "pictures",
    "providers/_client/test_edges.py",
    "providers/models_check",
    "providers/test_adding_a_provider.py",
    "providers/test_bedrock_calls.py",
    "providers/test_gemini.py",
    "providers/test_official_sdks.py",
    "providers/test_sagemaker.py",
    "providers/text/test_engines.py",
    "providers/text/test_faults.py",
    "test_manage_keys.py",
    "test_portability.py",
    "usecases/images/test_outage.py",
    "usecases/images/test_product_background.py",
    "usecases/jobs/test_crash_matrix.py",
    "usecases/money/test_paid_prompts.py",
    "usecases/money/test_receipt_and_ledger.py",
    "usecases/money/test_what_was_paid.py",
    "usecases/prompts/test_optimize.py",
    "usecases/test_fairness.py",
)
# Many callers at once, or processes that are killed: on a machine that does something else besides, too much is turned
# away. `make crowd-tests` runs them one after the other. A test elsewhere of that kind says so by `mark.alone`.
ALONE = ("e2e/laptop/test_overload.py", "e2e/test_limits.py", "e2e/test_metrics.py", "e2e/test_once.py", "ledger")

properties.register()
for name in [n for n in os.environ if n.startswith("AWS_") and n != "AWS_CA_BUNDLE"]:
    del os.environ[name]
os.environ |= {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "POWERTOOLS_SERVICE_NAME": "image-api",
    "POWERTOOLS_METRICS_NAMESPACE": "ImageApi",
}


def marks_of(path: Path) -> list[str]:
    """The markers that a file or folder has by its place."""
    if not path.is_relative_to(HERE):
        return []
    place = path.relative_to(HERE).as_posix() + "/"
    tables = {"gpu": GPU, "slow": SLOW, "alone": ALONE}
    return [mark for mark, places in tables.items() if place.startswith(tuple(f"{inside}/" for inside in places))]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What is deselected by its place is not even imported: tests of `gpu` could not be, and others take time."""
    left_out = [mark for mark in marks_of(collection_path) if f"not {mark}" in config.option.markexpr]
    return True if left_out else None


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Once for each file: its tests have the marks of what they stand in."""
    if isinstance(collector, pytest.Module):
        for mark in marks_of(collector.path):
            collector.add_marker(mark)


@pytest.fixture(autouse=True)
def closed_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A connection to anywhere but this machine fails the test. Child processes of `cdk` tests are not touched."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> Any:
        host = address[0] if isinstance(address, tuple) else "127.0.0.1"
        if host not in ("127.0.0.1", "localhost", "::1"):
            raise AssertionError(f"a test tried to reach {host}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    yield


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The longest that each wait of the test's thread may last: a deadline is kept where none is longer."""
    return waits_of_this_thread(monkeypatch)
