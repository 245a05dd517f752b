"""Batches of a tiny pipeline: their bits, their end between steps, their errors, and many threads at once."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gpu_worker.contract import Refusal
from gpu_worker.engine.protocol import DeviceLost, OutOfMemory
from gpu_worker.pipelines.batch import Item, Run
from gpu_worker.pipelines.faults import told_apart
from gpu_worker.pipelines.loading import dtype_of, load
from tests.gpu_worker.pipelines import tiny

CPU = torch.device("cpu")


def go_on() -> None:
    return None


def run_of(task: str = "text-to-image", steps: int = 2, guidance: float = 0.0, windows: int = 1) -> Run:
    return Run(task, 64, 64, steps, guidance, windows)


def picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (64, 64, 3), np.uint8))


def item(seed: int, task: str = "text-to-image") -> Item:
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 64, 20 + seed % 20))
    return Item(
        prompt=f"number {seed}",
        negative="grey" if seed % 2 else None,
        seed=seed,
        image=None if task == "text-to-image" else picture(seed),
        mask=mask if task == "background" else None,
    )


@pytest.mark.parametrize("guidance", [0.0, 4.0])
@pytest.mark.parametrize("task", ["background", "image-to-image", "text-to-image"])
def test_the_same_seed_is_the_same_pixels_in_any_company_and_any_place(
    task: str, guidance: float, sampler: Any, scenes: Any
) -> None:
    made = scenes if task == "background" else sampler
    run = run_of(task, guidance=guidance)
    (alone,) = made.paint(run, [item(7, task)], 4, go_on)
    first = made.paint(run, [item(7, task), item(1, task), item(2, task)], 4, go_on)
    last = made.paint(run, [item(n, task) for n in (3, 4, 5, 7)], 4, go_on)
    assert np.array_equal(alone, first[0])
    assert np.array_equal(alone, last[3])
    assert not np.array_equal(first[1], first[2])


def test_more_items_than_the_bucket_are_painted_in_several_batches_with_the_same_pixels(sampler: Any) -> None:
    together = sampler.paint(run_of(), [item(n) for n in range(5)], 2, go_on)
    assert all(
        np.array_equal(image, sampler.paint(run_of(), [item(n)], 2, go_on)[0]) for n, image in enumerate(together)
    )


def test_another_size_of_batch_changes_a_pixel_by_one_level_at_most(sampler: Any) -> None:
    (one,) = sampler.paint(run_of(), [item(7)], 1, go_on)
    (four,) = sampler.paint(run_of(), [item(7)], 4, go_on)
    assert np.abs(one.astype(int) - four.astype(int)).max() <= 1


def test_sixteen_bits_need_no_pass_in_thirty_two_and_keep_the_promise(
    find: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gpu_worker.pipelines.adapters import Folder
    from gpu_worker.pipelines.sampler import Sampler

    monkeypatch.setattr("gpu_worker.pipelines.loading.dtype_of", lambda *_: torch.bfloat16)
    parts = load(tiny.spec(), find, CPU)
    vae, seen = parts.any.vae, set()
    plain = vae.decode
    monkeypatch.setattr(vae, "decode", lambda z, **more: seen.add(z.dtype) or plain(z, **more))
    made = Sampler(tiny.spec(), parts, Folder(find(tiny.spec().weights) / "none"))
    (alone,) = made.paint(run_of("image-to-image"), [item(7, "image-to-image")], 4, go_on)
    company = made.paint(run_of("image-to-image"), [item(n, "image-to-image") for n in (1, 7, 2)], 4, go_on)
    assert isinstance(alone, np.ndarray) and isinstance(company[1], np.ndarray)
    assert np.array_equal(alone, company[1])
    assert seen == {torch.bfloat16}
    assert {p.dtype for p in vae.parameters()} == {torch.bfloat16}


def test_a_processor_without_a_gpu_computes_in_thirty_two_bits() -> None:
    assert dtype_of(tiny.spec(), CPU) == torch.float32


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
@pytest.mark.parametrize("task", ["background", "image-to-image", "text-to-image"])
def test_as_many_steps_are_run_as_were_asked_for(task: str, steps: int, sampler: Any, scenes: Any) -> None:
    calls = []
    made = scenes if task == "background" else sampler
    made.paint(run_of(task, steps=steps), [item(1, task)], 1, lambda: calls.append(1))
    assert len(calls) == 1 + steps


@pytest.mark.parametrize("guidance", [0.0, 4.0])
def test_long_prompts_are_not_encoded_for_those_who_are_gone(guidance: float, sampler: Any) -> None:
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:  # at the batch's beginning, at the first prompt, and at the second
            raise Enough

    items = [Item(f"{n} " * 200, f"{n} " * 200, n) for n in range(4)]
    windows = sampler.windows(items[0].prompt)
    assert windows > 1
    sampler._prompts.forget()
    with pytest.raises(Enough):
        sampler.paint(run_of(guidance=guidance, windows=windows), items, 4, check)
    assert len(sampler._prompts._known) == 1


@pytest.mark.parametrize("strength", [0.29, 0.5, 0.58, 0.6, 0.99, 1.0])
def test_a_schedule_gives_exactly_the_steps_of_every_strength(strength: float) -> None:
    from gpu_worker.pipelines.sampler import scheduled

    assert [int(scheduled(steps, strength) * strength) for steps in range(1, 101)] == list(range(1, 101))


class Enough(Exception):
    pass


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize("task", ["background", "image-to-image", "text-to-image"])
def test_a_batch_ended_between_steps_leaves_the_next_one_as_it_would_have_been(
    task: str, after: int, sampler: Any, scenes: Any
) -> None:
    made, run = scenes if task == "background" else sampler, run_of(task, steps=3)
    before = made.paint(run, [item(7, task)], 2, go_on)
    steps: list[int] = []

    def check() -> None:
        steps.append(1)
        if len(steps) > after:
            raise Enough

    with pytest.raises(Enough):
        made.paint(run, [item(1, task)], 2, check)
    assert len(steps) == after + 1
    assert np.array_equal(made.paint(run, [item(7, task)], 2, go_on)[0], before[0])


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError("no"), OutOfMemory),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), DeviceLost),
        (RuntimeError("CUDA error: out of memory"), OutOfMemory),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), RuntimeError),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), OutOfMemory),
    ],
    ids=["memory", "lost", "no room", "other", "torch"],
)
def test_errors_of_the_device_are_told_apart(error: Exception, kind: type[Exception]) -> None:
    def work() -> None:
        raise error

    with pytest.raises(kind) as raised:
        told_apart(CPU, work)
    assert raised.type is kind


def test_an_allocation_that_the_machine_refuses_is_out_of_memory() -> None:
    with pytest.raises(OutOfMemory):
        told_apart(CPU, lambda: torch.empty(1 << 56, dtype=torch.uint8))


def test_what_a_batch_without_room_had_taken_is_given_back_before_the_error_is_raised(
    sampler: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[weakref.ref[torch.Tensor]] = []
    left: list[bool] = []
    unet = sampler._parts.any.unet

    def forward(sample: torch.Tensor, *_: Any, **__: Any) -> None:
        mine = torch.zeros(1000)
        taken.append(weakref.ref(mine))
        raise torch.OutOfMemoryError("CUDA out of memory")

    def give_back(device: torch.device) -> None:
        gc.collect()
        left.append(any(ref() is not None for ref in taken))

    monkeypatch.setattr(unet, "forward", forward)
    monkeypatch.setattr("gpu_worker.pipelines.faults.give_back", give_back)
    with pytest.raises(OutOfMemory):
        sampler.paint(run_of(), [item(1)], 8, go_on)
    assert left == [False]
    monkeypatch.undo()
    assert sampler.paint(run_of(), [item(1)], 1, go_on)[0].shape == (64, 64, 3)


def test_a_result_without_numbers_is_refused_alone(sampler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = sampler._parts.pipes["text-to-image"]
    plain = pipe.vae.decode

    def decode(latents: torch.Tensor, **more: Any) -> Any:
        (image,) = plain(latents, **more)
        image[1] = float("nan")
        return (image,)

    monkeypatch.setattr(pipe.vae, "decode", decode)
    first, second, third = sampler.paint(run_of(), [item(1), item(2), item(3)], 4, go_on)
    assert isinstance(second, Refusal)
    assert second.code == "failed"
    assert first.shape == third.shape == (64, 64, 3)


def test_three_threads_at_once_get_what_each_would_get_alone(sampler: Any) -> None:
    wanted = {n: sampler.paint(run_of(), [item(n)], 1, go_on)[0] for n in range(6)}
    with ThreadPoolExecutor(3) as pool:
        got = list(pool.map(lambda n: sampler.paint(run_of(), [item(n % 6)], 1, go_on)[0], range(18)))
    assert all(np.array_equal(image, wanted[n % 6]) for n, image in enumerate(got))


def test_three_threads_may_count_the_windows_of_prompts_while_one_paints(sampler: Any) -> None:
    with ThreadPoolExecutor(4) as pool:
        painting = pool.submit(sampler.paint, run_of(steps=4), [item(1)], 1, go_on)
        counted = list(pool.map(lambda n: sampler.windows("a" * (n * 75 + 1)), range(12)))
        assert painting.result()[0].shape == (64, 64, 3)
    assert counted == list(range(1, 13))


def test_a_closed_model_gives_its_memory_back_and_says_that_it_is_gone(new_sampler: Any) -> None:
    made = new_sampler()
    made.paint(run_of(), [item(1)], 1, go_on)
    pipe = made._parts.any
    parts = [weakref.ref(module) for module in (pipe.unet, pipe.vae, pipe.text_encoder, pipe.text_encoder_2)]
    del pipe
    made.close()
    assert [ref() for ref in parts] == [None] * 4
    with pytest.raises(Refusal) as refused:
        made.paint(run_of(), [item(1)], 1, go_on)
    assert refused.value.code == "busy"
    with pytest.raises(Refusal):
        made.windows("a")


def test_the_tasks_of_a_model_share_one_set_of_weights(find: Any) -> None:
    parts = load(tiny.spec(), find, CPU)
    drawn, redrawn = parts.pipes["text-to-image"], parts.pipes["image-to-image"]
    assert drawn.components.keys() >= {"unet", "vae", "text_encoder", "text_encoder_2"}
    assert all(drawn.components[name] is redrawn.components[name] for name in ("unet", "vae", "text_encoder_2"))


def test_the_small_decoder_makes_pixels_but_does_not_read_images(find: Any) -> None:
    from diffusers import AutoencoderKL, AutoencoderTiny

    from gpu_worker.pipelines.adapters import Folder
    from gpu_worker.pipelines.sampler import Sampler

    parts = load(tiny.spec(), find, CPU, tiny=True)
    assert isinstance(parts.pipes["text-to-image"].vae, AutoencoderTiny)
    assert isinstance(parts.pipes["image-to-image"].vae, AutoencoderKL)
    made = Sampler(tiny.spec(), parts, Folder(find(tiny.spec().weights) / "none"))
    (image,) = made.paint(run_of(), [item(1)], 1, go_on)
    assert isinstance(image, np.ndarray) and image.shape == (64, 64, 3)
