"""Where weights are looked for, in which order, and that a half copy is never taken for a whole one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from gpu_worker.models import old_weights
from gpu_worker.models.old_weights import COMPLETE
from gpu_worker.models.weights import PACKAGE, Missing, Sources, fetch, main, needed
from gpu_worker.pipelines.table import BACKGROUND, MODELS, SCENES, SEGMENTERS, TURBO, Weights

MODEL = Weights("m-1", repo="some/model", revision="1" * 40, files=("model_index.json", "unet/*"))
BUCKET = "weights"
URI = f"s3://{BUCKET}/some/prefix"


class Hub:
    """A hub that has every model."""

    def __init__(self, whole: bool = True) -> None:
        self.asked: list[str] = []
        self.whole = whole

    def __call__(self, weights: Weights, into: Path) -> None:
        self.asked.append(weights.folder)
        (into / "unet").mkdir(parents=True, exist_ok=True)
        (into / "unet" / "w.safetensors").write_text("hub", "utf-8")
        if self.whole:
            (into / weights.proof).write_text("hub", "utf-8")


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield client


def sources(tmp_path: Path, hub: Hub | None = None, uri: str = "", client: Any = None) -> Sources:
    return Sources(
        tmp_path / "model",
        tmp_path / "cache",
        uri,
        hub=hub is not None,
        client=lambda: client,
        download=hub or Hub(),
    )


def put(folder: Path, text: str) -> None:
    folder.mkdir(parents=True)
    (folder / MODEL.proof).write_text(text, "utf-8")


def test_the_model_directory_goes_before_everything(tmp_path: Path, s3: Any) -> None:
    put(tmp_path / "model" / MODEL.folder, "local")
    hub = Hub()
    found = sources(tmp_path, hub, URI, s3).find(MODEL)
    assert (found / MODEL.proof).read_text("utf-8") == "local"
    assert hub.asked == []


def test_s3_goes_before_the_hub_and_is_asked_once(tmp_path: Path, s3: Any) -> None:
    hub = Hub()
    assert sources(tmp_path / "stage", hub, URI, s3).stage(MODEL)
    other = Hub()
    places = sources(tmp_path, other, URI, s3)
    found = places.find(MODEL)
    assert (found / "unet" / "w.safetensors").read_text("utf-8") == "hub"
    assert not other.asked
    s3.delete_object(Bucket=BUCKET, Key=f"some/prefix/{MODEL.folder}/{COMPLETE}")
    assert places.find(MODEL) == found


def test_half_a_copy_in_s3_is_not_taken(tmp_path: Path, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key=f"some/prefix/{MODEL.folder}/{MODEL.proof}", Body=b"half")
    with pytest.raises(Missing):
        sources(tmp_path, None, URI, s3).find(MODEL)
    assert (sources(tmp_path, Hub(), URI, s3).find(MODEL) / MODEL.proof).read_text("utf-8") == "hub"


def test_a_file_that_comes_in_short_is_not_taken(tmp_path: Path, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sources(tmp_path / "stage", Hub(), URI, s3).stage(MODEL)
    monkeypatch.setattr(s3, "download_file", lambda _bucket, _key, path: Path(path).write_text("", "utf-8"))
    with pytest.raises(Missing):
        sources(tmp_path, None, URI, s3).find(MODEL)
    assert not (tmp_path / "cache" / MODEL.folder).exists()


def test_the_hub_is_asked_last_and_once(tmp_path: Path, s3: Any) -> None:
    hub = Hub()
    places = sources(tmp_path, hub, URI, s3)
    assert places.find(MODEL) == places.find(MODEL) == tmp_path / "cache" / MODEL.folder
    assert hub.asked == [MODEL.folder]


def test_half_a_download_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises(Missing):
        sources(tmp_path, Hub(whole=False)).find(MODEL)
    assert (sources(tmp_path, Hub()).find(MODEL) / MODEL.proof).is_file()


def test_without_the_hub_it_is_said_where_was_looked(tmp_path: Path, s3: Any) -> None:
    with pytest.raises(Missing, match=r"model/m-1 or s3://weights/some/prefix/m-1"):
        sources(tmp_path, None, URI, s3).find(MODEL)


def test_staging_sends_only_what_is_not_there(tmp_path: Path, s3: Any) -> None:
    places = sources(tmp_path, Hub(), URI, s3)
    assert [places.stage(MODEL), places.stage(MODEL)] == [True, False]
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    start = f"some/prefix/{MODEL.folder}/"
    assert keys == [start + name for name in (COMPLETE, MODEL.proof, "unet/w.safetensors")]


@pytest.mark.parametrize("right", [False, True])
def test_a_single_file_must_have_the_tables_checksum(right: bool, tmp_path: Path) -> None:
    origin = tmp_path / "origin" / "u2.onnx"
    origin.parent.mkdir()
    origin.write_bytes(b"onnx")
    digest = hashlib.sha256(b"onnx" if right else b"other").hexdigest()
    weights = Weights("u2", url=origin.as_uri(), sha256=digest)
    if right:
        fetch(weights, tmp_path / "got")
        assert (tmp_path / "got" / "u2.onnx").read_bytes() == b"onnx"
    else:
        with pytest.raises(Missing, match="SHA-256"):
            fetch(weights, tmp_path / "got")
        assert not (tmp_path / "got" / "u2.onnx").exists()


def test_the_command_stages_what_the_models_need(
    tmp_path: Path, s3: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(Sources, "stage", lambda _self, weights: sent.append(weights.folder) or True)
    assert main(["stage", URI, BACKGROUND.id, "--segmenter", "u2netp", "--cache", str(tmp_path)]) == 0
    assert sent == [w.folder for w in needed([BACKGROUND.id], "u2netp")]
    assert sent[0] == BACKGROUND.weights.folder
    assert sent[-1].startswith("u2netp")
    assert BACKGROUND.licence in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["stage", "bucket"], ["stage", URI, "unknown/model"], ["unstage", URI]])
def test_the_command_refuses_what_it_does_not_know(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2


def stood(s3: Any, *keys: str) -> None:
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"old")


def keys_of(s3: Any) -> set[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return {item["Key"] for page in pages for item in page.get("Contents", ())}


HERE, BEFORE, OTHER = "weights/0123456789ab", "weights/ba9876543210", "weights/notes"
OLD = [f"{BEFORE}/sdxl-turbo-00000000/{name}" for name in (COMPLETE, "model_index.json", "unet/w.safetensors")]
GONE = [f"{HERE}/gone-00000000/{name}" for name in (COMPLETE, "w.safetensors")]
KEPT = [
    f"{HERE}/{TURBO.weights.folder}/{COMPLETE}",  # the table names it
    f"{HERE}/{SEGMENTERS['isnet'].weights.folder}/{COMPLETE}",  # also where this deployment does not use it
    f"{HERE}/half-00000000/w.safetensors",  # never staged as a whole: somebody may be about to
    f"{BEFORE}/half-00000000/w.safetensors",
    f"{BEFORE}/{COMPLETE}",
    f"{OTHER}/mine/{COMPLETE}",
    f"{OTHER}/{COMPLETE}",
    "images/ba9876543210/mine/.complete",
    "weights",
]


@pytest.mark.parametrize("prune", [False, True])
def test_old_weights_are_listed_and_only_removed_when_asked_for(
    prune: bool, tmp_path: Path, s3: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Sources, "stage", lambda _self, _weights: False)
    stood(s3, *OLD, *GONE, *KEPT)
    words = ["stage", f"s3://{BUCKET}/{HERE}", TURBO.id, "--cache", str(tmp_path)]
    assert main([*words, "--prune"] if prune else words) == 0
    said = capsys.readouterr().out
    assert said.count("removed") == (2 if prune else 0)
    assert said.count("--prune") == (0 if prune else 2)
    assert [line.partition(":")[0] for line in said.splitlines() if "GB" in line] == [
        f"{HERE}/gone-00000000/",
        f"{BEFORE}/sdxl-turbo-00000000/",
    ]
    assert keys_of(s3) == {*KEPT, *([] if prune else [*OLD, *GONE])}


def test_a_target_of_one_s_own_is_looked_through_alone(s3: Any) -> None:
    stood(s3, "some/prefix/old-1/.complete", "some/prefix/new-1/.complete", "some/other/old-1/.complete", ".complete")
    stood(s3, "some/prefix/half-1/w.safetensors")
    old = old_weights.found(s3, URI, ["new-1"])
    assert [(one.prefix, one.size) for one in old] == [("some/prefix/old-1/", 3)]


def test_many_files_are_removed_and_the_mark_first(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stood(s3, *(f"some/prefix/old-1/{n}" for n in range(5)), "some/prefix/old-1/.complete")
    monkeypatch.setattr(old_weights, "MAX_KEYS", 2)
    calls: list[list[str]] = []
    plain = s3.delete_objects

    def delete(**options: Any) -> Any:
        calls.append([one["Key"] for one in options["Delete"]["Objects"]])
        return plain(**options)

    monkeypatch.setattr(s3, "delete_objects", delete)
    [old] = old_weights.found(s3, URI, [])
    old_weights.remove(s3, URI, old)
    assert calls[0] == ["some/prefix/old-1/.complete"]
    assert [len(keys) for keys in calls] == [1, 2, 2, 1]
    assert keys_of(s3) == set()


def test_s3_is_handed_no_more_keys_at_once_than_it_takes(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(s3, "delete_objects", lambda **options: calls.append(len(options["Delete"]["Objects"])) or {})
    old = old_weights.Old("old-1/", ("old-1/.complete", *(f"old-1/{n}" for n in range(2500))), 0)
    old_weights.remove(s3, URI, old)
    assert calls == [1, 1000, 1000, 500]


def test_what_s3_does_not_delete_is_told(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stood(s3, "some/prefix/old-1/.complete")
    refused = {"Errors": [{"Key": "some/prefix/old-1/.complete", "Code": "AccessDenied"}]}
    monkeypatch.setattr(s3, "delete_objects", lambda **_: refused)
    with pytest.raises(RuntimeError, match="AccessDenied"):
        old_weights.remove(s3, URI, old_weights.found(s3, URI, [])[0])


def test_a_segmenter_is_needed_for_backgrounds_only() -> None:
    assert not any("birefnet" in w.folder for w in needed([TURBO.id], "birefnet"))
    assert any("birefnet" in w.folder for w in needed([BACKGROUND.id], "birefnet"))
    assert len(needed([TURBO.id, BACKGROUND.id], "birefnet")) == 5


SHIPPED = Weights("m-2", files=(MODEL.proof,), shipped="models/weights")


def test_what_the_package_ships_is_taken_from_it_before_anywhere_else(tmp_path: Path) -> None:
    places = replace(sources(tmp_path, Hub()), package=tmp_path / "package")
    put(tmp_path / "model" / SHIPPED.folder, "local")
    assert places.find(SHIPPED) == tmp_path / "model" / SHIPPED.folder
    put(tmp_path / "package" / SHIPPED.shipped, "shipped")
    assert places.find(SHIPPED) == tmp_path / "package" / SHIPPED.shipped


def test_what_the_package_should_ship_is_not_looked_for_in_s3_or_at_the_hub(tmp_path: Path, s3: Any) -> None:
    hub = Hub()
    s3.put_object(Bucket=BUCKET, Key=f"some/prefix/{SHIPPED.folder}/{COMPLETE}", Body=b"")
    places = replace(sources(tmp_path, hub, URI, s3), package=tmp_path / "package")
    with pytest.raises(Missing, match=r"no model_index.json in .*package/models/weights or .*model/m-2"):
        places.find(SHIPPED)
    assert hub.asked == []


@pytest.mark.usefixtures("s3")
def test_what_the_package_ships_is_not_staged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not any(weights.shipped for weights in needed(list(MODELS), "birefnet"))
    sent: list[str] = []
    monkeypatch.setattr(Sources, "stage", lambda _self, weights: sent.append(weights.folder) or True)
    assert main(["stage", URI, SCENES.id, "--cache", str(tmp_path)]) == 0
    assert sent == []
    assert SCENES.licence in capsys.readouterr().out


def test_the_worker_of_the_image_has_what_it_ships() -> None:
    assert PACKAGE.name == "gpu_worker"
    assert "COPY gpu_worker/ gpu_worker/" in (PACKAGE / "Dockerfile").read_text("utf-8")
    assert Sources(Path("a"), Path("b")).package == PACKAGE
