"""Every provider of the table is configurable, and is in each list that is not derived from the table."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from infra import config
from lambdas.domain import catalogue
from lambdas.domain.providers import PROVIDERS, SECRETS, TABLE, ProviderEntry
from lambdas.providers.models_check.__main__ import _checks
from lambdas.settings import Settings
from local import banner
from local.settings import FUNCTION_SETTINGS
from tests.api.client import Client
from tests.support.fakes import FakeProvider, FakeProviders, Fakes

ROOT = Path(__file__).parent.parent.parent
BY_THE_TEMPLATE = {"BEDROCK", "SAGEMAKER_ENDPOINT"}  # what a deployment's functions are given without a setting
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
[INDEPENDENT] = [contract for contract in CONTRACTS if contract["name"] == "no provider imports another"]


def missing(entry: ProviderEntry) -> list[str]:
    """What is to be done for a provider that has its row, as sentences."""
    names = [name.upper() for name in entry.configured_by]
    secrets = {name.upper() for name in entry.secrets}
    known = {field.name for field in fields(Settings)}
    here = [name for name in names if name in FUNCTION_SETTINGS]
    switches = {switch.partition("=")[0] for who, given in banner.PROVIDERS for switch in given if who == entry.id}
    found = {
        f"lambdas/settings.py has no field {name}": name not in known for name in (*entry.configured_by, *entry.secrets)
    }
    found |= {
        f"infra/config.py has none of {names} in SETTINGS or SECRETS": not (
            {*names} & (config.SETTINGS | config.SECRETS | BY_THE_TEMPLATE)
        ),
        **{f"infra/config.py has no {name} in SECRETS": name not in config.SECRETS for name in sorted(secrets)},
        f"local/settings.py has none of {names}": not here,
        f"local/banner.py does not say how to turn {entry.id} on": not switches & set(names),
        f".env.example has none of {names}": not any(re.search(f"^#{name}=", EXAMPLE, re.MULTILINE) for name in names),
        f"lambdas/domain/catalogue/cards/{entry.id}.py has no card": not catalogue.cards_of(entry.id),
        f"pyproject.toml lets lambdas.providers.{entry.id} import another provider": (
            f"lambdas.providers.{entry.id}" not in INDEPENDENT["modules"]
        ),
        f"models_check has no question to {entry.id}": entry.id not in _checks(Settings()),
    }
    return [sentence for sentence, is_missing in found.items() if is_missing]


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.id)
def test_nothing_is_missing(entry: ProviderEntry) -> None:
    assert missing(entry) == []


def test_what_a_new_one_lacks_is_said() -> None:
    assert missing(ProviderEntry("toy", ("toy_api_key",), secrets=("toy_api_key",))) == [
        "lambdas/settings.py has no field toy_api_key",
        "infra/config.py has none of ['TOY_API_KEY'] in SETTINGS or SECRETS",
        "infra/config.py has no TOY_API_KEY in SECRETS",
        "local/settings.py has none of ['TOY_API_KEY']",
        "local/banner.py does not say how to turn toy on",
        ".env.example has none of ['TOY_API_KEY']",
        "lambdas/domain/catalogue/cards/toy.py has no card",
        "pyproject.toml lets lambdas.providers.toy import another provider",
        "models_check has no question to toy",
    ]


def test_no_list_has_one_that_is_not_in_the_table() -> None:
    assert {name.upper() for name in SECRETS} == config.SECRETS
    assert {who for who, _ in banner.PROVIDERS} == set(PROVIDERS)
    assert {card.provider for card in catalogue.CARDS} == {*PROVIDERS, "demo"}


@pytest.mark.parametrize("name", PROVIDERS)
def test_it_can_be_named(name: str) -> None:
    client = Client(Fakes(providers=FakeProviders(**{name: FakeProvider()})))
    for wish in ({"provider": name}, {"fallback": [name]}):
        answer = client("POST", "/unified/generate", {"prompt": "a fox", **wish})
        assert (answer.status, answer.json()["provider"]) == (200, name)
    listed = client("GET", f"/unified/jobs?provider={name}").json()["jobs"]
    assert len(listed) == 2


def test_the_document_has_them_in_the_order_of_the_table() -> None:
    document = Client()("GET", "/openapi.json").json()
    body = document["components"]["schemas"]["UnifiedBody"]["properties"]
    assert body["provider"]["enum"] == ["auto", *PROVIDERS, "demo"]
    [_, listed] = body["fallback"]["anyOf"]
    assert listed["items"]["enum"] == [*PROVIDERS, "demo"]
    [asked] = [p for p in document["paths"]["/unified/jobs"]["get"]["parameters"] if p["name"] == "provider"]
    assert asked["schema"]["anyOf"][0]["enum"] == [*PROVIDERS, "demo"]
