"""The Lambda package: for Lambda's platform, with usable byte code, and nothing unneeded."""

from __future__ import annotations

import importlib.util
import marshal
import re
import shutil
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from infra import bundling, lock
from infra.build import ROOT


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("package")
    bundling.bundle(target, sys.executable)
    return target


def test_dependencies_are_for_the_lambda_machine(package: Path) -> None:
    libraries = [path.name for path in package.rglob("*.so")]
    assert libraries
    assert all("cpython-313-aarch64" in name or "abi3" in name for name in libraries if ".cpython" in name)
    assert not any("x86_64" in name for name in libraries)
    assert {"aws_lambda_powertools", "pydantic", "PIL"} <= {path.name for path in package.iterdir()}


def test_what_the_runtime_has_is_left_out(package: Path) -> None:
    assert not {"boto3", "botocore", "bin"} & {path.name for path in package.iterdir()}


def test_the_source_is_there_under_its_import_path(package: Path) -> None:
    assert (package / "lambdas" / "settings.py").exists()
    assert not list((package / "lambdas").glob("requirements.*"))
    assert not (package / "tests").exists()
    assert not list(package.rglob("models_check*"))


def test_byte_code_is_taken_without_a_look_at_file_times(package: Path) -> None:
    compiled = package / "lambdas" / "__pycache__" / f"settings.{sys.implementation.cache_tag}.pyc"
    content = compiled.read_bytes()
    assert content[:4] == importlib.util.MAGIC_NUMBER
    assert int.from_bytes(content[4:8], "little") == 0b01  # by hash, and not checked
    assert marshal.loads(content[16:]).co_filename == "/var/task/lambdas/settings.py"
    tags = {path.name.split(".")[-2] for path in package.rglob("*.pyc")}
    assert tags == {sys.implementation.cache_tag}


def test_without_the_runtime_it_says_that_cold_starts_will_be_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bundling, "install", lambda target: None)
    bundling.bundle(tmp_path, None)
    assert not list(tmp_path.rglob("*.pyc"))
    assert "cold starts will take about twice as long" in capsys.readouterr().err


def test_an_interpreter_that_does_not_run_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shim = tmp_path / "python3.13"
    shim.write_text("#!/bin/sh\nexit 127\n", "utf-8")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    expected = sys.executable if sys.version_info[:2] == (3, 13) else None
    assert bundling.runtime_interpreter() == expected
    shim.write_text("#!/bin/sh\necho 3.13\n", "utf-8")
    assert bundling.runtime_interpreter() == (expected or str(shim))


def test_the_name_of_the_package_follows_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "lambdas"
    shutil.copytree(bundling.SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(bundling, "SOURCE", source)
    before = bundling.source_hash(compiled=True)
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "left.pyc").write_bytes(b"over")
    assert bundling.source_hash(compiled=True) == before
    assert bundling.source_hash(compiled=False) != before
    (source / "requirements.txt").write_text("pydantic==2.14.3\n", "utf-8")
    assert bundling.source_hash(compiled=True) != before


def test_the_name_of_the_package_follows_each_wheel_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "lambdas"
    shutil.copytree(bundling.SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(bundling, "SOURCE", source)
    before = bundling.source_hash(compiled=True)
    lock = source / bundling.LOCK.name
    lock.write_text(lock.read_text("utf-8").replace("sha256:0", "sha256:1").replace("sha256:f", "sha256:0"), "utf-8")
    assert bundling.source_hash(compiled=True) != before


def locked() -> dict[str, str]:
    """Name to version of all that the lock holds."""
    lines = [line for line in bundling.LOCK.read_text("utf-8").splitlines() if not line.startswith("#")]
    found = [re.fullmatch(r"(\S+)==(\S+) --hash=sha256:[0-9a-f]{64}", line) for line in lines]
    assert all(found), "each is pinned, to one wheel"
    return {canonicalize_name(line[1]): line[2] for line in found if line}


def pinned(file: Path) -> dict[str, str]:
    lines = [line.partition("#")[0].strip() for line in file.read_text("utf-8").splitlines()]
    requirements = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return {canonicalize_name(r.name): next(iter(r.specifier)).version for r in requirements}


def test_the_lock_holds_what_is_required_and_what_that_requires_and_nothing_else() -> None:
    """At the versions that are tested. Written anew by `python -m infra.lock`."""
    wanted = pinned(bundling.SOURCE / "requirements.txt")
    reached, left = set(), list(wanted)
    machine = {"python_version": bundling.RUNTIME, "sys_platform": "linux", "platform_machine": "aarch64", "extra": ""}
    while left:
        name = left.pop()
        if name not in reached:
            reached.add(name)
            for requirement in map(Requirement, metadata.requires(name) or ()):
                if requirement.marker is None or requirement.marker.evaluate(machine):
                    left.append(canonicalize_name(requirement.name))
    assert set(locked()) == reached
    constraints = pinned(ROOT / "constraints.txt")
    assert locked() == {name: wanted.get(name, constraints.get(name)) for name in reached}


def test_pip_takes_nothing_that_is_not_in_the_lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    words = []
    monkeypatch.setattr(bundling, "_run", lambda *command: words.extend(command))
    bundling.install(tmp_path)
    assert {"--require-hashes", "--no-deps", str(bundling.LOCK)} <= set(words)


def test_the_lock_is_what_pip_reports() -> None:
    wheel = {"metadata": {"name": "B", "version": "2"}, "download_info": {"archive_info": {"hashes": {"sha256": "0f"}}}}
    other = {"metadata": {"name": "a", "version": "1"}, "download_info": {"archive_info": {"hashes": {"sha256": "1e"}}}}
    assert lock.text_of({"install": [wheel, other]}).splitlines()[1:] == [
        "a==1 --hash=sha256:1e",
        "b==2 --hash=sha256:0f",
    ]


def test_two_packages_of_the_same_source_are_the_same_to_the_byte(package: Path, tmp_path: Path) -> None:
    bundling.bundle(tmp_path, sys.executable)

    def content(folder: Path) -> dict[str, bytes]:
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    first, second = content(package), content(tmp_path)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
