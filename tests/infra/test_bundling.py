"""The package that Lambda gets: for its machine, with byte code it will use, and with nothing it does not need."""

from __future__ import annotations

import importlib.util
import marshal
import shutil
import sys

import pytest

from infra import bundling


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    target = tmp_path_factory.mktemp("package")
    bundling.bundle(target, sys.executable)
    return target


def test_dependencies_are_for_the_lambda_machine(package):
    libraries = [path.name for path in package.rglob("*.so")]
    assert libraries
    assert all("cpython-313-aarch64" in name or "abi3" in name for name in libraries if ".cpython" in name)
    assert not any("x86_64" in name for name in libraries)
    assert {"aws_lambda_powertools", "pydantic", "PIL"} <= {path.name for path in package.iterdir()}


def test_what_the_runtime_has_is_left_out(package):
    assert not {"boto3", "botocore", "bin"} & {path.name for path in package.iterdir()}


def test_the_source_is_there_under_its_import_path(package):
    assert (package / "lambdas" / "settings.py").exists()
    assert not (package / "lambdas" / "requirements.txt").exists()
    assert not (package / "tests").exists()


def test_byte_code_is_taken_without_a_look_at_file_times(package):
    compiled = package / "lambdas" / "__pycache__" / f"settings.{sys.implementation.cache_tag}.pyc"
    content = compiled.read_bytes()
    assert content[:4] == importlib.util.MAGIC_NUMBER
    assert int.from_bytes(content[4:8], "little") == 0b01  # by hash, and not checked
    assert marshal.loads(content[16:]).co_filename == "/var/task/lambdas/settings.py"
    tags = {path.name.split(".")[-2] for path in package.rglob("*.pyc")}
    assert tags == {sys.implementation.cache_tag}


def test_without_the_runtime_it_says_that_cold_starts_will_be_slow(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bundling, "install", lambda target: None)
    bundling.bundle(tmp_path, None)
    assert not list(tmp_path.rglob("*.pyc"))
    assert "cold starts will take about twice as long" in capsys.readouterr().err


def test_an_interpreter_that_does_not_run_is_not_taken(tmp_path, monkeypatch):
    shim = tmp_path / "python3.13"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    expected = sys.executable if sys.version_info[:2] == (3, 13) else None
    assert bundling.runtime_interpreter() == expected
    shim.write_text("#!/bin/sh\necho 3.13\n")
    assert bundling.runtime_interpreter() == (expected or str(shim))


def test_the_name_of_the_package_follows_its_content(tmp_path, monkeypatch):
    source = tmp_path / "lambdas"
    shutil.copytree(bundling.SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(bundling, "SOURCE", source)
    before = bundling.source_hash(compiled=True)
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "left.pyc").write_bytes(b"over")
    assert bundling.source_hash(compiled=True) == before
    assert bundling.source_hash(compiled=False) != before
    (source / "requirements.txt").write_text("pydantic==2.14.3\n")
    assert bundling.source_hash(compiled=True) != before
