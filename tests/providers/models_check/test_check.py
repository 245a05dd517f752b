"""The operator's check of the catalogue: each state of a model at each service, and the command."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import lambdas
from lambdas.domain import catalogue
from lambdas.domain.catalogue.cards import bedrock, comfyui, gemini, leonardo_ai, runware_ai, sagemaker
from lambdas.domain.providers import PROVIDERS
from lambdas.providers.models_check import findings as f
from lambdas.providers.models_check.__main__ import _checks, main
from lambdas.providers.models_check.services import LEONARDO_LISTS
from lambdas.settings import Settings
from tests.doubles.accounts import KEYS, TEXT, TODAY, World
from tests.doubles.aws_accounts import model

CORE, SD35, ULTRA, SCENE, CUTTER = (card.id for card in bedrock.CARDS)
GPU_MODELS = [card.id for card in sagemaker.CARDS]
PREVIEW = "gemini-3-pro-image-preview"

IMPORTS = r"^\s*(import|from) requests\b"


def test_all_is_well_and_nothing_is_paid(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], world.environ, TODAY) == 0
    told = capsys.readouterr().out
    lines = {line.split()[1]: line.split(maxsplit=2) for line in told.splitlines() if "(prompts)" not in line}
    assert {c.id for c in catalogue.CARDS if c.provider != "demo"} <= lines.keys()
    assert {lines[c.id][2] for c in catalogue.CARDS if c.provider not in ("demo", "runware_ai", "sagemaker")} == {"ok"}
    assert all(lines[card.id][2].startswith("unchecked: ") for card in runware_ai.CARDS)
    assert "bedrock (prompts)  openai.gpt-oss-20b-1:0 " in told
    assert "ollama (prompts)   gpt-oss:20b " in told
    assert not any(service.works or service.paid for service in world.services)
    assert not any(key in told for key in KEYS)


def test_what_is_not_configured_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], {}, TODAY) == 0
    told = capsys.readouterr().out
    for setting in ("BEDROCK", "LEONARDO_API_KEY", "RUNWARE_API_KEY", "GEMINI_API_KEY", "COMFYUI_URL", "OLLAMA_URL"):
        assert f"skipped: not configured ({setting})" in told
    assert "skipped: not configured (SAGEMAKER_ENDPOINT or GPU_WORKER_URL)" in told


def test_the_states_of_bedrock(world: World) -> None:
    editing = model("stability.stable-outpaint-v1:0", ways=("INFERENCE_PROFILE",))
    life: dict[str, Any] = {"legacyTime": "2026-10-01T00:00:00Z", "publicExtendedAccessTime": "2027-01-01T00:00:00Z"}
    world.aws.models["us-west-2"] = [
        model(CORE, status="LEGACY", endOfLifeTime="2027-04-01T00:00:00Z", **life),
        model(SD35, ways=("PROVISIONED",)),
        model("stability.sd4-v1:0"),
        model("stability.stable-image-core-v1:0"),
        model("stability.old-v1:0", status="LEGACY"),
        model("amazon.nova-canvas-v1:0"),
        editing,
        model(TEXT, "TEXT", status="LEGACY"),
    ]
    states = world.states("BEDROCK")
    assert states.pop(CORE) == "legacy until 2027-04-01: since 2026-10-01, at a higher price from 2027-01-01"
    assert states.pop(SD35) == "gone: not to be had on demand in us-west-2"
    assert states.pop(ULTRA) == "gone: not listed in us-west-2"
    assert states.pop("stability.sd4-v1:0") == "not in the catalogue"
    ended = f"the catalogue holds it to have ended, with {CORE} after it"
    assert states.pop("stability.stable-image-core-v1:0") == f"not in the catalogue: {ended}"
    assert states.pop(TEXT) == "legacy, its end is not told"
    assert {states.pop(SCENE), states.pop(CUTTER)} == {"gone: not listed in us-west-2"}
    assert not states


def test_the_editing_services_are_found_by_their_profiles(world: World) -> None:
    states = world.states("BEDROCK")
    assert SCENE.startswith("us.")
    assert (states[SCENE], states[CUTTER]) == ("ok", "ok")


@pytest.mark.parametrize(
    ("life", "state"),
    [
        ({"endOfLifeTime": "2027-12-01T00:00:00Z"}, "ok until 2027-12-01"),
        ({"endOfLifeTime": "2027-01-19T00:00:00Z"}, "legacy until 2027-01-19"),
        ({"endOfLifeTime": "2026-11-20T00:00:00Z"}, "gone: it ended on 2026-11-20"),
        ({"status": "RESTING"}, "unchecked: its lifecycle is not told"),
    ],
)
def test_a_models_dates_count_whatever_its_status(world: World, life: dict[str, Any], state: str) -> None:
    world.aws.models["us-west-2"][0] = model(CORE, **life)
    assert world.states("BEDROCK")[CORE] == state


def test_the_models_region_is_asked_whatever_the_deployments(world: World) -> None:
    world.aws.models["eu-west-1"] = [model(TEXT, "TEXT")]
    states = world.states("BEDROCK", BEDROCK_REGION="eu-west-1")
    assert states[CORE] == states[TEXT] == "ok"


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("us.amazon.nova-micro-v1:0", "ok"),
        ("amazon.nova-micro-v1:0", "gone: not to be had on demand in us-west-2"),
        ("arn:aws:bedrock:us-west-2:1:x", "unchecked: an ARN stands in no list of models"),
        ("amazon.none", "gone: not listed in us-west-2"),
    ],
)
def test_the_text_model_may_be_an_inference_profile(world: World, name: str, state: str) -> None:
    world.aws.models["us-west-2"].append(model("amazon.nova-micro-v1:0", "TEXT", ways=("INFERENCE_PROFILE",)))
    assert world.states("BEDROCK", BEDROCK_TEXT_MODEL=name)[name] == state


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("InService", "ok: the endpoint is InService"),
        ("Updating", "ok: the endpoint is Updating"),
        ("Creating", "unchecked: the endpoint is Creating"),
        ("Failed", "gone: the endpoint is Failed"),
    ],
)
def test_the_states_of_the_endpoint(world: World, status: str, state: str) -> None:
    world.aws.status = status
    assert world.states("SAGEMAKER_ENDPOINT") == dict.fromkeys(GPU_MODELS, state)


def test_an_endpoint_that_is_not_there(world: World) -> None:
    states = world.states("-", SAGEMAKER_ENDPOINT="another")
    assert states == dict.fromkeys(GPU_MODELS, "gone: there is no endpoint of that name")


def test_a_worker_at_hand_is_asked_instead_of_the_endpoint(world: World) -> None:
    settings: dict[str, Any] = {"GPU_WORKER_URL": world.gpu.url, "SAGEMAKER_ENDPOINT": "another"}
    assert world.states("-", **settings) == dict.fromkeys(GPU_MODELS, "ok: the worker is ready")
    world.gpu.inject("busy", at="ask")
    told = "could not be asked: the GPU worker answered HTTP 503: these are the worker's words"
    assert world.states("-", **settings) == {"-": told}


def test_leonardos_lists_prove_presence_and_no_absence(world: World) -> None:
    assert LEONARDO_LISTS.keys() == {card.id for card in leonardo_ai.CARDS}
    world.leonardo.listed = {"v2": ["FLUX.Dev"], "v1": ["Phoenix 1.0"]}
    states = world.states("LEONARDO_API_KEY")
    assert states["flux-dev"] == states["phoenix-v1.0"] == "ok"
    why = 'no list of the account names "Lucid Origin", but they do not name all; try it'
    assert states["lucid-origin"] == f"unchecked: {why}"


def test_the_states_of_gemini_over_pages(world: World) -> None:
    world.gemini.listed = ("gemini-2.5-pro", gemini.CARDS[0].id, "a", "b", "gemini-4-flash-image", PREVIEW, "imagery")
    states = world.states("GEMINI_API_KEY")
    assert len(world.gemini.calls) == 4
    assert [states.pop(card.id) for card in gemini.CARDS] == ["ok", *["gone: not listed for this key"] * 2]
    assert states.pop("gemini-4-flash-image") == "not in the catalogue"
    assert states.pop(PREVIEW).startswith("not in the catalogue: the catalogue holds it to have ended")
    assert not states


def test_a_list_without_end_and_one_that_is_too_long(world: World) -> None:
    world.gemini.listed = tuple(f"m{i}" for i in range(60))
    assert world.states("GEMINI_API_KEY") == {"-": "could not be asked: the list of Gemini has no end"}
    assert len(world.gemini.calls) == 20
    found = f.unlisted("gemini", [f"x{i:02}-\x1b[31m{'y' * 500}" for i in range(30)])
    assert len(found) == f.MAX_UNLISTED + 1
    assert found[-1].model == "10 more"
    assert all(len(finding.model) <= 200 and finding.model.isprintable() for finding in found)


@pytest.mark.parametrize("newer", [False, True])
def test_the_states_of_comfyui(world: World, newer: bool) -> None:
    world.comfyui.newer = newer
    dev, fp8 = (card.id for card in comfyui.CARDS)
    assert world.states("COMFYUI_URL") == {dev: "ok", fp8: "ok"}
    world.comfyui.absent = {"ae.safetensors", "clip_l.safetensors"}
    lacks = "no clip_l.safetensors for DualCLIPLoader; no ae.safetensors for VAELoader"
    assert world.states("COMFYUI_URL") == {dev: f"gone: {lacks}", fp8: "ok"}
    world.comfyui.absent = {"FluxGuidance", "ImageScale"}
    lacks = "gone: no node FluxGuidance; no node ImageScale"
    assert world.states("COMFYUI_URL") == {dev: lacks, fp8: lacks}


def test_the_text_model_of_ollama(world: World) -> None:
    assert world.states("OLLAMA_URL") == {"gpt-oss:20b": "ok"}
    assert world.states("OLLAMA_URL", OLLAMA_MODEL="llama3.2") == {"llama3.2": "ok"}
    assert world.states("OLLAMA_URL", OLLAMA_MODEL="qwen") == {"qwen": "gone: not pulled"}


def test_a_model_that_is_not_allowed_is_not_looked_at(world: World) -> None:
    world.comfyui.absent = {"flux1-dev-fp8.safetensors"}
    states = world.states("COMFYUI_URL", "GEMINI_API_KEY", ALLOWED_MODELS="flux1-dev")
    left_out = "skipped: ALLOWED_MODELS leaves it out"
    assert states == {"flux1-dev": "ok", "flux1-dev-fp8": left_out} | {card.id: left_out for card in gemini.CARDS}
    assert not world.gemini.calls


def test_a_service_that_fails_does_not_hide_the_others(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.leonardo.inject("internal", at="ask")
    assert main(["--timeout", "5"], world.environ, TODAY) == 2
    assert f"{CORE} " in capsys.readouterr().out
    world.comfyui.absent = {"ae.safetensors"}
    world.leonardo.inject("internal", at="ask")
    assert main([], world.environ, TODAY) == 1


@pytest.mark.parametrize(
    ("finding", "status"),
    [
        (f.Finding("p", "m", f.OK), 0),
        (f.Finding("p", "m", f.OK, until=date(2026, 12, 1)), 1),
        (f.Finding("p", "m", f.UNCHECKED, "no way"), 0),
        (f.Finding("p", "m", f.UNLISTED), 0),
        (f.Finding("p", "m", f.SKIPPED), 0),
        (f.Finding("p", "m", f.LEGACY, until=date(2027, 1, 20)), 0),
        (f.Finding("p", "m", f.LEGACY, until=date(2027, 1, 19)), 1),
        (f.Finding("p", "m", f.LEGACY), 1),
        (f.Finding("p", "m", f.GONE), 1),
        (f.Finding("p", "m", f.NOT_ASKED), 2),
    ],
)
def test_the_exit_status(finding: f.Finding, status: int) -> None:
    assert f.exit_status([f.Finding("p", "n", f.OK), f.dated(finding, TODAY)], TODAY) == status


@pytest.mark.parametrize(
    ("ends", "until", "state"),
    [
        (date(2027, 3, 1), None, "ok until 2027-03-01"),
        (date(2027, 3, 1), date(2027, 2, 1), "ok until 2027-02-01"),
        (date(2026, 12, 1), date(2027, 2, 1), "legacy until 2026-12-01"),
        (TODAY, None, "gone: it ended on 2026-11-20"),
    ],
)
def test_the_catalogues_own_date_counts_where_it_is_earlier(
    monkeypatch: pytest.MonkeyPatch, ends: date, until: date | None, state: str
) -> None:
    monkeypatch.setattr(catalogue, "card", lambda name: replace(bedrock.CARDS[0], retires_on=ends))
    assert f.dated(f.Finding("bedrock", CORE, f.OK, until=until), TODAY).text == state


def test_a_setting_that_cannot_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], {"JOB_RETENTION_DAYS": "soon"}, TODAY) == 2
    assert "JOB_RETENTION_DAYS" in capsys.readouterr().err


def test_the_help_says_where_settings_come_from(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"], {}, TODAY)
    assert "neither `.env` nor the" in capsys.readouterr().out


def test_every_provider_has_its_question() -> None:
    assert tuple(_checks(Settings())) == PROVIDERS


def test_no_other_part_of_the_service_imports_it() -> None:
    root = Path(lambdas.__file__).parent
    others = [path for path in root.rglob("*.py") if "models_check" not in path.parts]
    assert not [path for path in others if "models_check" in path.read_text("utf-8")]


def test_no_function_needs_the_package_that_only_this_check_has() -> None:
    root = Path(lambdas.__file__).parent
    users = {path.parent.name for path in root.rglob("*.py") if re.search(IMPORTS, path.read_text("utf-8"), re.M)}
    assert users == {"models_check"}
    assert "requests" not in (root / "requirements.lock").read_text("utf-8")
