"""Prompts as text: what they are made of, how they are shortened, and whether a rewrite of one may be used."""

from __future__ import annotations

from typing import Final

LIMIT: Final = 3000  # a prompt of so many characters or more is shortened to fewer
