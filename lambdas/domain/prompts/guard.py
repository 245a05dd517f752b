"""Checks a language model's rewrite of a prompt as untrusted text.

A rewrite is only ever used as the text of the prompt: size, seed, count, model and URLs of a request come from the
client's own fields, so no text in it can change them here. The checks ensure that it cannot change them later either,
in an image service that reads options out of prompts, and that it is still the client's prompt.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from lambdas.domain.prompts import LIMIT
from lambdas.domain.prompts.invisible import hidden
from lambdas.domain.prompts.terms import factors, terms, words

KEY_TERMS: Final = 20
KEPT_SHARE: Final = 0.4  # of the weight of the key terms, at least; models paraphrase, so not all of it
OWN_SHARE: Final = 0.4  # of the rewrite's terms, at most, may be its own

_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_QUOTES: Final = ('""', "\u201c\u201d")

# A rewrite may contain a match of these only if the original contains it.
_LINK: Final = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://\S+|\bwww\.\S+|\bdata:\w+/\S+", re.IGNORECASE)
_OPTION: Final = re.compile(
    r"(?<!\w)--?[a-z][\w-]*"  # --ar, -n
    r"|<[^<>]{1,200}>"  # <lora:name:1>, <|channel|>, <img src=x>
    r"|\b(?:seed|width|height|steps?|cfg|sampler|scheduler|model|checkpoint|lora|size|n|count|num_images|batch_size"
    r"|aspect_ratio|ar|strength|guidance(?:_scale)?|negative_prompt|provider|webhook_url|format)\s*+(?:[\"']\s*+)?[:=]\s*+[^\s,;]+"
    r"|\bnegative prompt\s*:"
    r"|\b\d{3,5}\s?[x\u00d7]\s?\d{3,5}\b",
    re.IGNORECASE,
)
_CHATTER: Final = re.compile(
    r"^\W*(?:here(?:'s| is| are)\b|sure\b[,!.]|certainly\b[,!.]|of course\b[,!.]|i(?:'m| am) sorry\b|i can(?:not|'t)\b"
    r"|as an ai\b|(?:shortened|compressed|rewritten|optimi[sz]ed) (?:prompt|version)\b|prompt\s*:)"
    r"|\b(?:ignore|disregard) (?:all |any |the )?(?:previous|prior|above) (?:instructions|text)\b"
    r"|\bcharacters? (?:long|count)\b|^\s*[{\[]\s*[\"']",
    re.IGNORECASE,
)


def tidy(rewrite: str) -> str:
    """Remove the white space, quotation marks or code fence that models often put around an answer."""
    text = rewrite.strip()
    if len(text) > 6 and text.startswith("```") and text.endswith("```"):
        first, _, rest = text[3:-3].partition("\n")
        return (rest if rest and (first.isalnum() or not first) else text[3:-3]).strip()
    for opening, closing in _QUOTES:
        inner = text[1:-1]
        if inner and text[0] == opening and text[-1] == closing and opening not in inner and closing not in inner:
            return inner.strip()
    return text


def objection(original: str, rewrite: str, limit: int = LIMIT) -> str | None:
    """Return why the rewrite may not be used, as the end of a sentence; `None` if it may."""
    if not rewrite.strip():
        return "was empty"
    if len(rewrite) >= limit:
        return "was too long"
    if _CONTROL.search(rewrite):
        return "held control characters"
    if hidden(rewrite) - hidden(original):  # an emoji's joiners and a script's marks are the prompt's own
        return "held invisible characters that the prompt does not hold"
    original, rewrite = (unicodedata.normalize("NFKC", text) for text in (original, rewrite))  # \uff0d\uff0d is -- too
    if _new(_LINK, original, rewrite):
        return "held a link that the prompt does not hold"
    if _new(_OPTION, original, rewrite):
        return "held a setting that the prompt does not hold"
    if _new(_CHATTER, original, rewrite):
        return "was not a prompt alone"
    if kept_share(original, rewrite) < KEPT_SHARE:
        return "lost too much of the prompt"
    if own_share(original, rewrite) > OWN_SHARE:
        return "added too much to the prompt"
    return None


def kept_share(original: str, rewrite: str) -> float:
    """Return the share by weight of the original's 20 key terms that the rewrite contains.

    Key terms are those of the greatest terms.factors(): words of quality and style, emphasised words, and then the
    earliest, as prompts name their subject first. Frequency is ignored, as the most frequent words of long prompts are
    filler. Word forms and order do not matter.
    """
    content = [word for word in words(original) if word.content]
    key = sorted(factors(original, content).items(), key=lambda item: -item[1])[:KEY_TERMS]
    kept = terms(rewrite)
    total = sum(weight for _, weight in key)
    return sum(weight for term, weight in key if term in kept) / total if total else 1.0


def own_share(original: str, rewrite: str) -> float:
    """Return the share of the rewrite's terms that the original does not contain."""
    said = terms(rewrite)
    return len(said - terms(original)) / len(said) if said else 0.0


def _new(pattern: re.Pattern[str], original: str, rewrite: str) -> bool:
    """Return whether the rewrite has a match that the original lacks, ignoring letter case and white space."""
    known = {_plain(found[0]) for found in pattern.finditer(original)}
    return any(_plain(found[0]) not in known for found in pattern.finditer(rewrite))


def _plain(text: str) -> str:
    return "".join(text.casefold().split())
