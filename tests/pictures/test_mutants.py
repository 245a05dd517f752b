"""A few corrupted pictures through every way in; `make fuzz` sends many."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest
from PIL import Image

from lambdas.adapters.images.pictures import PillowPictures
from lambdas.domain.failures import Failure, ProviderFailure
from tests.pictures.made import seeds
from tests.pictures.mutants import mutant
from tests.pictures.ways import Ways, tried


def test_there_are_seeds_of_every_kind_and_mutants_are_the_same_again() -> None:
    assert len(seeds()) >= 30
    assert {name.split()[0] for name in seeds()} == {"png", "jpeg", "webp"}
    numbers = range(500)
    assert [mutant(n, 1) for n in numbers] == [mutant(n, 1) for n in numbers]
    made = {mutant(n, 1)[1] for n in numbers}
    assert len(made) > 450
    assert not made <= set(seeds().values())


@pytest.mark.parametrize("name", sorted(Ways().all()))
def test_every_spoilt_picture_has_a_known_end(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    found = tried(range(250), 7, name)
    assert (found.count, found.faults) == (250, [])


def test_what_escapes_or_costs_too_much_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise TypeError("from a codec")

    monkeypatch.setattr(PillowPictures, "fit", fails)
    assert len(tried(range(5), 1, "a provider's picture").faults) == 5
    monkeypatch.setattr(PillowPictures, "fit", lambda *_: _lost(Failure.TIMEOUT))
    assert len(tried(range(5), 1, "a provider's picture").faults) == 5
    monkeypatch.setattr(PillowPictures, "fit", lambda *_: _lost(Failure.BAD_ANSWER))
    assert tried(range(5), 1, "a provider's picture").faults == []
    assert len(tried(range(5), 1, "a provider's picture", -1.0).faults) == 5


def _lost(code: Failure) -> None:
    raise ProviderFailure(code, "x")


def test_pillow_s_own_opener_lets_some_of_them_escape() -> None:
    """The mutants are worth sending: without the door some raise what no caller expects."""
    raised: set[str] = set()
    for number in range(2000):
        try:
            with Image.open(io.BytesIO(mutant(number, 1)[1])) as opened:
                if opened.width * opened.height < 10**6:
                    opened.load()
                    opened.getexif()
                    opened.convert("RGBA")
        except Exception as error:
            raised.add(type(error).__name__)
    assert raised - {"UnidentifiedImageError", "OSError", "ValueError"}, raised
