"""Analyses and shortens prompts, and checks rewrites of them."""

from __future__ import annotations

from typing import Final

LIMIT: Final = 3000  # characters; a prompt of this length or more is shortened to fewer
