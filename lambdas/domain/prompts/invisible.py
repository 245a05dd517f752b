"""Finds invisible characters: a text of them alone is blank, and a rewrite must not add any."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

# Unicode's Default_Ignorable_Code_Point (16.0), which has no visible effect: soft hyphen, joiners, direction marks,
# fillers, variation selectors, tags. After it: the empty pattern of Braille, and lone surrogates.
_IGNORABLE: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\u2800\ud800-\udfff"
)
_HIDDEN: Final = re.compile(f"[{_IGNORABLE}]")
_SEEN: Final = re.compile(rf"[^\s\x00-\x1f\x7f-\x9f{_IGNORABLE}]")


def is_blank(text: str) -> bool:
    """Return whether the text has nothing visible: white space, controls and ignorable characters alone."""
    return not _SEEN.search(text)


def hidden(text: str) -> Counter[str]:
    """Count each character of the text that is never drawn by itself."""
    return Counter(_HIDDEN.findall(text))
