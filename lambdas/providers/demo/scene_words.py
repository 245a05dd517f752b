"""Tokenizes a prompt for a CLIP text encoder, from the tokenizer's own files."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Final

END_OF_WORD: Final = "</w>"
# At the start of a piece these are separate pieces; the markers are three.
_ENDINGS: Final = re.compile(r"(<\|)(startoftext|endoftext)(\|>)|('s|'t|'re|'ve|'m|'ll|'d)")
# Unicode's White_Space; `str.isspace` has four control characters more.
_SPACE: Final = frozenset(
    "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
)


def _shown() -> dict[int, str]:
    """Return each byte's letter in the vocabulary: the byte itself if it is printable, else a letter from 256 on."""
    seen = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = [byte for byte in range(256) if byte not in seen]
    return {byte: chr(byte) for byte in seen} | {byte: chr(256 + n) for n, byte in enumerate(hidden)}


class Words:
    """A byte-pair tokenizer from a folder with `tokenizer.json` and `tokenizer_config.json`.

    It gives the tokens of transformers' `CLIPTokenizer`, except for characters that only one of the two Unicode
    versions contains.
    """

    def __init__(self, folder: Path) -> None:
        """Load the files. Raises ValueError for another kind of tokenizer."""
        whole = json.loads((folder / "tokenizer.json").read_text("utf-8"))
        config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
        model: dict[str, Any] = whole["model"]
        if model["type"] != "BPE" or model["end_of_word_suffix"] != END_OF_WORD:
            raise ValueError("it is not a byte-pair tokenizer that marks the ends of words")
        self.length: int = config["model_max_length"]
        self._numbers: dict[str, int] = model["vocab"]
        self._ranks = {(a, b): rank for rank, (a, b) in enumerate(model["merges"])}
        self._letters = _shown()
        self._marks = {config[name]: self._numbers[config[name]] for name in ("bos_token", "eos_token")}
        self._begin, self._end = (self._numbers[config[name]] for name in ("bos_token", "eos_token"))
        self._pad = self._numbers[config["pad_token"]]
        self._apart = re.compile("(" + "|".join(map(re.escape, self._marks)) + ")")
        if missing := [
            c for letter in self._letters.values() for c in (letter, letter + END_OF_WORD) if c not in self._numbers
        ]:
            raise ValueError(f"its vocabulary lacks {len(missing)} of the bytes")

    def numbers(self, text: str) -> list[int]:
        """Return the tokens between their markers, padded or cut to the encoder's length."""
        found = [self._begin, *islice(self._tokens(text), self.length - 2), self._end]
        return found + [self._pad] * (self.length - len(found))

    def _tokens(self, text: str) -> Iterator[int]:
        for part in self._apart.split(text):
            if part in self._marks:
                yield self._marks[part]
                continue
            # letter by letter, because `str.lower` writes a sigma at the end of a word differently
            lower = "".join(letter.lower() for letter in unicodedata.normalize("NFC", part))
            for piece in _pieces(lower):
                yield from (self._numbers[token] for token in self._merged(piece))

    def _merged(self, piece: str) -> list[str]:
        """Return the bytes, with neighbours joined in the order of the merges until none applies."""
        parts = [self._letters[byte] for byte in piece.encode("utf-8", "replace")]
        parts[-1] += END_OF_WORD
        while True:
            pairs = {pair for pair in pairwise(parts) if pair in self._ranks}
            if not pairs:
                return parts
            first = min(pairs, key=self._ranks.__getitem__)
            joined: list[str] = []
            at = 0
            while at < len(parts):
                step = 2 if tuple(parts[at : at + 2]) == first else 1
                joined.append("".join(parts[at : at + step]))
                at += step
            parts = joined


def _pieces(text: str) -> Iterator[str]:
    """Yield runs of letters, single digits, and runs of other characters, without spaces."""
    at = 0
    while at < len(text):
        if ending := _ENDINGS.match(text, at):
            yield from filter(None, ending.groups())
            at = ending.end()
            continue
        kind, start = _kind(text[at]), at
        at += 1
        while kind != "N" and at < len(text) and _kind(text[at]) == kind:
            at += 1
        if kind != " ":
            yield text[start:at]


def _kind(letter: str) -> str:
    if letter in _SPACE:
        return " "
    major = unicodedata.category(letter)[0]
    return major if major in "LN" else "other"
