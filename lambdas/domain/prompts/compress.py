"""Shortens a prompt without a language model: removes repetitions first, then the least significant parts."""

from __future__ import annotations

import heapq
from collections import Counter
from itertools import pairwise
from typing import Final

from lambdas.domain.prompts import LIMIT, segments
from lambdas.domain.prompts.analysis import keywords
from lambdas.domain.prompts.segments import Piece
from lambdas.domain.prompts.terms import MARKS, Word, weights, words

ALIKE: Final = 0.85  # pieces that share this part of all their terms (Jaccard) are repetitions
REPEATED: Final = 0.25  # the value of one more occurrence of a term, relative to the one before
FIRST_FACTOR: Final = 4.0  # for the first piece, which nearly always names the subject
MARK_COST: Final = 2  # a mark and a space

SENTENCE: Final = 2

_NO_SPACE_AFTER: Final = MARKS + "\n"
_SENTENCE_ENDS: Final = ".!?;\u2026\u3002\uff01\uff1f\uff1b\uff61"


def compress(text: str, limit: int = LIMIT) -> str:
    """Return `text` in fewer than `limit` characters; a shorter text is returned unchanged, also one from here.

    1. The text is cut into pieces: clauses, tags, and parts of long clauses. `(word:1.3)`, quotes and other bracketed
       groups stay whole, unless one alone is longer than segments.MAX_GROUP.
    2. Pieces that repeat an earlier one (the same terms in any order, or all but a few) are removed.
    3. If the text is still too long, pieces are chosen for the most term weight per character, where each further
       occurrence of a term counts less: the greedy maximum-coverage summary of Lin and Bilmes, "A class of submodular
       functions for document summarization" (ACL 2011), with the weights of terms.weights(), which favour the
       beginning, emphasis, and words of quality and style; the keywords of the analysis are added.
    4. The chosen pieces are joined in their original order.
    """
    if len(text) < limit:
        return text
    text = segments.clean(text)
    pieces = segments.split(text, limit)
    said = words(text)
    found = _terms(pieces, said)
    kept = _without_repeats(found) or [*range(len(pieces))]
    shorter = _join(pieces, kept)
    if len(shorter) >= limit:
        weight = weights(text, said)
        _add_keywords(text, said, pieces, found, weight)
        kept = sorted(_best(pieces, found, kept, weight, limit - 1))
        shorter = _join(pieces, kept)
    return shorter or segments.cut(text.strip(), limit - 1)


def _terms(pieces: list[Piece], said: list[Word]) -> list[frozenset[str]]:
    """Return the terms of each piece's content words. Pieces and words are both in order."""
    found: list[frozenset[str]] = []
    at = 0
    for piece in pieces:
        own: set[str] = set()
        while at < len(said) and said[at].start < piece.end:
            if said[at].content:
                own.update(said[at].terms)
            at += 1
        found.append(frozenset(own))
    return found


def _add_keywords(
    text: str, said: list[Word], pieces: list[Piece], found: list[frozenset[str]], weight: dict[str, float]
) -> None:
    """Add each keyword of the analysis as a term, heavier than all others, to the pieces that contain it."""
    heaviest = max(weight.values(), default=0.0)
    best = keywords(text, said)
    for at, piece in enumerate(pieces):
        lower = piece.text.casefold()
        found[at] |= {f" {one.keyword}" for one in best if one.keyword in lower}
    weight |= {f" {one.keyword}": (1 + one.score) * heaviest for one in best}


def _without_repeats(found: list[frozenset[str]]) -> list[int]:
    """Return the pieces without repetitions of an earlier one, and without those that have no terms.

    Two sets that are alike to ALIKE share one of their rarest terms (prefix filtering: Chaudhuri, Ganti, Kaushik, "A
    primitive operator for similarity joins", ICDE 2006), so only such pairs are compared.
    """
    known: set[frozenset[str]] = set()
    by_term: dict[str, list[int]] = {}
    commonness = Counter(term for said in found for term in said)
    kept = []
    for at, said in enumerate(found):
        if not said or said in known:
            continue
        rarest = sorted(said, key=lambda term: (commonness[term], term))[: len(said) - int(ALIKE * len(said)) + 1]
        others = {other for term in rarest for other in by_term.get(term, ())}
        if any(len(said & found[other]) >= ALIKE * len(said | found[other]) for other in others):
            continue
        known.add(said)
        kept.append(at)
        for term in rarest:
            by_term.setdefault(term, []).append(at)
    return kept


def _best(
    pieces: list[Piece], found: list[frozenset[str]], kept: list[int], weight: dict[str, float], budget: int
) -> list[int]:
    """Choose pieces by lazy greedy: a gain never rises, so a first piece whose gain is up to date is the best."""
    worth = dict(weight)
    chosen: list[int] = []

    def gain(at: int) -> float:
        factor = FIRST_FACTOR if at == kept[0] else 1.0
        # Sorted, because a float sum depends on its order and the order of a set on the process.
        total = sum(sorted(worth.get(term, 0.0) for term in found[at]))
        return factor * total / (len(pieces[at].text) + MARK_COST)

    heap = [(-gain(at), at) for at in kept]
    heapq.heapify(heap)
    while heap:
        _, at = heapq.heappop(heap)
        cost = len(pieces[at].text) + MARK_COST
        if cost > budget + 1:  # the last one has no space after it
            continue
        now = gain(at)
        if heap and now < -heap[0][0]:
            heapq.heappush(heap, (-now, at))
            continue
        chosen.append(at)
        budget -= cost
        for term in found[at]:
            worth[term] = worth.get(term, 0.0) * REPEATED
    return chosen


def _join(pieces: list[Piece], kept: list[int]) -> str:
    """Join the kept pieces with the strongest mark between them, or a comma if only words were left out."""
    text = ""
    for at, after in pairwise(kept):
        mark = max((piece.mark for piece in pieces[at:after]), key=_strength)
        if not _strength(mark) and after > at + 1:
            mark = ","
        text += pieces[at].text + mark + ("" if mark in _NO_SPACE_AFTER or not mark.strip() else " ")
    for at in kept[-1:]:
        text += pieces[at].text + (pieces[at].mark if _strength(pieces[at].mark) == SENTENCE else "")
    return text


def _strength(mark: str) -> int:
    """Return how strongly a mark divides: nothing and a space 0, commas 1, ends of sentences 2, a new line 3."""
    if not mark.strip():
        return 3 if mark == "\n" else 0
    return SENTENCE if mark in _SENTENCE_ENDS else 1
