"""The generated webhook secrets of the local run: tenants, storage and precedence."""

import base64
import os
import sys
from pathlib import Path

import pytest

from local import webhook_secrets
from local.settings import ROOT, SettingsError, load
from local.stack import Stack
from local.webhook_secrets import FILE, complete, parse

GIVEN = "whsec_" + base64.b64encode(b"g" * 32).decode()


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("", {}),
        (" , ", {}),
        ("c2VjcmV0", {"default": "c2VjcmV0"}),
        ("whsec_c2VjcmV0", {"default": "whsec_c2VjcmV0"}),
        ("acme:whsec_c2VjcmV0, default:b3RoZXI=", {"acme": "whsec_c2VjcmV0", "default": "b3RoZXI="}),
        ("b3RoZXI", {"default": "b3RoZXI"}),  # the libraries do without the padding
    ],
)
def test_secrets_are_read_as_the_functions_read_them(text: str, read: dict[str, str]) -> None:
    assert parse(text) == read


@pytest.mark.parametrize(
    "text", ["-_-_", "c2Vj!cmV0", "acme:", ":c2VjcmV0", "a b:c2VjcmV0", "whsec_", "c2VjcmV0é", "a:b:c2VjcmV0"]
)
def test_what_signs_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a secret is base64"):
        parse(text)


def test_every_tenant_of_the_settings_gets_a_secret(tmp_path: Path) -> None:
    functions = {"API_KEY": "plain, acme:k1", "API_KEYS": "umbrella:a:b,acme:k2,"}
    found = parse(complete(tmp_path, functions))
    assert list(found) == ["acme", "default", "umbrella"]
    assert len(set(found.values())) == 3
    assert all(len(base64.b64decode(secret.removeprefix("whsec_"))) == 32 for secret in found.values())


def test_what_was_made_once_stays(tmp_path: Path) -> None:
    first = complete(tmp_path, {"API_KEYS": "acme:k"})
    assert complete(tmp_path, {"API_KEYS": "acme:k"}) == first
    more = parse(complete(tmp_path, {"API_KEYS": "umbrella:k"}))
    assert parse(first).items() <= more.items()
    assert set(more) == {"acme", "default", "umbrella"}


@pytest.mark.skipif(sys.platform == "win32", reason="files have no such modes there")
def test_only_their_owner_can_read_them(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        complete(tmp_path, {})
        assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
        (tmp_path / FILE).chmod(0o644)
        (tmp_path / "webhook.new").write_text("left by a killed run", "utf-8")
        complete(tmp_path, {"API_KEYS": "acme:k"})
        assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_what_is_given_goes_before_what_was_made_and_is_not_written_down(tmp_path: Path) -> None:
    complete(tmp_path, {"API_KEYS": "acme:k"})
    found = parse(complete(tmp_path, {"API_KEYS": "acme:k,umbrella:k", "WEBHOOK_SECRET": f"acme:{GIVEN}"}))
    assert found["acme"] == GIVEN
    assert set(found) == {"acme", "default", "umbrella"}
    assert GIVEN not in (tmp_path / FILE).read_text("utf-8")


def test_where_all_are_given_no_file_is_made(tmp_path: Path) -> None:
    assert complete(tmp_path, {"WEBHOOK_SECRET": GIVEN}) == f"default:{GIVEN}"
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_made_unfit_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("default:whsec_open-sesame\n", "utf-8")
    with pytest.raises(ValueError, match=r"webhook\.secrets must hold lines of tenant:secret") as refused:
        complete(tmp_path, {})
    assert "sesame" not in str(refused.value)
    settings = load({"DATA_DIR": str(tmp_path)}, ROOT / "none")
    with pytest.raises(SettingsError, match=r"webhook\.secrets must hold"):
        Stack(settings)._webhook_secrets()


def test_secrets_are_256_random_bits() -> None:
    assert len({webhook_secrets.make() for _ in range(100)}) == 100
