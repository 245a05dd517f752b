"""The small model without torch: tokens, sampling and picture equal those of the diffusers pipeline."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from transformers import CLIPTokenizer

from gpu_worker.scenes.export import export
from gpu_worker.scenes.scene import random_scene
from lambdas.providers.demo.scene_words import Words
from lambdas.providers.demo.scenes import Scenes
from tests.gpu_worker.scenes import random_scenes

LINES = [
    "",
    " \t\n ",
    "A RED Circle",
    "a  red\u00a0circle\u3000on\x85white\x1cnow",
    "caf\u00e9 cafe\u0301 \u00c5ngstr\u00f6m A\u030angstr\u00f6m na\u00efve \ufb01n",
    "\u0130stanbul STRASSE stra\u00dfe \u1e9e \u039f\u0394\u039f\u03a3 \u03a3",
    "\u4e00\u4e8c\u4e09 \u7ea2\u8272\u7684\u5706 \ud55c\uad6d\uc5b4",
    "\u0e44\u0e17\u0e22 \u0939\u093f\u0928\u094d\u0926\u0940 \u05e9\u05dc\u05d5\u05dd",
    "\U0001f600\U0001f469\u200d\U0001f680 a\U0001f534red\u2b50 \u2764\ufe0f",
    "it's we're I've he'll she'd I'm don't 's 't 'S !'s ''s a'b 'sa rock'n'roll",
    "12 stars, 3.14 x2 \u00bd \u2167 \u0663 \u00b2 1st",
    "...!?;:-- (a) [b] {c} <d> \"e\" @#$%^&*_+=~`|\\/ a_b",
    "<|startoftext|>a<|endoftext|> red <|ENDOFTEXT|>!<|StartOfText|>! !<|endOFtext|> <|end",
    "\x00\x01\x7f\u200b\ufeff\ufffd\U0010ffff",
    "x" * 5000,
    "star" * 1250,
    "red " * 40,
    "1" * 5000,
    "".join(c for c in map(chr, range(1, 0x2500)) if unicodedata.ucd_3_2_0.category(c) != "Cn"),  # old and settled
]  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = random_scenes.save(tmp_path_factory.mktemp("scenes"))
    export(folder)
    return folder


@pytest.fixture(scope="module")
def scenes(saved: Path) -> Scenes:
    return Scenes(saved)


def expected(tokens: Any, text: str) -> list[int]:
    ids: list[int] = tokens(text, padding="max_length", max_length=32, truncation=True).input_ids
    return ids


@pytest.fixture(scope="module")
def clip(saved: Path) -> Any:
    return CLIPTokenizer.from_pretrained(saved / "tokenizer")


def test_captions_are_read_as_clip_reads_them(saved: Path, clip: Any) -> None:
    rng = random.Random(1)
    words = Words(saved / "tokenizer")
    for _ in range(500):
        caption = random_scene(rng).caption(rng)
        assert words.numbers(caption) == expected(clip, caption), caption


@pytest.mark.parametrize("number", range(len(LINES)))
def test_any_text_is_read_as_clip_reads_it(saved: Path, clip: Any, number: int) -> None:
    """Piece by piece as well, because what is past the encoder's length is cut."""
    words, text = Words(saved / "tokenizer"), LINES[number]
    for part in (text, *text.split(" ")[:200], *(text[at : at + 7] for at in range(0, min(len(text), 9500), 7))):
        assert words.numbers(part) == expected(clip, part), ascii(part)


def test_texts_of_letters_by_lot_are_read_as_clip_reads_them(saved: Path, clip: Any) -> None:
    rng = random.Random(2)
    words = Words(saved / "tokenizer")
    letters = "aeirdstbu RSE'<|>19_.,\u00e9\u0301\u0416\u4e00\u00bd\u2167\n\u2003\U0001f534" + "stcrlt" * 3
    for _ in range(2000):
        text = "".join(rng.choice(letters) for _ in range(rng.randint(1, 30)))
        assert words.numbers(text) == expected(clip, text), ascii(text)


def test_half_a_pair_of_surrogates_is_read_as_a_question_mark(saved: Path) -> None:
    words = Words(saved / "tokenizer")
    assert words.numbers("a \ud800") == words.numbers("a ?")


