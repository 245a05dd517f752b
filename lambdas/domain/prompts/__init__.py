"""Analyses and shortens prompts, and checks rewrites of them."""

from __future__ import annotations

from typing import Final, Literal

LIMIT: Final = 3000  # characters; a prompt of this length or more is shortened to fewer

Method = Literal["none", "llm", "deterministic"]  # how a prompt came to be as it is sent
