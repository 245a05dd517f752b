"""Schemathesis against the served OpenAPI document: no 5xx, and every answer matches the document."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from local.stack import Stack
from tests.support.properties import examples, times

pytestmark = [pytest.mark.e2e, pytest.mark.hypothesis, pytest.mark.timeout(400 * times())]

CHECKS = ",".join(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
        "unsupported_method",
    ]
)


def test_the_served_document_is_kept(stack: Stack, tmp_path: Path) -> None:
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        "run",
        f"{stack.url}/openapi.json",
        "--checks",
        CHECKS,
        "--max-examples",
        str(examples(25).max_examples),
        *(["--seed", "7"] if settings().derandomize else []),  # else it draws one, and prints it
        "--workers",
        "2",
        "--request-timeout",
        "40",
        "--no-color",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=380 * times(), check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
