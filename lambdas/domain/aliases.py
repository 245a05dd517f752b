"""Names that other services have for their models, and what they stand for here."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final

DEFAULT: Final = ""  # the deployment's default model
# A model for each pattern of OpenAI's names.
OPENAI: Final[Mapping[str, str]] = MappingProxyType(
    dict.fromkeys(("gpt-image-*", "dall-e-*", "chatgpt-image-*"), DEFAULT)
)


def meant_by(name: str, aliases: Mapping[str, str]) -> str | None:
    """Return what the name stands for; `None` for one that fits no pattern. Of several that fit, the longest counts."""
    fit = [pattern for pattern in aliases if fnmatchcase(name, pattern)]
    return aliases[max(fit, key=len)] if fit else None
