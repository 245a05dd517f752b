"""Encodes prompts for SDXL, in windows so that a long prompt is not truncated, and caches the results."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from gpu_worker.contract import Refusal

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Encoded:
    """`hidden`: 1 x (77 * windows) x width of both encoders together. `pooled`: of the first window."""

    hidden: torch.Tensor
    pooled: torch.Tensor
    windows: int


class Prompts:
    """Encodes with the two tokenizers and encoders of one SDXL pipeline. Thread-safe; a lock guards the tokenizers.

    CLIP reads 77 tokens at a time, two of them its own marks. A longer prompt is split between words into windows,
    whose hidden states are concatenated, so that the UNet attends to all of it. A prompt of one window is encoded
    exactly as diffusers does. Each window is encoded alone, never in a batch, so that its values depend on nothing
    else.

    `remembered` is the number of cached windows, of all prompts together: each takes 0.3 MB in 16 bits at SDXL's width,
    and a prompt of 10,000 characters has about thirty.
    """

    def __init__(self, pipe: Any, remembered: int = 256) -> None:
        self._pairs = ((pipe.tokenizer, pipe.text_encoder), (pipe.tokenizer_2, pipe.text_encoder_2))
        self._zeros = bool(pipe.config.get("force_zeros_for_empty_prompt", True))
        self._remembered = remembered
        self._lock = threading.Lock()
        self._known: OrderedDict[Hashable, Encoded] = OrderedDict()
        self.hits = 0

    def windows(self, *prompts: str | None) -> int:
        """Return the number of windows of the longest prompt. Raises Refusal for text that is not valid Unicode."""
        for prompt in prompts:
            try:
                (prompt or "").encode()
            except UnicodeEncodeError:
                said = "the prompt has half a character: a surrogate without its other one"
                raise Refusal("invalid_request", said) from None
        return max(len(split) for prompt in prompts for split in self._split(prompt or ""))

    def encode(self, prompt: str, windows: int, adapters: Hashable = ()) -> Encoded:
        """Encode the prompt in that many windows, the last ones empty if need be. `adapters` are the active ones."""
        key = (prompt, windows, adapters)
        with self._lock:
            if found := self._known.get(key):
                self._known.move_to_end(key)
                self.hits += 1
                return found
        made = self._encode(prompt, windows)
        with self._lock:
            self._known[key] = made
            while len(self._known) > 1 and sum(one.windows for one in self._known.values()) > self._remembered:
                self._known.popitem(last=False)
        return made

    def negative(self, prompt: str | None, windows: int, adapters: Hashable = ()) -> Encoded:
        """Encode a negative prompt; None is all zeros if the model was trained so."""
        made = self.encode(prompt or "", windows, adapters)
        if prompt is None and self._zeros:
            return Encoded(torch.zeros_like(made.hidden), torch.zeros_like(made.pooled), windows)
        return made

    def forget(self) -> None:
        """Clear the cache."""
        with self._lock:
            self._known.clear()

    def _encode(self, prompt: str, windows: int) -> Encoded:
        sides: list[torch.Tensor] = []
        pooled: torch.Tensor | None = None
        for (tokenizer, encoder), split in zip(self._pairs, self._split(prompt), strict=True):
            hidden = []
            for number in range(windows):
                ids = split[number] if number < len(split) else ()
                with torch.no_grad():
                    out = encoder(_framed(tokenizer, ids).to(encoder.device), output_hidden_states=True)
                hidden.append(out.hidden_states[-2])
                if number == 0 and out[0].ndim == 2:
                    pooled = out[0]
            sides.append(torch.cat(hidden, dim=1))
        if pooled is None:
            raise TypeError("neither text encoder has a pooled output")
        return Encoded(torch.cat(sides, dim=-1).to(pooled.dtype), pooled, windows)

    def _split(self, prompt: str) -> tuple[list[Ids], list[Ids]]:
        with self._lock:
            first, second = (_windows(tokenizer, prompt) for tokenizer, _ in self._pairs)
        return first, second


def _windows(tokenizer: Any, prompt: str) -> list[Ids]:
    ids: Sequence[int] = tokenizer(prompt, add_special_tokens=False, truncation=False, verbose=False).input_ids
    room = tokenizer.model_max_length - 2
    words = tokenizer.convert_ids_to_tokens(ids)
    windows: list[Ids] = []
    start = 0
    while len(ids) - start > room:
        end = start + room
        cut = next((i for i in range(end, start, -1) if words[i - 1].endswith("</w>")), end)
        windows.append(tuple(ids[start:cut]))
        start = cut
    return [*windows, tuple(ids[start:])]


def _framed(tokenizer: Any, ids: Ids) -> torch.Tensor:
    filling = tokenizer.model_max_length - 2 - len(ids)
    return torch.tensor([[tokenizer.bos_token_id, *ids, tokenizer.eos_token_id, *[tokenizer.pad_token_id] * filling]])
