"""Defines a mutation: one textual change to a guard, and the tests that must fail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent


@dataclass(frozen=True, slots=True)
class Mutation:
    """`file` is below `lambdas/`, `tests` (files, or one test of a file) are below `tests/`."""

    name: str
    file: str
    original: str
    mutated: str
    tests: tuple[str, ...]

    def applied(self, root: Path) -> str:
        """The text of the file with the change. Raises ValueError unless the original occurs exactly once."""
        text = (root / "lambdas" / self.file).read_text("utf-8")
        if (found := text.count(self.original)) != 1:
            raise ValueError(f"{self.name}: its original text occurs {found} times in lambdas/{self.file}")
        return text.replace(self.original, self.mutated)
