"""Adapters by name: what they change, that they leave nothing behind, and which names are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gpu_worker.contract import Refusal
from gpu_worker.engine.protocol import DeviceLost, OutOfMemory
from gpu_worker.pipelines.adapters import Folder, parse
from gpu_worker.pipelines.batch import Item, Run


def write(path: Path, seed: int, inside: int = 32) -> None:
    """An adapter for one attention layer of the tiny UNet."""
    generator = torch.Generator().manual_seed(seed)
    layer = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    path.parent.mkdir(exist_ok=True)
    save_file(
        {
            f"{layer}.lora_A.weight": torch.randn(4, inside, generator=generator),
            f"{layer}.lora_B.weight": torch.randn(32, 4, generator=generator),
        },
        str(path),
    )


@pytest.fixture
def loras(tmp_path: Path) -> Path:
    write(tmp_path / "l" / "ink.v1.safetensors", 1)
    write(tmp_path / "l" / "oil.safetensors", 2)
    write(tmp_path / "l" / "wrong.safetensors", 3, inside=48)
    return tmp_path / "l"


def painted(sampler: Any, *adapters: tuple[str, float]) -> Any:
    run = Run("text-to-image", 64, 64, 2, 0.0, 1, adapters)
    return sampler.paint(run, [Item("cat", None, 5)], 2, lambda: None)[0]


def test_an_adapter_changes_the_image_and_leaves_nothing_behind(new_sampler: Any, loras: Path) -> None:
    made = new_sampler(loras=loras)
    plain, ink = painted(made), painted(made, ("ink.v1", 1.0))
    oil, both = painted(made, ("oil", 1.0)), painted(made, ("ink.v1", 1.0), ("oil", 1.0))
    faint = painted(made, ("ink.v1", 0.1))
    different = [plain, ink, oil, both, faint]
    assert len({image.tobytes() for image in different}) == len(different)
    assert np.array_equal(painted(made), plain)
    assert np.array_equal(painted(made, ("ink.v1", 1.0)), ink)


def test_an_adapter_that_does_not_fit_is_refused_and_the_model_goes_on(new_sampler: Any, loras: Path) -> None:
    made = new_sampler(loras=loras)
    plain = painted(made)
    with pytest.raises(Refusal) as refused:
        painted(made, ("wrong", 1.0))
    assert refused.value.code == "unknown_model"
    assert np.array_equal(painted(made), plain)
    assert not np.array_equal(painted(made, ("oil", 1.0)), plain)


def test_an_adapter_of_which_a_part_or_nothing_fits_is_refused_and_the_model_goes_on(
    new_sampler: Any, loras: Path
) -> None:
    other = "unet.single_transformer_blocks.3.attn.to_q"  # of another family of models
    there = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    for name, layers in (("other", [other]), ("half", [there, other]), ("bare", [])):
        parts: dict[str, Any] = {}
        for layer in layers:
            parts |= {f"{layer}.lora_A.weight": torch.ones(4, 32), f"{layer}.lora_B.weight": torch.ones(32, 4)}
        save_file(parts, str(loras / f"{name}.safetensors"))
    (loras / "no.safetensors").write_bytes(b"hello")
    made = new_sampler(loras=loras)
    plain = painted(made)
    for name in ("other", "half", "bare", "no", "other"):
        with pytest.raises(Refusal, match="does not fit") as refused:
            painted(made, (name, 1.0))
        assert refused.value.code == "unknown_model"
        assert np.array_equal(painted(made), plain)
    assert not np.array_equal(painted(made, ("oil", 1.0)), plain)


@pytest.mark.parametrize(
    ("said", "kind"),
    [("CUDA out of memory. Tried to allocate 20 MiB", OutOfMemory), ("CUDA error: unknown error", DeviceLost)],
)
def test_a_fault_of_the_device_is_not_taken_for_the_file_s(
    said: str, kind: type[Exception], new_sampler: Any, loras: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = new_sampler(loras=loras)

    def load(*_: Any, **__: Any) -> None:
        raise RuntimeError(said)

    monkeypatch.setattr(made._parts.any, "load_lora_weights", load)
    with pytest.raises(kind):
        painted(made, ("oil", 1.0))
    monkeypatch.undo()
    assert painted(made, ("oil", 1.0)).shape == (64, 64, 3)


def test_the_names_are_the_files_of_the_folder(loras: Path, tmp_path: Path) -> None:
    assert Folder(loras).names() == ["ink.v1", "oil", "wrong"]
    assert Folder(tmp_path / "none").names() == []


@pytest.mark.parametrize("name", ["../oil", "absent", "oil.safetensors"])
def test_an_unknown_name_is_refused(name: str, loras: Path) -> None:
    with pytest.raises(Refusal):
        Folder(loras).file(name)


@pytest.mark.parametrize(
    ("asked", "base", "chosen"),
    [
        ("m/x", "m/x", ()),
        ("m/x+ink", "m/x", (("ink", 1.0),)),
        ("m/x+ink:0.5+oil", "m/x", (("ink", 0.5), ("oil", 1.0))),
        ("m/x+ink:.25+oil:2.000", "m/x", (("ink", 0.25), ("oil", 2.0))),
    ],
)
def test_a_model_may_be_asked_for_with_adapters(asked: str, base: str, chosen: object) -> None:
    assert parse(asked) == (base, chosen)


@pytest.mark.parametrize(
    "asked",
    [
        *("m+", "m+../x", "m+..", "m+a/b", "m+a\\b", "m+.a", "m+a\0", "m+" + "a" * 65, "m+a+a", "m+a+b+c+d"),
        *(
            "m+a:",
            "m+a:0",
            "m+a:2.5",
            "m+a:-1",
            "m+a:+1",
            "m+a:1e0",
            "m+a:0_1",
            "m+a: 1",
            "m+a:1 ",
            "m+a:1\n",
            "m+a:1:1",
        ),
        *("m+a:inf", "m+a:nan", "m+a:x", "m+a:0.00", "m+a:\u0661", "m+a:1." + "0" * 99),
    ],
)
def test_what_is_no_adapter_is_refused(asked: str) -> None:
    with pytest.raises(Refusal):
        parse(asked)
