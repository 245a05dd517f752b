"""The grants for Bedrock match the calls of the functions, under any setting."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Any

import pytest

from infra import config
from lambdas.domain import catalogue
from lambdas.providers.text import engines
from lambdas.settings import Settings

ACCOUNT = "111122223333"
PREFIX = re.compile(r"\A(us|eu|apac|au|jp|ca|global)\.")
HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"
GIVEN: tuple[dict[str, str], ...] = (
    {},
    {"BEDROCK_REGION": "us-east-1"},
    {"BEDROCK_REGION": "", "BEDROCK_TEXT_MODEL": ""},
    {"BEDROCK_TEXT_MODEL": "zai.glm-4.7"},
    {"BEDROCK_TEXT_MODEL": f"us.{HAIKU}"},
    *(
        {"BEDROCK_REGION": region, "BEDROCK_TEXT_MODEL": f"{prefix}.{HAIKU}"}
        for prefix, region in {
            "eu": "eu-central-1",
            "apac": "ap-southeast-1",
            "au": "ap-southeast-2",
            "jp": "ap-northeast-1",
            "ca": "ca-central-1",
            "global": "sa-east-1",
        }.items()
    ),
    {"BEDROCK_TEXT_MODEL": f"arn:aws:bedrock:us-west-2:{ACCOUNT}:inference-profile/us.{HAIKU}"},
    {"BEDROCK_TEXT_MODEL": f"arn:aws:bedrock:us-west-2:{ACCOUNT}:provisioned-model/abc"},
)
# Where a profile may send a call, as AWS lists them; of the global one the last is the name without a region.
DESTINATIONS = {
    "us": ("us-east-1", "us-east-2", "us-west-2"),
    "eu": ("eu-central-1", "eu-north-1"),
    "apac": ("ap-southeast-1", "ap-south-1"),
    "au": ("ap-southeast-2", "ap-southeast-4"),
    "jp": ("ap-northeast-1", "ap-northeast-3"),
    "ca": ("ca-central-1", "us-east-1"),
    "global": ("sa-east-1", "us-east-1", ""),
}


@pytest.fixture(params=GIVEN, ids=lambda given: " ".join(given.values()) or "defaults")
def given(request: pytest.FixtureRequest) -> dict[str, str]:
    found: dict[str, str] = request.param
    return found


@pytest.mark.parametrize("function", ["api", "worker"])
def test_every_call_is_granted_and_every_grant_is_of_a_call(
    synthesised: Any, given: dict[str, str], function: str
) -> None:
    """As the service calls: each card in its own region, and the text model in that of the setting."""
    granted = statements(synthesised("dev", **given), function)
    settings = Settings.of({**given, "BEDROCK": "1"})
    text: Any
    [text] = [engine for engine in engines(settings) if engine.name == "bedrock"]
    cards = [card for card in catalogue.CARDS if card.provider == "bedrock"]
    called = {(card.region or settings.bedrock_region, card.id) for card in cards} | {(text._region, text.model)}
    used = set()
    for region, name in called:
        for resource, profile in asked(region, name):
            hits = [s for s in granted if fnmatchcase(resource, s[0]) and s[1] in (None, profile)]
            assert hits, (resource, profile)
            used |= {hit[0] for hit in hits}
    assert used == {resource for resource, _ in granted}


def test_a_model_behind_a_profile_is_not_to_be_called_directly(synthesised: Any, given: dict[str, str]) -> None:
    for resource, profile in statements(synthesised("dev", **given), "api"):
        assert (profile is not None) == ("foundation-model" in resource and ("*" in resource or behind(resource)))


def behind(resource: str) -> bool:
    """Whether a card is called by a profile that calls it."""
    return any(PREFIX.match(card.id) and resource.endswith(PREFIX.sub("/", card.id)) for card in catalogue.CARDS)


def asked(region: str, name: str) -> list[tuple[str, str | None]]:
    """What AWS looks for a permission of when it is called: resource, and the inference profile that calls it."""
    if name.startswith("arn:") and "inference-profile" not in name:
        return [(name, None)]
    if not name.startswith("arn:") and not PREFIX.match(name):
        return [(f"arn:aws:bedrock:{region}::foundation-model/{name}", None)]
    profile = name if name.startswith("arn:") else f"arn:aws:bedrock:{region}:{ACCOUNT}:inference-profile/{name}"
    prefix, _, model = profile.rpartition("/")[2].partition(".")
    models = [f"arn:aws:bedrock:{at}::foundation-model/{model}" for at in DESTINATIONS[prefix]]
    return [(profile, None), *((model, profile) for model in models)]


def statements(templates: Any, function: str) -> set[tuple[str, str | None]]:
    """Each resource that may be invoked, with the profile that must be behind it."""
    found = set()
    for statement in templates.statements(function):
        if "bedrock:InvokeModel" in statement["Action"]:
            profiles = statement.get("Condition", {}).get("StringEquals", {}).get("bedrock:InferenceProfileArn", [None])
            for resource in statement["Resource"]:
                found |= {(flat(resource), flat(p)) for p in (profiles if isinstance(profiles, list) else [profiles])}
    assert found
    return found


def flat(arn: Any) -> Any:
    """The name with the account in it."""
    if not isinstance(arn, dict):
        return arn
    return "".join(part if isinstance(part, str) else ACCOUNT for part in arn["Fn::Join"][1])


def test_a_text_model_of_another_profile_is_granted_whatever_model_is_behind_it(synthesised: Any) -> None:
    """The name of an application's own profile tells no model; its condition still names the one profile."""
    arn = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:application-inference-profile/abc"
    granted = statements(synthesised("dev", BEDROCK_TEXT_MODEL=arn), "api")
    assert (arn, None) in granted
    assert ("arn:aws:bedrock:*::foundation-model/*", arn) in granted


def test_the_defaults_of_both_sides_agree() -> None:
    from infra.bedrock import text_model

    assert (
        text_model({})
        == text_model({"BEDROCK_REGION": ""})
        == (
            Settings().bedrock_text_model,
            Settings().bedrock_region,
        )
    )
    assert config.settings({"BEDROCK_REGION": " us-east-1 "}) == {"BEDROCK_REGION": "us-east-1"}
