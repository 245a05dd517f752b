"""Prompts: exactly as diffusers encodes a short one, whole where they are long, and remembered."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gpu_worker.contract import Refusal
from gpu_worker.pipelines.prompts import Prompts

ROOM = 75


@pytest.fixture
def pipe(sampler: Any) -> Any:
    return sampler._parts.pipes["text-to-image"]


@pytest.fixture
def prompts(pipe: Any) -> Prompts:
    return Prompts(pipe, remembered=4)


@pytest.mark.parametrize("prompt", ["", "a cat on a mat", "x" * ROOM])
def test_a_prompt_of_one_window_is_encoded_as_diffusers_does(prompt: str, pipe: Any, prompts: Prompts) -> None:
    with torch.no_grad():
        hidden, _, pooled, _ = pipe.encode_prompt(prompt, do_classifier_free_guidance=False)
    made = prompts.encode(prompt, 1)
    assert torch.equal(made.hidden, hidden)
    assert torch.equal(made.pooled, pooled)


def test_the_end_of_a_long_prompt_still_counts(prompts: Prompts) -> None:
    cat, dog = ("word " * 40 + animal for animal in ("cat", "dog"))
    assert prompts.windows(cat) > 1
    windows = prompts.windows(cat, dog)
    one, other = prompts.encode(cat, windows), prompts.encode(dog, windows)
    assert one.hidden.shape == (1, 77 * windows, 32)
    assert not torch.equal(one.hidden, other.hidden)
    assert torch.equal(one.hidden[:, :77], other.hidden[:, :77])


def test_every_letter_of_a_long_prompt_is_in_one_of_its_windows(prompts: Prompts) -> None:
    prompt = " ".join(f"w{n}" for n in range(200))
    ids, _ = prompts._split(prompt)
    tokenizer = prompts._pairs[0][0]
    whole = tokenizer(prompt, add_special_tokens=False).input_ids
    assert [one for window in ids for one in window] == list(whole)
    assert max(map(len, ids)) <= ROOM


def test_a_window_ends_with_a_word(prompts: Prompts) -> None:
    ids, _ = prompts._split("abcdefg " * 40)
    tokenizer = prompts._pairs[0][0]
    assert len(ids) > 2
    assert all(tokenizer.convert_ids_to_tokens(window)[-1].endswith("</w>") for window in ids)


def test_a_word_longer_than_a_window_is_split(prompts: Prompts) -> None:
    assert prompts.windows("x" * (ROOM + 1)) == 2


def test_windows_that_a_prompt_does_not_need_are_empty_ones(prompts: Prompts) -> None:
    short, empty = prompts.encode("cat", 2), prompts.encode("", 1)
    assert torch.equal(short.hidden[:, 77:], empty.hidden)


def test_no_negative_prompt_is_zeros_and_an_empty_one_is_not(prompts: Prompts) -> None:
    assert not prompts.negative(None, 1).hidden.any()
    assert prompts.negative("", 1).hidden.any()


def test_long_prompts_take_the_room_of_many(prompts: Prompts) -> None:
    """A client may send any number of prompts of 10,000 characters; they must not fill the GPU."""
    for n in range(6):
        prompts.encode(f"{n}", 3)
    assert sum(one.windows for one in prompts._known.values()) <= 4
    large = prompts.encode("large", 9)
    assert prompts.encode("large", 9) is large, "the last one stays: the padding of its batch asks for it"
    prompts.encode("small", 1)
    assert prompts.encode("large", 9) is not large


def test_a_prompt_is_encoded_once_while_it_is_remembered(pipe: Any, prompts: Prompts) -> None:
    first = prompts.encode("cat", 1)
    assert prompts.encode("cat", 1) is first
    assert prompts.encode("cat", 1, adapters=(("a", 1.0),)) is not first
    for other in "abcd":
        prompts.encode(other, 1)
    assert prompts.encode("cat", 1) is not first
    assert prompts.hits == 1


@pytest.mark.parametrize("prompt", ["\udfff", "a \ud83e cat", "x" * 9000 + "\ud800"])
def test_half_a_character_is_refused_and_not_an_error(prompt: str, prompts: Prompts) -> None:
    for sent in ((prompt,), ("a cat", prompt)):
        with pytest.raises(Refusal) as refused:
            prompts.windows(*sent)
        assert refused.value.code == "invalid_request"
