"""Splits a text of any language into words and terms, and weighs the terms of a prompt.

A *term* is the unit of comparison: a word in lower case without its plural, or, in scripts that use no spaces between
words, each pair of neighbouring characters (the usual substitute for words there: Nie, Brisebois, Ren, "On Chinese text
retrieval", SIGIR 1996). No dictionary and no model is needed, so every language works, some better than others.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lambdas.domain.prompts.vocabulary import HAN_PARTICLES, QUALITY, STOP_WORDS, STYLE

# Han, kana, Thai, Lao, Tibetan, Myanmar and Khmer: written without spaces between words.
UNSPACED: Final = (
    "\u0e00-\u0eff\u0f40-\u0fbc\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
_VOWEL_SIGNS: Final = (  # of these scripts, with tone marks: no word begins with one
    "\u0e31\u0e33-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb3-\u0ebc\u0ec8-\u0ece\u0f71-\u0f84\u102b-\u103e\u17b6-\u17d3"
)
RUN: Final = 12  # characters of an unspaced script in one word, at most
MARKS: Final = "\uff0c\u3002\u3001\uff1b\uff1a\uff01\uff1f\uff61\uff64"  # East Asian: , . , ; : ! ? . ,
# Characters that end a word: white space, controls, lone surrogates and punctuation. Marks, joiners and emoji do not.
_NOT_WORD: Final = (
    r"\s\x00-\x1f\x7f-\xa0!\"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~"
    "\u00a1\u00ab\u00b7\u00bb\u00bf\u2000-\u200b\u200e-\u2018\u201a-\u206f\u3000-\u3003\u3008-\u3020\u3030"
    "\ud800-\udfff\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)
_WORD: Final = re.compile(
    r"\d+(?:[.,]\d+)+"  # 3,000 and 1.8
    "|[\u3040-\u309f]+"  # hiragana: the grammar of Japanese
    f"|[{''.join(sorted(HAN_PARTICLES))}]+"
    f"|(?:(?![\u3040-\u309f{''.join(sorted(HAN_PARTICLES))}])[{UNSPACED}]){{1,{RUN}}}[{_VOWEL_SIGNS}]*"
    f"|[^{_NOT_WORD}{UNSPACED}]+"
)
_UNSPACED: Final = re.compile(f"[{UNSPACED}]")
_HIRAGANA: Final = re.compile("[\u3040-\u309f]")
_WEIGHT: Final = re.compile(r":\s?\d+(?:\.\d+)?[)>]")
_EMPHASIS: Final = re.compile(r"\(([^()]*):\s*(\d+(?:\.\d+)?)\)")  # (word:1.3), the syntax of weights in prompts

SHORT: Final = 3  # a word of fewer letters is mostly grammar; with digits it is content (4k, f8)
KNOWN_FACTOR: Final = 2.0  # for words of quality and style
EMPHASIS_FACTOR: Final = 1.5
LATE_FACTOR: Final = 0.5  # of a term that first occurs at the very end; models weigh the beginning most


@dataclass(frozen=True, slots=True)
class Word:
    """A word and its position. `content` is False for words without a meaning of their own."""

    text: str
    start: int
    end: int
    terms: tuple[str, ...]
    content: bool


def words(text: str) -> list[Word]:
    """Return the words in order; in unspaced scripts the stretches between particles."""
    found = []
    for match in _WORD.finditer(text):
        word = match[0]
        if _UNSPACED.match(word):
            content = not _HIRAGANA.match(word) and word[0] not in HAN_PARTICLES
            found.append(Word(word, match.start(), match.end(), _pairs(word), content))
            continue
        bare = word.strip("'\u2019")
        if not bare:
            continue
        term = stem(bare)
        start = match.start() + word.index(bare)
        content = _says_something(bare.casefold(), term) and not _is_weight(text, start)
        found.append(Word(bare, start, start + len(bare), (term,), content))
    return found


def stem(word: str) -> str:
    """Return the form for comparisons: lower case, compatibility characters folded, no plural or genitive s."""
    if not word.isascii():
        word = unicodedata.normalize("NFKC", word)
    word = word.casefold()
    if word.endswith(("'s", "\u2019s")):
        word = word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    return word


def terms(text: str) -> frozenset[str]:
    """Return the terms of the content words."""
    return frozenset(term for word in words(text) if word.content for term in word.terms)


def weights(text: str, found: Iterable[Word] | None = None) -> dict[str, float]:
    """Return the weight of each term in this prompt, in the order of first occurrence.

    weight = (1 + ln tf) * factor: sublinear term frequency (Manning, Raghavan, Schütze, "Introduction to Information
    Retrieval", 2008, 6.4.1) and the result of factors(). One document has no document frequency: the list of stop words
    replaces it.
    """
    content = [word for word in (words(text) if found is None else found) if word.content]
    counts = Counter(term for word in content for term in word.terms)
    return {term: (1 + math.log(counts[term])) * factor for term, factor in factors(text, content).items()}


def factors(text: str, content: list[Word]) -> dict[str, float]:
    """Return the importance of each term besides its frequency: earliness * known * emphasis.

    Earliness falls from 1 for a term at the beginning to 0.5 at the end; known is 2 for words of quality and style;
    emphasis is 1.5 if its first occurrence is inside `(word:x)` with x above 1.
    """
    stressed = bytearray(len(text))
    for m in _EMPHASIS.finditer(text):
        if float(m[2]) > 1:
            stressed[m.start() : m.end()] = b"\x01" * (m.end() - m.start())
    found: dict[str, float] = {}
    for at, word in enumerate(content):
        early = 1 - (1 - LATE_FACTOR) * at / len(content)
        for term in word.terms:
            if term not in found:
                known = KNOWN_FACTOR if is_known(term) else 1.0
                found[term] = early * known * (EMPHASIS_FACTOR if stressed[word.start] else 1.0)
    return found


def is_known(term: str) -> bool:
    """Return whether the term is a word of quality or style."""
    return term in _KNOWN


def _says_something(word: str, term: str) -> bool:
    if word in STOP_WORDS or term in STOP_WORDS:
        return False
    return len(word) >= SHORT or not word.isalpha() or word >= "\u0530"  # past Latin, Greek and Cyrillic


def _is_weight(text: str, start: int) -> bool:
    """Return whether the word is the number of `(word:1.3)`."""
    colon = start - 1 if text[start - 1 : start] == ":" else start - 2
    return text[start].isdigit() and start >= 2 and bool(_WEIGHT.match(text, colon))


def _pairs(run: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(run[i : i + 2] for i in range(len(run) - 1))) or (run,)


_KNOWN: Final = frozenset(stem(word) for word in QUALITY | STYLE)
