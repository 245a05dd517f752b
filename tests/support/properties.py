"""Settings of the property tests: the same examples in every run, or in `make fuzz` others and ten times as many."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

SAME, FUZZ = "same", "fuzz"
_USUAL, _MANY = 100, 1000


def register() -> None:
    """The profiles; `pytest --hypothesis-profile fuzz` chooses the other. In neither is a test judged by the clock."""
    unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile(SAME, unhurried, derandomize=True, max_examples=_USUAL)
    settings.register_profile(FUZZ, unhurried, derandomize=False, max_examples=_MANY, print_blob=True)
    settings.load_profile(SAME)


def times() -> int:
    """How many times the usual number of examples is drawn."""
    assert settings.default
    return settings.default.max_examples // _USUAL


def examples(count: int) -> settings:
    """For a test with another number of examples than most."""
    return settings(max_examples=count * times())
