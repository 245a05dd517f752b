"""Checks the models of Amazon Bedrock and the SageMaker endpoint."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, Final, TypeVar

from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.egress import aws
from lambdas.egress.deadline import within
from lambdas.providers._client import http
from lambdas.providers._client.hostile_json import mapping
from lambdas.providers.models_check import findings as f
from lambdas.providers.models_check.asking import rows, texts
from lambdas.settings import Settings

BEDROCK: Final = "Bedrock"
PROMPTS: Final = "bedrock (prompts)"
CONNECT_SECONDS: Final = 5

# The states in which an endpoint serves, with an old configuration or a mix of two if necessary. Of the others only
# `Creating` may become one: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html
SERVING: Final = frozenset({"InService", "Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed"})
LOST: Final = frozenset({"OutOfService", "Failed", "Deleting"})

T = TypeVar("T")


def bedrock(settings: Settings, cards: tuple[ModelCard, ...], timeout: float) -> list[f.Finding]:
    """Check each model by the list of its Region, and report the Stability models in it that have no card."""
    found = []
    unknown: set[str] = set()
    for region in dict.fromkeys(card.region or settings.bedrock_region for card in cards):
        listed = _models(region, "IMAGE", timeout)
        ours = [card for card in cards if (card.region or settings.bedrock_region) == region]
        found += [_finding("bedrock", card.id, _row(card.id, listed), region) for card in ours]
        unknown |= {name for name, row in listed.items() if _is_text_to_image(name, row)}
    return [*found, *f.unlisted("bedrock", unknown)]


def text_model(settings: Settings, cards: tuple[ModelCard, ...], timeout: float) -> list[f.Finding]:  # noqa: ARG001
    """Check the model that shortens prompts."""
    name, region = settings.bedrock_text_model, settings.bedrock_region
    if name.startswith("arn:"):
        return [f.Finding(PROMPTS, name, f.UNCHECKED, "an ARN stands in no list of models")]
    listed = _models(region, "TEXT", timeout)
    return [_finding(PROMPTS, name, _row(name, listed), region)]


def _row(name: str, listed: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """Return a model's row; the list has the models of inference profiles without their prefix."""
    row = listed.get(name)
    if row is None and (base := listed.get(name.partition(".")[2])):
        return {**base, "inferenceTypesSupported": None}
    return row


def sagemaker(settings: Settings, cards: tuple[ModelCard, ...], timeout: float) -> list[f.Finding]:
    """Check the state of the endpoint; AWS does not know which models it has loaded."""
    name = settings.sagemaker_endpoint
    try:
        answer = _ask("sagemaker", None, timeout, lambda client: client.describe_endpoint(EndpointName=name))
    except ProviderFailure as failure:
        if failure.code != Failure.MODEL_GONE:
            raise
        return [f.Finding("sagemaker", card.id, f.GONE, "there is no endpoint of that name") for card in cards]
    status = http.quote(mapping(answer).get("EndpointStatus"))
    if not status:
        raise ProviderFailure(Failure.BAD_ANSWER, "AWS did not tell the state of the endpoint")
    state = f.OK if status in SERVING else f.GONE if status in LOST else f.UNCHECKED
    return [f.Finding("sagemaker", card.id, state, f"the endpoint is {status}") for card in cards]


def _finding(provider: str, name: str, row: dict[str, Any] | None, region: str) -> f.Finding:
    if row is None:
        return f.Finding(provider, name, f.GONE, f"not listed in {region}")
    ways = row.get("inferenceTypesSupported")
    if isinstance(ways, list) and ways and "ON_DEMAND" not in ways:
        return f.Finding(provider, name, f.GONE, f"not to be had on demand in {region}")
    life = mapping(row.get("modelLifecycle"))
    end = _day(life, "endOfLifeTime")
    if life.get("status") == "LEGACY":
        marks = {"since": _day(life, "legacyTime"), "at a higher price from": _day(life, "publicExtendedAccessTime")}
        told = ", ".join(f"{word} {day.isoformat()}" for word, day in marks.items() if day)
        return f.Finding(provider, name, f.LEGACY, told, end)
    if life.get("status") == "ACTIVE":
        return f.Finding(provider, name, f.OK, until=end)
    return f.Finding(provider, name, f.UNCHECKED, "its lifecycle is not told", end)


def _is_text_to_image(name: str, row: dict[str, Any]) -> bool:
    """Return whether it is a text-to-image model, not an editing service, which only an inference profile can call."""
    return (
        name.startswith("stability.")
        and mapping(row.get("modelLifecycle")).get("status") == "ACTIVE"
        and _holds(row, "inputModalities", "TEXT")
        and _holds(row, "inferenceTypesSupported", "ON_DEMAND")
    )


def _holds(row: dict[str, Any], name: str, value: str) -> bool:
    values = row.get(name)
    return isinstance(values, list) and value in texts(values)


def _day(life: dict[str, Any], name: str) -> date | None:
    moment = life.get(name)
    return moment.date() if isinstance(moment, datetime) else None


def _models(region: str, modality: str, timeout: float) -> dict[str, dict[str, Any]]:
    """Return the list, which has no pages, by model id."""
    answer = _ask("bedrock", region, timeout, lambda c: c.list_foundation_models(byOutputModality=modality))
    found = rows(answer, "modelSummaries", BEDROCK)
    return {row["modelId"]: row for row in found if isinstance(row.get("modelId"), str)}


def _ask(service: str, region: str | None, timeout: float, call: Callable[[Any], T]) -> T:
    """Return the call's result, within `timeout` seconds in total."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    limits = {"connect_timeout": CONNECT_SECONDS, "read_timeout": timeout}
    try:
        return within(timeout, lambda: call(aws.client(service, region=region, attempts=2, **limits)))
    except ClientError as error:
        said = error.response.get("Error", {})
        missing = "could not find" in str(said.get("Message", "")).lower()
        name = http.quote(said.get("Code")) or "an error"
        raise ProviderFailure(Failure.MODEL_GONE if missing else Failure.FAILED, f"AWS answered {name}") from error
    except TimeoutError:
        raise ProviderFailure(Failure.TIMEOUT, f"AWS did not answer within {timeout:.0f} s") from None
    except (BotoCoreError, HTTPError, OSError) as error:  # the name is enough: NoCredentialsError, ...
        raise ProviderFailure(Failure.UNAVAILABLE, f"there was no answer of AWS ({type(error).__name__})") from error
    except (ResponseParserError, AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ProviderFailure(Failure.BAD_ANSWER, "AWS answered in a form that botocore cannot read") from error
