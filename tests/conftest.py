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


def of_gpu(path: Path) -> bool:
    return any(path.is_relative_to(HERE / place) for place in GPU)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Tests of `gpu` that are deselected are not even imported, for they could not be."""
    return True if "not gpu" in config.option.markexpr and of_gpu(collection_path) else None


def pytest_itemcollected(item: pytest.Item) -> None:
    if of_gpu(item.path):
        item.add_marker(pytest.mark.gpu)


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
