"""Finds a model's files in this package, the model directory, S3 or the hub, and uploads them to S3."""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import shutil
import sys
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_worker.models import old_weights
from gpu_worker.models.old_weights import COMPLETE
from gpu_worker.pipelines.table import MODELS, SEGMENTERS, Weights

log = logging.getLogger(__name__)

PACKAGE = Path(__file__).parent.parent


class Missing(Exception):
    """A model's files cannot be found or are not the expected ones; the message gives the places."""


def fetch(weights: Weights, into: Path) -> None:
    """Download from the hub, or one file from its URL. Raises Missing if its SHA-256 differs from the table's."""
    if weights.repo:
        from huggingface_hub import snapshot_download

        snapshot_download(
            weights.repo, revision=weights.revision, allow_patterns=list(weights.files), local_dir=str(into)
        )
        shutil.rmtree(into / ".cache", ignore_errors=True)
        return
    into.mkdir(parents=True, exist_ok=True)
    target, digest = into / weights.proof, hashlib.sha256()
    with urllib.request.urlopen(weights.url, timeout=60) as answer, target.open("wb") as out:  # noqa: S310 - the table's
        while block := answer.read(1 << 20):
            digest.update(block)
            out.write(block)
    if digest.hexdigest() != weights.sha256:
        target.unlink()
        raise Missing(f"{weights.url} is not the file that the table names: its SHA-256 differs")


@dataclass(frozen=True, slots=True)
class Sources:
    """The places in search order. `s3` is `s3://bucket/prefix` or empty; `hub` allows downloads."""

    local: Path
    cache: Path
    s3: str = ""
    hub: bool = True
    client: Callable[[], Any] | None = None
    download: Callable[[Weights, Path], None] = fetch
    package: Path = PACKAGE

    def find(self, weights: Weights) -> Path:
        """Return the folder with the files; shipped ones are in the package, else in `local`. Raises Missing."""
        if weights.shipped:
            places = (self.package / weights.shipped, self.local / weights.folder)
            if found := next((place for place in places if (place / weights.proof).is_file()), None):
                return found
            raise Missing(f"no {weights.proof} in {' or '.join(map(str, places))}")
        cached = self.cache / weights.folder
        if (self.local / weights.folder / weights.proof).is_file():
            return self.local / weights.folder
        if (cached / COMPLETE).is_file():
            return cached
        if self.s3 and self._from_s3(weights, cached):
            return cached
        if self.hub:
            return self._from_hub(weights, cached)
        looked = [str(self.local / weights.folder), *([f"{self.s3}/{weights.folder}"] if self.s3 else [])]
        raise Missing(f"no {weights.folder} in {' or '.join(looked)}, and the hub is not allowed")

    def stage(self, weights: Weights) -> bool:
        """Upload the files to S3, unless they are there. Returns whether anything was uploaded."""
        bucket, prefix = self._place(weights)
        s3 = self._s3()
        if f"{prefix}{COMPLETE}" in self._listed(s3, bucket, prefix):
            return False
        folder = Sources(self.local, self.cache, hub=True, download=self.download).find(weights)
        files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != COMPLETE)
        for path in files:
            s3.upload_file(str(path), bucket, prefix + path.relative_to(folder).as_posix())
        s3.put_object(Bucket=bucket, Key=prefix + COMPLETE, Body=b"")
        return True

    def _from_s3(self, weights: Weights, target: Path) -> bool:
        bucket, prefix = self._place(weights)
        s3 = self._s3()
        sizes = self._listed(s3, bucket, prefix)
        if f"{prefix}{COMPLETE}" not in sizes:
            return False
        part = self._part(target)
        for key, size in sizes.items():
            path = part / key.removeprefix(prefix)
            path.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, key, str(path))
            if path.stat().st_size != size:
                raise Missing(f"s3://{bucket}/{key} came in short")
        part.replace(target)
        return True

    def _from_hub(self, weights: Weights, target: Path) -> Path:
        part = self._part(target)
        self.download(weights, part)
        if not (part / weights.proof).is_file():
            raise Missing(f"{weights.repo or weights.url} has no {weights.proof}")
        (part / COMPLETE).touch()
        part.replace(target)
        return target

    @staticmethod
    def _part(target: Path) -> Path:
        part = target.with_name(target.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        return part

    def _place(self, weights: Weights) -> tuple[str, str]:
        bucket, _, prefix = self.s3.removeprefix("s3://").partition("/")
        return bucket, "/".join(p for p in (prefix.strip("/"), weights.folder) if p) + "/"

    def _s3(self) -> Any:
        if self.client is not None:
            return self.client()
        import boto3

        return boto3.client("s3")

    @staticmethod
    def _listed(s3: Any, bucket: str, prefix: str) -> dict[str, int]:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", ())}


def needed(model_ids: Sequence[str], segmenter: str) -> list[Weights]:
    """Return the weights of the models with their small decoders, and of the segmenter if one paints backgrounds.

    Weights that the package ships are left out.
    """
    specs = [MODELS[model_id] for model_id in model_ids]
    found = [w for spec in specs for w in (spec.weights, spec.vae, spec.tiny) if w is not None and not w.shipped]
    if any("background" in spec.tasks for spec in specs):
        found.append(SEGMENTERS[segmenter].weights)
    return list(dict.fromkeys(found))


def _tell_old(sources: Sources, prune: bool) -> None:
    """List the weights in S3 that the table does not name, of any model or segmenter; remove them if `prune`."""
    s3 = sources._s3()
    named = {weights.folder for segmenter in SEGMENTERS for weights in needed(list(MODELS), segmenter)}
    for old in old_weights.found(s3, sources.s3, named):
        if prune:
            old_weights.remove(s3, sources.s3, old)
        said = "removed" if prune else "not in the table any more; --prune removes it"
        sys.stdout.write(f"{old.prefix}: {old.size / 1e9:.1f} GB, {said}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m gpu_worker.models.weights stage s3://bucket/prefix [model ...]`."""
    parser = argparse.ArgumentParser(prog="gpu_worker.models.weights", description="Put the weights of models into S3.")
    parser.add_argument("verb", choices=["stage"])
    parser.add_argument("target", help="s3://bucket/prefix, the WEIGHTS_S3_URI of the worker")
    parser.add_argument("models", nargs="*", help=f"of: {', '.join(MODELS)}; all of them if none is named")
    parser.add_argument("--segmenter", choices=sorted(SEGMENTERS), default="birefnet")
    parser.add_argument("--prune", action="store_true", help="remove the weights there that the table names no more")
    parser.add_argument("--cache", type=Path, default=Path(os.environ.get("WEIGHTS_DIR") or "build/weights"))
    chosen = parser.parse_args(arguments)
    if not chosen.target.startswith("s3://") or (unknown := sorted(set(chosen.models) - set(MODELS))):
        parser.error("the target must begin with s3://" if not chosen.target.startswith("s3://") else unknown[0])
    sources = Sources(local=chosen.cache, cache=chosen.cache, s3=chosen.target)
    for weights in needed(chosen.models or list(MODELS), chosen.segmenter):
        sent = sources.stage(weights)
        sys.stdout.write(f"{weights.folder}: {'sent' if sent else 'was there'}\n")
    _tell_old(sources, chosen.prune)
    for spec in (MODELS[m] for m in chosen.models or MODELS):
        sys.stdout.write(f"{spec.id}: {spec.licence}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
