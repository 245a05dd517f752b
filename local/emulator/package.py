"""Builds the zip of the functions' source, with bytecode, so that a new process need not compile it."""

import hashlib
import importlib.util
import os
import tempfile
import zipfile
from pathlib import Path


def build(source: Path, folder: Path) -> Path:
    """Return the zip of `source` in `folder`, named by a hash of its content; an existing one is reused.

    It has no dependencies in it: the function processes run on this interpreter and find them in its environment.
    """
    files = sorted(p for p in source.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    digest = hashlib.sha256(importlib.util.MAGIC_NUMBER)
    for path in files:
        digest.update(path.relative_to(source).as_posix().encode() + b"\0" + path.read_bytes())
    target = folder / f"{digest.hexdigest()[:32]}.zip"
    if target.is_file():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.zip"):
        old.unlink()
    handle, partial = tempfile.mkstemp(dir=folder, suffix=".part")
    with os.fdopen(handle, "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for path in files:
            name = path.relative_to(source.parent)
            archive.write(path, name.as_posix())
            if path.suffix == ".py":
                cached = Path(importlib.util.cache_from_source(str(name)))
                archive.writestr(cached.as_posix(), bytecode(path, name.as_posix()))
    Path(partial).replace(target)
    return target


def bytecode(path: Path, name: str) -> bytes:
    """Return the compiled module, marked as valid for any date of its source, which unzipping sets to now."""
    import importlib._bootstrap_external as external

    source = path.read_bytes()
    code = compile(source, name, "exec", dont_inherit=True)
    return bytes(external._code_to_hash_pyc(code, importlib.util.source_hash(source), checked=False))  # type: ignore[attr-defined]
