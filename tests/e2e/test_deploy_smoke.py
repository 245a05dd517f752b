"""The smoke test of a deployment against the local stack, with a key and without."""

from __future__ import annotations

import pytest

from infra.deploy import smoke
from tests.e2e.conftest import Start

pytestmark = pytest.mark.e2e


def test_the_local_stack(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    with start(REQUIRE_API_KEY="1", API_KEYS="acme:k1") as stack:
        assert smoke.main([stack.url, "k1"]) == 0
        assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
            "health",
            "models",
            "image",
            "file",
        ]
        assert smoke.main([stack.url]) == 1
        assert capsys.readouterr().out.startswith("FAILED  GET /v1/models answered 401: ")
