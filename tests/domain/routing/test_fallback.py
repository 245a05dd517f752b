"""After which failures the next model is asked, and in which order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lambdas.domain.catalogue import CARDS
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.errors import FieldError
from lambdas.domain.failures import Failure, Paid
from lambdas.domain.jobs.request import ImageRequest
from lambdas.domain.routing.fallback import MAX_LOSSES, candidates, may_fall_back, unsupported_reason
from lambdas.domain.routing.ranking import Ranking


def card(model: str, provider: str, **facts: object) -> ModelCard:
    return replace(CARDS[0], id=model, provider=provider, **facts)  # type: ignore[arg-type]


A1, A2, B1, C1 = card("a-1", "a"), card("a-2", "a"), card("b-1", "b"), card("c-1", "c")
RANKED = Ranking(ready=(B1, A1, C1), spare=(A2,), resting=(card("d-1", "d"),), free_at=100.0)


@pytest.mark.parametrize("paid", ["no", "unknown"])
@pytest.mark.parametrize("code", Failure)
def test_only_the_requests_own_faults_end_it(code: Failure, paid: Paid) -> None:
    assert may_fall_back(code, paid) == (code not in (Failure.CONTENT_POLICY, Failure.INVALID_REQUEST))


def test_what_may_have_been_paid_in_vain_is_bounded() -> None:
    assert may_fall_back(Failure.OUTCOME_UNKNOWN, "unknown", MAX_LOSSES - 1)
    assert not may_fall_back(Failure.OUTCOME_UNKNOWN, "unknown", MAX_LOSSES)
    assert may_fall_back(Failure.THROTTLED, "no", MAX_LOSSES)


@pytest.mark.parametrize(
    ("model", "provider", "fallback", "expected"),
    [
        (None, "auto", True, "b-1 a-1 c-1"),
        (None, "auto", False, "b-1"),
        (None, "c", True, "c-1 b-1 a-1"),
        (None, "c", False, "c-1"),
        ("a-2", "auto", True, "a-2 b-1 c-1 a-1"),
        ("a-2", "a", False, "a-2"),
        (None, "auto", ("c", "a"), "c-1 a-1"),
        (None, "a", ("c", "a", "b"), "a-1 c-1 b-1"),
        ("a-2", "auto", ("c-1", "a"), "a-2 c-1 a-1"),
        (None, "auto", (), ""),
        (None, "auto", ("nobody", "b"), "b-1"),
        (None, "d", True, "b-1 a-1 c-1"),
        (None, "d", False, ""),
        ("d-1", "d", ("d", "c"), "c-1"),
    ],
)
def test_candidates(model: str | None, provider: str, fallback: bool | tuple[str, ...], expected: str) -> None:
    assert " ".join(c.id for c in candidates(model, provider, fallback, RANKED)) == expected


def test_able() -> None:
    request = ImageRequest("x" * 500)
    plain = card("p", "p", prompt_max=500)
    image = card("i", "i", references=1, capabilities=frozenset({"text-to-image", "image-to-image"}))
    assert unsupported_reason(plain, request) is None
    long = unsupported_reason(plain, replace(request, prompt="x" * 501))
    assert long
    assert (long.field, "500" in long.message) == ("prompt", True)
    given = unsupported_reason(plain, replace(request, reference_field="reference_image"), references=1)
    assert given
    assert (given.field, "reference" in given.message) == ("reference_image", True)
    assert unsupported_reason(image, request, references=1) is None
    assert "not 2" in str(unsupported_reason(image, request, references=2))


def test_a_model_is_not_asked_to_avoid_more_than_it_can_read() -> None:
    brief = card("brief", "a", honours=frozenset({"negative_prompt"}), negative_prompt_max=1000)
    assert unsupported_reason(brief, ImageRequest("x", negative_prompt="y" * 1000)) is None
    assert unsupported_reason(brief, ImageRequest("x", negative_prompt="y" * 1001)) == FieldError(
        "negative_prompt", "brief takes negative prompts of 1000 characters; this one has 1001"
    )
    deaf = replace(brief, honours=frozenset())  # it drops it, and says so
    assert unsupported_reason(deaf, ImageRequest("x", negative_prompt="y" * 1001)) is None
