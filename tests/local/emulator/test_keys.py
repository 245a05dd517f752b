"""The credentials of a data folder: random, persistent, readable by the owner alone."""

import os
import stat
import sys
from pathlib import Path

import pytest

from local import settings
from local.emulator import keys
from local.settings import ROOT
from local.stack import Stack

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_they_are_made_once_for_each_folder(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    made = keys.kept(tmp_path / "a")
    assert keys.kept(tmp_path / "a") == made
    assert keys.kept(tmp_path / "b").secret != made.secret
    assert keys.kept(tmp_path / "b").access_key_id != made.access_key_id
    assert len(made.secret) >= 40
    assert "test" not in (made.access_key_id, made.secret)


@posix
def test_only_the_owner_reads_them(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        keys.kept(tmp_path)
    finally:
        os.umask(before)
    assert mode(tmp_path / keys.FILE) == 0o600


def test_a_function_has_its_own_that_nobody_can_compute() -> None:
    one, other = keys.Keys("AKIA", "x" * 43), keys.Keys("AKIA", "y" * 43)
    a, b = "arn:aws:lambda:us-east-1:000000000000:function:a", "arn:aws:iam::000000000000:role/r"
    assert one.of_function(a, b) == one.of_function(a, b)
    assert not set(one.of_function(a, b)) & set(one.of_function(b, a))
    assert not set(one.of_function(a, b)) & set(other.of_function(a, b))
    assert one.word not in one.of_function(a, b)


@pytest.mark.parametrize("content", ["", "[default]\naws_access_key_id = AKIA\n", "\x00", "[default]\n" * 2])
def test_a_broken_file_is_said_in_a_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / keys.FILE).write_text(content, "utf-8")
    with pytest.raises(ValueError, match=r"must hold aws_access_key_id and aws_secret_access_key; delete it"):
        keys.kept(tmp_path)


def test_a_known_pair_put_there_by_hand_is_refused(tmp_path: Path) -> None:
    (tmp_path / keys.FILE).write_text("[default]\naws_access_key_id = test\naws_secret_access_key = test\n", "utf-8")
    with pytest.raises(ValueError, match="too short"):
        keys.kept(tmp_path)


@posix
@pytest.mark.parametrize("there", [True, False])
def test_the_data_folder_is_its_owners_alone(tmp_path: Path, there: bool) -> None:
    folder = tmp_path / "x" / "data"
    if there:
        folder.mkdir(parents=True)
        folder.chmod(0o755)
    keys.private_folder(folder)
    assert mode(folder) == 0o700


@posix
def test_a_folder_that_users_share_is_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with pytest.raises(settings.SettingsError, match="a folder of your own"):
        Stack(settings.load({"APP_PORT": "0", "DATA_DIR": str(tmp_path)}, ROOT / "none")).start()
    assert mode(tmp_path) == 0o1777
