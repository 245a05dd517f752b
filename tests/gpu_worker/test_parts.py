"""The worker's small parts: settings, files, logs, and what its modules may import."""

from __future__ import annotations

import ast
import io
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gpu_worker.http import logs
from gpu_worker.http.encoding import encode
from gpu_worker.settings import Settings

PACKAGE = Path(__file__).parents[2] / "gpu_worker"
RNG = np.random.default_rng(1)
NOISE = RNG.integers(0, 256, (24, 40, 4), dtype=np.uint8)


def test_settings_have_defaults() -> None:
    assert Settings.of({"BUCKETS": " ", "UNKNOWN": "x"}) == Settings()


def test_settings_are_read() -> None:
    made = Settings.of(
        {"BUCKETS": "1, 2,4", "ALLOWED_MODELS": "a,b", "GENERATION_TIMEOUT_SECONDS": "55.5", "MODEL_DIR": "/m"}
    )
    assert (made.buckets, made.allowed_models, made.model_dir) == ((1, 2, 4), ("a", "b"), "/m")
    assert made.generation_timeout_seconds == 55.5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BUCKETS", "1,x"),
        ("BUCKETS", "0"),
        ("BUCKETS", ","),
        ("DRAIN_SECONDS", "-1"),
        ("MAX_MODELS_CACHE", "0"),
        ("QUEUE_SIZE", "0"),
        ("QUEUE_SIZE", "many"),
    ],
)
def test_a_setting_that_cannot_be_is_named(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        Settings.of({name: value})


@pytest.mark.parametrize(("kind", "exact"), [("png", False), ("png", True), ("webp", True)])
@pytest.mark.parametrize("channels", [3, 4])
def test_exact_files_keep_every_byte(kind: str, exact: bool, channels: int) -> None:
    """Also the colours where nothing is seen."""
    pixels = NOISE[..., :channels].copy()
    if channels == 4:
        pixels[:12, :, 3] = 0
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode(pixels, kind, exact)))), pixels)


def test_what_is_seen_through_is_white_in_a_jpeg() -> None:
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[:32, :, 3] = 255
    read = np.asarray(Image.open(io.BytesIO(encode(pixels, "jpeg"))))
    assert read.shape == (64, 64, 3)
    assert read[:24].max() < 8
    assert read[40:].min() > 247


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("CUDA error: device-side assert triggered", True),
        ("cannot tokenise 'a very secret wish'", False),
        ("a very secret wish that goes on", False),
        ("bad: tiny", False),
    ],
)
def test_an_error_that_quotes_a_prompt_is_not_repeated(said: str, kept: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="gpu_worker")
    try:
        raise RuntimeError(said)
    except RuntimeError as error:
        logs.failure("it failed", error, ["", "I have a very secret wish", "tiny"], id="a")
    line = json.loads(logs.JsonLines().format(caplog.records[0]))
    assert (said in line["said"]) == kept
    assert (line["message"], line["error"], line["id"]) == ("it failed", "RuntimeError", "a")
    assert "test_parts.py" in line["at"][-1]


def test_only_the_settings_read_the_environment_and_the_server_needs_no_torch() -> None:
    """What the tests can run without torch: each of these modules is imported where it is not installed."""
    for path in (
        PACKAGE / "contract.py",
        PACKAGE / "settings.py",
        *PACKAGE.glob("http/*.py"),
        *PACKAGE.glob("engine/*.py"),
    ):
        name, tree = path.stem, ast.parse(path.read_text("utf-8"))
        imported = {a.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
        imported |= {(node.module or "").split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not imported & {"torch", "diffusers", "transformers", "onnxruntime"}, name
        reads = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & {"environ", "getenv"}
        assert not reads or name == "settings", name
