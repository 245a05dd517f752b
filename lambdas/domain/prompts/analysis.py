"""Measures a prompt: its complexity, its readability, and its keywords."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Final

from lambdas.domain.prompts.terms import MARKS, Word, factors, words

WINDOW: Final = 50  # words
RICH: Final = 300  # different terms; more add no richness
PHRASE: Final = 3  # words of a keyword, at most
LONG_WORD: Final = 6  # letters; longer words are LIX's long words
MAX_KEYWORDS: Final = 20

_PHRASE_END: Final = re.compile(rf"[.,;:!?\u2026|\n{MARKS}]+")


@dataclass(frozen=True, slots=True)
class Keyword:
    keyword: str
    score: float  # 1.0 for the best


@dataclass(frozen=True, slots=True)
class Analysis:
    """See complexity(), readability() and keywords()."""

    complexity_score: float
    readability: float
    keywords: tuple[Keyword, ...]


def analyse(text: str) -> Analysis:
    """Compute all measures. The same text gives the same figures on every machine."""
    found = words(text)
    return Analysis(complexity(found), readability(text, found), keywords(text, found))


def complexity(found: list[Word]) -> float:
    """Return how many different things the prompt asks for, and how densely: 0 (one word) to 1.

    Half of it is richness, ln(different terms) / ln(1 + 300), at most 1. A quarter is variety: the moving-average
    type-token ratio over 50 words (Covington and McFall, "Cutting the Gordian knot", Journal of Quantitative
    Linguistics 17, 2010), which, unlike the plain ratio, does not fall with length. A quarter is density: the share of
    the words that are not function words (Ure, "Lexical density and register differentiation", 1971). Variety and
    density mean little for a few words, so both are multiplied by richness.
    """
    sequence = [term for word in found for term in word.terms]
    if not sequence:
        return 0.0
    different = len({term for word in found if word.content for term in word.terms})
    richness = min(1.0, math.log1p(max(0, different - 1)) / math.log1p(RICH))
    density = sum(word.content for word in found) / len(found)
    return round(richness * (0.5 + 0.25 * _variety(sequence) + 0.25 * density), 3)


def _variety(sequence: list[str]) -> float:
    """Return the mean share of different terms in all windows of WINDOW terms."""
    if len(sequence) <= WINDOW:
        return len(set(sequence)) / len(sequence)
    counts: dict[str, int] = {}
    total = 0
    for at, term in enumerate(sequence):
        counts[term] = counts.get(term, 0) + 1
        if at >= WINDOW:
            gone = sequence[at - WINDOW]
            counts[gone] -= 1
            if not counts[gone]:
                del counts[gone]
        if at >= WINDOW - 1:
            total += len(counts)
    return total / (len(sequence) - WINDOW + 1) / WINDOW


def readability(text: str, found: list[Word]) -> float:
    """Return 0 (hard) to 100 (easy): 100 - LIX, within these bounds.

    LIX (Björnsson, "Läsbarhet", 1968) = words per phrase + percentage of words of more than six letters; it needs no
    syllables, so it suits every alphabetic language (Anderson, "Lix and Rix", Journal of Reading 26, 1983). Its phrase
    ends at a full stop, colon or similar mark; here a comma ends one as well, since a prompt is often a list of tags.
    In scripts without spaces a word is a stretch between particles.
    """
    if not found:
        return 100.0
    phrases = sum(1 for part in _PHRASE_END.split(text) if part.strip())
    long_words = sum(len(word.text) > LONG_WORD for word in found)
    lix = len(found) / max(1, phrases) + 100 * long_words / len(found)
    return round(min(100.0, max(0.0, 100 - lix)), 1)


def keywords(text: str, found: list[Word], most: int = MAX_KEYWORDS) -> tuple[Keyword, ...]:
    """Return the most significant phrases, best first, in lower case, scores relative to the best.

    Candidates as in RAKE (Rose, Engel, Cramer, Cowley, "Automatic keyword extraction from individual documents", 2010):
    runs of neighbouring words with no function word and no punctuation between them, here of at most three words. The
    score is (1 + ln frequency of the phrase) * sum of its terms' factors (see terms.factors) / square root of their
    number: the sum would always favour long phrases, the mean single words. A phrase whose terms are all in better ones
    is left out.
    """
    factor = factors(text, [word for word in found if word.content])
    firsts: dict[tuple[str, ...], list[Word]] = {}
    counts: Counter[tuple[str, ...]] = Counter()
    for run in _runs(text, found):
        key = tuple(term for word in run for term in word.terms)
        counts[key] += 1
        firsts.setdefault(key, run)
    scores = {
        key: (
            (1 + math.log(counts[key])) * sum(factor[term] for term in key) / math.sqrt(len(key)),
            run[0].start,
            text[run[0].start : run[-1].end].casefold(),
        )
        for key, run in firsts.items()
    }
    ranked = sorted(scores.items(), key=lambda item: (-item[1][0], item[1][1]))
    covered: set[str] = set()
    best: list[Keyword] = []
    for key, (score, _, phrase) in ranked:
        if len(best) == most:
            break
        if not covered.issuperset(key):
            covered.update(key)
            best.append(Keyword(phrase, round(score / ranked[0][1][0], 3)))
    return tuple(best)


def _runs(text: str, found: list[Word]) -> list[list[Word]]:
    runs: list[list[Word]] = []
    last: Word | None = None
    for word in found:
        if word.content:
            near = last is not None and text[last.end : word.start] in (" ", "-")
            if near and len(runs[-1]) < PHRASE:
                runs[-1].append(word)
            else:
                runs.append([word])
        last = word if word.content else None
    return runs
