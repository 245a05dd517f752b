"""Cuts a prompt into pieces that can be left out one by one, never within a word, a group or a grapheme."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Final

from lambdas.domain.prompts.terms import MARKS, UNSPACED
from lambdas.domain.prompts.vocabulary import STOP_WORDS

MAX_PIECE: Final = 140  # characters of a piece; a longer one is cut between words, if possible before a function word
MIN_PIECE: Final = 40  # characters that such a cut leaves, at least
MAX_GROUP: Final = 1000  # characters; a longer bracketed stretch is plain text
MAX_QUOTE: Final = 200
DASHES: Final = "\u2013\u2014"

_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")  # lone surrogates too
_PAIRS: Final = dict(zip(")]}\uff09\u3011\u300b\u300d\u300f", "([{\uff08\u3010\u300a\u300c\u300e", strict=True))
_QUOTES: Final = re.compile(
    rf'"[^"\n]{{1,{MAX_QUOTE}}}"|“[^”\n]{{1,{MAX_QUOTE}}}”|„[^“”\n]{{1,{MAX_QUOTE}}}[“”]'
    r"|<[^<>\s]{1,200}>"  # <lora:name:0.8>
)
_MARK: Final = re.compile(
    r"\n"
    r"| ?(?<![.!?…;])[.!?…;]++(?=\s|$)\s?"  # only from the first of a run, otherwise a run of n would be read n times
    r"| ?(?:(?<!\d),+|,+(?!\d))\s?"  # not within 3,000
    rf"|\s?[{MARKS}]+\s?"
    rf"|\s[|{DASHES}-]+\s|\s?\u2014\s?"
)
_SPACE: Final = re.compile(r"\s+")
_UNSPACED: Final = re.compile(f"[{UNSPACED}]")
_WORD_AHEAD: Final = re.compile(r"\s?([^\W\d_]+)")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the prompt without the white space around it, and the mark that follows it there."""

    text: str
    start: int  # the position in the prompt
    end: int
    mark: str  # "," "." "\n" and the like; " " or "" where it was cut without one


def clean(text: str) -> str:
    """Replace control characters and lone surrogates, and reduce each white space to one space or new line."""
    return _SPACE.sub(lambda found: "\n" if "\n" in found[0] else " ", _CONTROL.sub(" ", text))


def split(text: str, limit: int) -> list[Piece]:
    """Return the pieces of a clean text, in order, each shorter than `limit`; a longer single word is cut short."""
    inside = _inside_groups(text)
    pieces: list[Piece] = []
    start = 0
    for match in _MARK.finditer(text):
        if match.start() >= start and not inside[match.start()]:
            pieces += _bounded(text, start, match.start(), _mark(match[0]), inside)
            start = match.end()
    pieces += _bounded(text, start, len(text), " ", inside)
    return [replace(piece, text=cut(piece.text, limit - 1)) if len(piece.text) >= limit else piece for piece in pieces]


def cut(text: str, most: int) -> str:
    """Return the longest beginning of at most `most` characters that does not end within a grapheme."""
    at = min(most, len(text))
    while 0 < at < len(text) and _joined(text, at):
        at -= 1
    return text[: at or most]  # a grapheme with stacked marks may be longer than that


def _bounded(text: str, start: int, end: int, mark: str, inside: bytearray) -> list[Piece]:
    """Return the text between two marks in pieces of at most MAX_PIECE characters, where it can be cut."""
    pieces: list[Piece] = []
    while end - start > MAX_PIECE and (at := _place(text, start, end, inside)) < end:
        pieces.append(Piece(_tidy(text[start:at]), start, at, " " if text[at].isspace() else ""))
        start = at
    pieces.append(Piece(_tidy(text[start:end]), start, end, mark))
    return [piece for piece in pieces if piece.text]


def _place(text: str, start: int, end: int, inside: bytearray) -> int:
    """Return where to cut: before a function word, else at white space, else in a script without spaces."""
    least, most = start + MIN_PIECE, min(start + MAX_PIECE, end - 1)
    spaces = [at for at in range(most, least, -1) if text[at].isspace() and not inside[at]]
    for at in spaces:
        word = _WORD_AHEAD.match(text, at)
        if word and word[1].casefold() in STOP_WORDS:
            return at
    if spaces:
        return spaces[0]
    for at in range(most, least, -1):
        if (_UNSPACED.match(text, at) or text[at] in "([{<") and not inside[at] and not _joined(text, at):
            return at
    return next((at for at in range(most, end) if text[at].isspace() and not inside[at]), end)


def _mark(found: str) -> str:
    """Return the one character that represents the marks between two pieces."""
    bare = found.strip()
    if not bare:
        return "\n"
    return "," if bare[0] in f"|-{DASHES}" else bare[0]


def _tidy(text: str) -> str:
    return text.replace("\n", " ").strip()


def _inside_groups(text: str) -> bytearray:
    """Return for each character whether it continues a bracketed or quoted stretch."""
    spans = [match.span() for match in _QUOTES.finditer(text)]
    opened: list[int] = []
    waiting = dict.fromkeys(_PAIRS.values(), 0)
    for at, char in enumerate(text):
        if text[at - 1 : at] == "\\":
            continue  # an escaped bracket is a plain character, and so is one without its counterpart
        if char in waiting:
            opened.append(at)
            waiting[char] += 1
        elif waiting.get(_PAIRS.get(char, "")):
            first = opened.pop()
            waiting[text[first]] -= 1
            while text[first] != _PAIRS[char]:
                first = opened.pop()
                waiting[text[first]] -= 1
            spans.append((first, at + 1))
    inside = bytearray(len(text) + 1)
    for first, last in spans:
        if last - first <= MAX_GROUP:
            inside[first + 1 : last] = b"\x01" * (last - first - 1)
    return inside


def _joined(text: str, at: int) -> bool:
    """Return whether the characters before and at `at` belong together: UAX #29, slightly on the safe side."""
    before, after = text[at - 1], text[at]
    # joiners and signs that precede their base; tags of flags are of that class but follow theirs
    if (unicodedata.category(before) == "Cf" and before < "\U000e0000") or before == "\u0d4e":
        return True
    if after < "\u0300":
        return before == "\r" and after == "\n"
    if unicodedata.category(after)[0] == "M" or after in "\u200c\u200d\u0e33\u0eb3":
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0000" <= after <= "\U000e0fff":  # skin tones, tags
        return True
    marks = at
    while marks and unicodedata.category(text[marks - 1])[0] == "M":
        marks -= 1
        if unicodedata.combining(text[marks]) == 9:  # an Indic virama binds the next consonant
            return True
    if _is_flag_letter(after):  # flags are pairs of letters
        first = at
        while first and _is_flag_letter(text[first - 1]):
            first -= 1
        return (at - first) % 2 == 1
    return (_is_jamo(before) and _is_hangul(after)) or (_is_hangul(before) and _is_jamo(after))


def _is_flag_letter(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _is_jamo(char: str) -> bool:
    return "\u1100" <= char <= "\u11ff" or "\ua960" <= char <= "\ua97c" or "\ud7b0" <= char <= "\ud7fb"


def _is_hangul(char: str) -> bool:
    return _is_jamo(char) or "\uac00" <= char <= "\ud7a3"
