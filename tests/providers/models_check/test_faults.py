"""The operator's check with failing services: it reports them, in time, without showing a key."""

from __future__ import annotations

import pytest

from lambdas.providers.models_check.__main__ import main
from tests.doubles import runware as runware_double
from tests.doubles.accounts import TODAY, World


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("LEONARDO_API_KEY", "Leonardo answered HTTP 401: Authentication hook unauthorized this request"),
        ("RUNWARE_API_KEY", "Runware answered HTTP 401: Invalid API key ***."),
        ("GEMINI_API_KEY", "Gemini answered HTTP 400: API key not valid. Please pass a valid API key."),
    ],
)
def test_a_wrong_key_is_told_and_not_shown(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, setting: str, told: str
) -> None:
    wrong = "deadbeef-6f4e-4d0a-9a58-3f6f2f1c8e01"
    if setting == "RUNWARE_API_KEY":
        echo = runware_double._error(401, "invalidApiKey", f"Invalid API key {wrong}.")
        monkeypatch.setitem(world.runware.refusals, "not_authorized", echo)
    assert main([], {**world.environ, setting: wrong}, TODAY) == 2
    shown = capsys.readouterr()
    assert f"could not be asked: {told}\n" in shown.out
    assert wrong not in shown.out + shown.err


def test_runwares_refusal_of_a_key_under_another_status(world: World) -> None:
    world.runware.refusals["key_400"] = runware_double._error(400, "invalidApiKey", "No.")
    try:
        world.runware.inject("key_400", at="ask")
        assert world.states("RUNWARE_API_KEY") == {"-": "could not be asked: Runware answered HTTP 400: No."}
    finally:
        del world.runware.refusals["key_400"]


SERVICES = {
    "aws": ("BEDROCK", "SAGEMAKER_ENDPOINT"),
    "leonardo": ("LEONARDO_API_KEY",),
    "runware": ("RUNWARE_API_KEY",),
    "gemini": ("GEMINI_API_KEY",),
    "comfyui": ("COMFYUI_URL",),
    "ollama": ("OLLAMA_URL",),
}


@pytest.mark.parametrize("fault", ["hang", "drip", "reset"])
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_cannot_be_asked_holds_nobody_up(
    world: World, service: str, fault: str, waits: list[float]
) -> None:
    getattr(world, service).inject(fault, times=None, at="ask")
    states = world.states(*SERVICES[service][:1], timeout=0.2)
    assert 0 < max(waits) <= 0.2
    assert states
    assert all(state.startswith("could not be asked: ") for state in states.values())


@pytest.mark.parametrize(
    ("service", "fault"),
    [
        ("aws", "denied"),
        ("aws", "no_list"),
        ("aws", "list"),
        ("aws", "deep"),
        ("leonardo", "html"),
        ("leonardo", "internal"),
        ("leonardo", "graphql_list"),
        ("runware", "sign_in_page"),
        ("runware", "list"),
        ("runware", "edge_page"),
        ("gemini", "no_candidates"),
        ("gemini", "unavailable"),
        ("comfyui", "html"),
        ("comfyui", "gone"),
        ("ollama", "internal"),
    ],
)
def test_strange_answers_are_no_findings(world: World, service: str, fault: str) -> None:
    getattr(world, service).inject(fault, times=None, at="ask")
    states = world.states(*SERVICES[service])
    assert states
    assert all(state.startswith("could not be asked: ") for state in states.values()), states
