"""The README's commands as written, with photos of a camera's size."""

from __future__ import annotations

import io
import json
import re
import subprocess
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from local.settings import ROOT
from tests.e2e.http import Client

pytestmark = pytest.mark.e2e

README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = [
    line.strip()
    for line in README.split("## Use it\n", 1)[1].split("\n## ", 1)[0].splitlines()
    if line.startswith("    ") and "curl" in line and "X-API-Key: KEY" not in line
]
MACOS_LACKS = re.compile(r"base64 -|readlink -f|sed -i [^']|date -d|grep -P|xargs -r")  # what BSD's tools do not take


def photo(megabytes: float) -> bytes:
    """A PNG of a product on white, of about that size: noise that no encoder can shorten."""
    side = int((megabytes * 1e6 / 3) ** 0.5) + 40
    picture = Image.new("RGB", (side, side), "white")
    noise = Image.merge("RGB", [Image.effect_noise((side - 40, side - 40), 90) for _ in range(3)])
    shape = Image.new("L", noise.size, 255)
    ImageDraw.Draw(shape).rectangle((0, 0, 3, 3), fill=0)
    picture.paste(noise, (20, 20), shape)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def names(client: Client) -> dict[str, str]:
    """What stands for a name of the reader's own."""
    named = client.post("/generate-image", json={"prompt": "A fox"}).json()["image_url"]
    job = client.post("/unified/generate", json={"prompt": "A fox", "project_id": "spring"}).json()
    return {
        "im_0123456789abcdef.png": named,
        "GENERATION_ID": job["generation_id"],
        "IMAGE_ID": job["images"][0]["id"],
        "localhost:8000": client.base.removeprefix("http://"),
    }


def test_the_readme_has_a_command_for_each_kind_of_request() -> None:
    assert len(COMMANDS) >= 15
    assert not [command for command in COMMANDS if MACOS_LACKS.search(command)]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_does_what_it_says(command: str, names: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "product.png").write_bytes(photo(4.0 if " -F " in command else 3.2))
    for name, own in names.items():
        command = command.replace(name, own)
    command = command.replace("curl ", "curl -sS --noproxy '*' -w '%{stderr}%{http_code}' ", 1)
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr
    assert done.stderr[-3:] in ("200", "201", "202", "204"), done.stdout + done.stderr
    if done.stdout.startswith("{"):
        assert json.loads(done.stdout)
