"""Prompts as text: what they are made of, how they are shortened, and whether a rewrite of one may be used."""

from __future__ import annotations

from typing import Final, Literal

LIMIT: Final = 3000  # a prompt of so many characters or more is shortened to fewer

Method = Literal["none", "llm", "deterministic"]  # how a prompt came to be as it is sent
