"""The compressor: short enough, no broken words, and the important content is kept."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from statistics import mean

import pytest
import regex
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lambdas.domain.prompts import LIMIT, segments, terms
from lambdas.domain.prompts.analysis import analyse
from lambdas.domain.prompts.compress import compress
from tests.support.prompt_corpus import CORPUS, Sample
from tests.support.properties import examples

ROOT = Path(__file__).parents[3]
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C")), min_size=1, max_size=12)
CLAUSES = st.lists(WORDS, min_size=1, max_size=9).map(" ".join)
JOINTS = st.sampled_from([", ", ". ", "\n", "; ", " ", "! ", " - ", "，", "。"])  # noqa: RUF001
LONG = st.builds(
    lambda clauses, joint, times: (joint.join(clauses) + joint) * times,
    st.lists(CLAUSES, min_size=5, max_size=60),
    JOINTS,
    st.integers(1, 40),
).map(lambda text: text[:10_000])


def plain(text: str) -> str:
    return " ".join(text.casefold().replace(",", " ").replace("-", " ").split())


def survival(phrases: list[str], text: str) -> float:
    """The part of the phrases that stand in the text word for word."""
    return sum(plain(phrase) in plain(text) for phrase in phrases) / len(phrases)


@pytest.mark.parametrize("sample", CORPUS, ids=lambda sample: sample.name)
def test_what_a_prompt_is_about_survives(sample: Sample) -> None:
    assert len(sample.prompt) >= LIMIT
    short = compress(sample.prompt)
    assert len(short) < LIMIT
    keywords = [keyword.keyword for keyword in analyse(sample.prompt).keywords]
    assert survival(keywords, short) >= 0.9
    assert survival(list(sample.concepts), short) >= 0.8


def test_nearly_all_of_it_survives_over_the_corpus() -> None:
    assert len(CORPUS) >= 20
    assert mean(survival(list(sample.concepts), compress(sample.prompt)) for sample in CORPUS) >= 0.95


@given(st.one_of(LONG, st.text(min_size=LIMIT, max_size=LIMIT + 50), st.text(max_size=50).map(lambda t: t * 200)))
@settings(examples(60), suppress_health_check=list(HealthCheck))
def test_any_text_is_short_enough_and_twice_is_once(text: str) -> None:
    short = compress(text)
    assert len(short) < LIMIT
    assert bool(short.strip()) or not segments.clean(text).strip()
    assert compress(short) == short
    if len(text) < LIMIT:
        assert short == text


@given(LONG)
@settings(examples(60), suppress_health_check=list(HealthCheck))
def test_words_are_whole_and_in_order(text: str) -> None:
    def of(text: str) -> list[str]:  # a word ends where a group begins, for a piece may end there
        return re.sub(f"[{terms.MARKS},.;!?\u2026|{segments.DASHES}([{{<-]", " ", text).split()

    left = iter(of(text))
    assert all(word in left for word in of(compress(text)) if len(word) < segments.MAX_PIECE)


def test_weighted_groups_quotes_and_tags_of_files_are_whole() -> None:
    group = "(a long, winding river. And a mill:1.3)"
    prompt = ", ".join(
        f'{group}, sign "open, {i} hours", <lora:style_{i}:0.5>, ((nested {i}, deep):1.1)' for i in range(120)
    )
    short = compress(prompt)
    assert group in short
    groups = re.findall(r"\(\(nested \d+, deep\):1\.1\)", short)
    assert groups
    assert short.count("nested") == len(groups)
    assert short.count("lora") == len(re.findall(r"<lora:style_\d+:0\.5>", short)) > 0
    assert short.count("sign") == len(re.findall(r'"open, \d+ hours"', short)) > 0


def test_groups_without_spaces_between_them_are_whole() -> None:
    short = compress("(a:2)" * 2000)
    assert short == "(a:2)" * (len(short) // 5)


def test_what_is_said_twice_is_said_once() -> None:
    prompt = "a red fox in the snow, highly detailed, " * 150
    assert compress(prompt) == "a red fox in the snow, highly detailed"
    varied = ["a red fox in the deep white snow under old pines", "under old pines in the deep white snow is a red fox"]
    assert compress(". ".join(varied * 40)).count("pines") == 1
    plural = "many tall ships with torn white sails at anchor. many tall ship with torn white sail at anchors. " * 40
    assert compress(plural).count("anchor") == 1


def test_different_things_alike_are_both_kept() -> None:
    prompt = "a cat with one red eye, a cat with one blue eye, " + "filler words go here again, " * 150
    assert compress(prompt).startswith("a cat with one red eye, a cat with one blue eye")


def test_the_order_is_kept_and_sentences_end() -> None:
    prompt = "First a harbor. Then a boat, with sails. Last a gull. " + "Nothing new is said. " * 200
    assert compress(prompt) == "First a harbor. Then a boat, with sails. Last a gull. Nothing new is said."


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("x" * 10_000, "xxx"),
        ("👩‍👩‍👧" * 2000, "👩‍👩‍👧"),
        ("🇩🇪" * 5000, "🇩🇪🇩🇪"),
        ("!" * 9999, "!!!"),
        ("(" * 5000 + ")" * 5000, "((("),
        (" " * 9999 + "a", "a"),
        ("a,\n" * 3000, "a"),
        ("a" + "\u0301" * 9999, "a\u0301"),
        ("\ud800 cat," * 1000, "cat"),
        ("a cat\x00\x1b, " * 1000, "a cat"),
    ],
    ids=["word", "family", "flags", "marks", "brackets", "spaces", "lines", "stacked", "surrogates", "controls"],
)
def test_odd_prompts(text: str, start: str) -> None:
    short = compress(text)
    assert 0 < len(short) < LIMIT
    assert short.startswith(start)
    assert short == segments.clean(short)


def test_a_giant_word_is_cut_between_graphemes() -> None:
    family, flag = "👩\u200d👩\u200d👧", "🇩🇪"
    assert compress(family * 2000) == family * (2999 // len(family))
    assert compress(flag * 5000) == flag * 1499


@pytest.mark.parametrize(
    "grapheme",
    [
        "e\u0301",
        "\r\n",
        "क्षि",
        "กำ",
        "각",
        "👍🏽",
        "1\ufe0f\u20e3",
        "🏴\U000e0067\U000e0062\U000e007f",
        "❤\ufe0f\u200d🔥",
    ],
)
def test_graphemes_are_whole(grapheme: str) -> None:
    for most in range(1, 1 + len(grapheme)):
        assert segments.cut(f"ab{grapheme}c", 1 + most) == "ab"[: 1 + most]
    assert segments.cut(f"ab{grapheme}c", 2 + len(grapheme)) == f"ab{grapheme}"


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60), st.integers(1, 60))
@examples(300)
def test_cuts_agree_with_unicodes_own_rules(text: str, most: int) -> None:
    ends = {match.end() for match in regex.finditer(r"\X", text)}
    short = segments.cut(text, most)
    assert text.startswith(short)
    assert len(short) <= most
    # Where not even the first grapheme fits, or one could not tell where it ends, the cut is a plain one.
    assert len(short) in ends or len(short) == min(most, len(text))


def test_hostile_prompts_end_too() -> None:
    worst = ["a\n" * 5000, "a " * 5000, "(a:2)" * 2000, " - " * 3333, "".join(f"a{i}," for i in range(2000))[:10_000]]
    assert all(0 < len(compress(text)) < LIMIT for text in worst)


def test_every_process_finds_the_same() -> None:
    code = (
        "from lambdas.domain.prompts.compress import compress\nfrom tests.support.prompt_corpus import sprawling\n"
        "import hashlib\nprint(hashlib.sha256(compress(sprawling(1).prompt).encode()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(found) == 1
