"""A function's start does nothing, except when deployed."""

from __future__ import annotations

import gc

import pytest

from lambdas import wiring
from lambdas.handlers import api, authorizer, dead_letter, webhooks, worker
from tests.support.fakes import Fakes


def test_a_deployed_function_reads_once_before_its_first_request(monkeypatch: pytest.MonkeyPatch) -> None:
    deps = Fakes()
    seen = []
    monkeypatch.setattr(deps.jobs, "get", lambda *key: seen.append(key))
    monkeypatch.setattr(deps.blobs, "presign", seen.append)
    monkeypatch.setattr(wiring, "live", lambda: deps)
    wiring.prime()
    assert seen == []
    monkeypatch.setenv("DEPLOYED", "1")
    wiring.prime()
    assert seen == [("-", "-"), "-"]


def test_a_failed_start_is_left_to_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise OSError

    monkeypatch.setattr(wiring, "live", broken)
    monkeypatch.setenv("DEPLOYED", "1")
    wiring.prime()


@pytest.mark.parametrize("module", [api, authorizer, dead_letter, webhooks, worker])
def test_garbage_is_collected_once_a_handler_is_imported(module: object) -> None:
    assert callable(module.handler)  # type: ignore[attr-defined]
    assert gc.isenabled()
