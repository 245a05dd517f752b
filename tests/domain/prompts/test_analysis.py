"""The prompt analysis: figures within their bounds for any text, in a plausible order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.domain.prompts.analysis import MAX_KEYWORDS, Analysis, Keyword, analyse
from lambdas.domain.prompts.terms import stem, terms, weights, words
from tests.support.prompt_corpus import CORPUS
from tests.support.properties import examples


def names(text: str) -> list[str]:
    return [keyword.keyword for keyword in analyse(text).keywords]


@given(st.one_of(st.text(max_size=400), st.text(st.characters(exclude_categories=()), max_size=100)))
@examples(200)
def test_any_text_has_figures_within_their_bounds(text: str) -> None:
    found = analyse(text)
    assert 0 <= found.complexity_score <= 1
    assert 0 <= found.readability <= 100
    assert len(found.keywords) <= MAX_KEYWORDS
    scores = [keyword.score for keyword in found.keywords]
    assert all(0 <= score <= 1 for score in scores)
    assert scores == sorted(scores, reverse=True)
    assert not scores or scores[0] == 1
    assert all(keyword in text.casefold() for keyword in names(text))
    assert analyse(text) == found


@pytest.mark.parametrize("text", ["", " ", "\n", "!!!", "...", "the and of"])
def test_a_text_that_says_nothing(text: str) -> None:
    assert analyse(text).keywords == ()
    assert analyse(text).complexity_score == 0


def test_one_word() -> None:
    assert analyse("cat") == Analysis(0.0, 99.0, (Keyword("cat", 1.0),))


def test_more_things_are_more_complex() -> None:
    prompts = [
        "a cat",
        "a cat on a sofa",
        "a cat on a red sofa beside a window, rain outside, oil painting",
        CORPUS[-8].prompt,
    ]
    scores = [analyse(prompt).complexity_score for prompt in prompts]
    assert scores == sorted(scores)
    assert scores[0] < 0.2 < scores[2] < scores[3] < 1


def test_saying_it_again_is_not_more_complex() -> None:
    once = "a cat on a red sofa beside a window, rain outside, oil painting"
    assert analyse(", ".join([once] * 30)).complexity_score <= analyse(once).complexity_score


def test_short_words_in_short_phrases_read_more_easily() -> None:
    easy = "A cat sits on a mat. It is red."
    hard = (
        "Photorealistic postapocalyptic megastructures dominating inhospitable extraterrestrial landscapes "
        "notwithstanding catastrophic atmospheric disturbances surrounding uninhabitable settlements"
    )
    assert analyse(easy).readability > 90
    assert analyse(hard).readability < 20


def test_keywords_are_phrases_and_the_best_come_first() -> None:
    text = "a snow leopard, the snow leopard on a rock, a (crooked lantern:1.4), oil painting, with a bird"
    assert names(text)[0] == "snow leopard"
    assert {"snow leopard", "crooked lantern", "oil painting", "rock", "bird"} == set(names(text))
    assert names(text).index("crooked lantern") < names(text).index("rock")


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("夕暮れの海辺を歩く少女、アニメ調", "少女"),
        ("樱花树下的白狐，水墨画风格", "白狐"),  # noqa: RUF001
        ("แมวสีส้มนอนบนโซฟา", "แมวสีส้มนอนบ"),
        ("старый маяк на скале", "старый маяк"),
        ("벚꽃 아래의 하얀 여우", "벚꽃 아래의 하얀"),
        ("قطة سوداء تحت المطر", "قطة سوداء تحت"),
        ("एक बूढ़ा नाविक", "एक बूढ़ा नाविक"),
        ("un perro en la playa", "perro"),
        ("🐱 on a 🚀", "🐱"),
        ("8k, f/1.8, 3,000 gulls", "3,000 gulls"),
    ],
)
def test_keywords_of_every_script(text: str, keyword: str) -> None:
    assert keyword in names(text)


def test_terms_compare_words_by_what_they_mean() -> None:
    assert terms("The Cats' paws") == terms("cat, paw")
    assert terms("ultra-detailed") == terms("Ultra detailed")
    assert stem("glass") == "glass"
    assert stem("ｃａｔｓ") == "cat"  # noqa: RUF001
    assert [word.text for word in words("don't stop, o'clock (lamp:1.2)")] == [
        "don't",
        "stop",
        "o'clock",
        "lamp",
        "1.2",
    ]


def test_weights_heed_frequency_place_emphasis_and_style() -> None:
    found = weights("boat, harbor, (gull:1.3), bokeh, net, boat")
    assert found["boat"] > found["harbor"] > found["net"]
    assert found["gull"] > found["harbor"]
    assert found["bokeh"] > found["gull"]
    assert weights("(gull:0.8)") == weights("gull")