@pytest.mark.parametrize("prompt", ["", "a large blue ring above a pink heart on grey", "two red stars"])
def test_a_picture_is_that_of_the_diffusers_pipeline(saved: Path, scenes: Scenes, prompt: str) -> None:
    pipe = StableDiffusionXLPipeline.from_pretrained(saved, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    noise = np.random.default_rng(len(prompt)).standard_normal((1, 8, 16, 16), np.float32)
    wanted = pipe(
        [prompt], height=128, width=128, num_inference_steps=4, guidance_scale=0.0,
        latents=torch.from_numpy(noise), output_type="np",
    ).images[0] * 255  # fmt: skip
    made = scenes.denoised(prompt, noise)
    assert made.shape == (128, 128, 3)
    assert made.dtype == np.uint8
    assert wanted.std() > 20
    assert np.abs(made - wanted).max() <= 2


def test_the_prompt_and_the_seed_decide_the_picture(saved: Path, scenes: Scenes) -> None:
    first = scenes.paint("a red circle", 7)
    assert (first == scenes.paint("a red circle", 7)).all()
    assert (first == Scenes(saved).paint("a red circle", 7)).all()
    for other in (8, 7 + 2**32, 7 + 2**64):
        assert (first != scenes.paint("a red circle", other)).any()
    assert (first != scenes.paint("a blue circle", 7)).any()


def test_many_threads_may_begin_at_once(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first calls come together; each graph is read once, and a call takes no more threads than its own."""
    import onnxruntime

    read = []
    session = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *a, **k: (read.append(a[:2]), session(*a, **k))[1])
    fresh = Scenes(saved)
    assert not read
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda seed: fresh.paint("a star", seed % 4), range(16)))
    assert len(read) == len({path for path, _ in read}) == 3
    assert {(options.intra_op_num_threads, options.inter_op_num_threads) for _, options in read} == {(1, 1)}
    for seed, picture in enumerate(made):
        assert (picture == fresh.paint("a star", seed % 4)).all()


def changed(name: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def of(folder: Path) -> None:
        found = json.loads((folder / name).read_text("utf-8"))
        change(found)
        (folder / name).write_text(json.dumps(found), "utf-8")

    return of


SCHEDULE, TOKENIZER = "scheduler/scheduler_config.json", "tokenizer/tokenizer.json"
ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a graph is missing": (lambda f: (f / "unet.onnx").unlink(), "has no unet.onnx"),
    "all is missing": (shutil.rmtree, "has no text.onnx, unet.onnx, decoder.onnx"),
    "another prediction": (changed(SCHEDULE, lambda c: c.update(prediction_type="epsilon")), "prediction_type"),
    "another spacing": (changed(SCHEDULE, lambda c: c.pop("timestep_spacing")), "timestep_spacing"),
    "another tokenizer": (changed(TOKENIZER, lambda c: c["model"].update(type="WordPiece")), "byte-pair"),
    "no JSON": (lambda f: (f / "vae/config.json").write_text("{", "utf-8"), "not a model of scenes"),
    "no scale": (changed("vae/config.json", lambda c: c.pop("scaling_factor")), "scaling_factor"),
    "no vocabulary": (changed(TOKENIZER, lambda c: c["model"]["vocab"].pop("\u0100")), "bytes"),
    "JSON of another form": (lambda f: (f / SCHEDULE).write_text("[]", "utf-8"), "not a model of scenes"),
}


@pytest.mark.parametrize("case", sorted(ODD))
def test_a_folder_that_is_no_model_is_refused_at_once(saved: Path, tmp_path: Path, case: str) -> None:
    change, said = ODD[case]
    folder = Path(shutil.copytree(saved, tmp_path / "copy"))
    change(folder)
    with pytest.raises(ValueError, match=said):
        Scenes(folder)


@pytest.mark.parametrize(
    ("name", "kept"), [("text.onnx", 500), ("unet/diffusion_pytorch_model.safetensors", 1000), ("decoder.onnx", 0)]
)
def test_files_that_are_cut_off_are_told_by_the_first_picture(
    saved: Path, tmp_path: Path, name: str, kept: int
) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "copy"))
    (folder / name).write_bytes((folder / name).read_bytes()[:kept])
    model = Scenes(folder)
    for _ in range(2):
        with pytest.raises(ValueError, match="not a model of scenes"):
            model.paint("a star", 1)


def test_it_paints_where_there_is_no_torch_and_no_worker(saved: Path) -> None:
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys\n"
            "for name in ('torch', 'diffusers', 'transformers', 'tokenizers', 'onnx', 'gpu_worker'):\n"
            "    sys.modules[name] = None\n"
            "from pathlib import Path\n"
            "from lambdas.providers.demo.scenes import Scenes\n"
            "assert 'onnxruntime' not in sys.modules\n"
            "print(Scenes(Path(sys.argv[1])).paint('a red star', 1).shape)\n",
            str(saved),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (said.stdout, said.stderr) == ("(128, 128, 3)\n", "")
