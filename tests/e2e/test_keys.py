"""A key's life on the running local stack: made by the command, used, replaced, revoked, refused within a minute."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import httpx2
import pytest

from local.settings import ROOT

pytestmark = pytest.mark.e2e


def command(stack, *arguments):
    environment = {**os.environ, "DATA_DIR": str(stack.settings.data_dir)}
    told = subprocess.run(
        [sys.executable, "-m", "local", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in told.stderr
    return told


def status(stack, key):
    return httpx2.get(f"{stack.url}/v1/models", headers={"x-api-key": key}, trust_env=False, timeout=30).status_code


def test_a_key_is_made_used_replaced_and_revoked(start):
    with start(REQUIRE_API_KEY="1") as stack:
        made = command(stack, "key", "acme", "--name", "laptop")
        key = made.stdout.strip()
        key_id = re.search(r"key_[0-9a-f]{12}", made.stderr)[0]
        assert status(stack, key) == 200
        assert status(stack, key[:-1] + ("A" if key[-1] != "A" else "B")) == 403

        bearer = {"authorization": f"Bearer {key}"}
        with httpx2.Client(base_url=stack.url, headers=bearer, trust_env=False, timeout=60) as acme:
            job = acme.post("/generate", json={"prompt": "a fox"}).json()["generation_id"]
            other = command(stack, "key", "umbrella").stdout.strip()
            theirs = httpx2.get(f"{stack.url}/unified/jobs/{job}", headers={"x-api-key": other}, trust_env=False)
            assert (acme.get(f"/unified/jobs/{job}").status_code, theirs.status_code) == (200, 404)

        new = command(stack, "key-rotate", key_id, "--grace", "1h").stdout.strip()
        assert (status(stack, key), status(stack, new)) == (200, 200)
        listed = command(stack, "keys", "acme").stdout
        assert f"...{key[-4:]}" in listed
        assert f"...{new[-4:]}" in listed
        assert key not in listed
        assert other[-4:] not in listed

        assert command(stack, "key-revoke", key_id).returncode == 0
        revoked = time.monotonic()
        while status(stack, key) != 403:
            assert time.monotonic() - revoked < 60
            time.sleep(1)
        assert status(stack, new) == 200
        assert command(stack, "key-revoke", "key_000000000000").returncode == 1
