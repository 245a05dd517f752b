"""The values on which templates and service must agree without sharing code."""

from __future__ import annotations

import importlib
import json
from dataclasses import fields
from typing import Any

import pytest

from infra import config
from infra.constructs.gateway_responses import PROBLEMS, TITLES, Problem
from lambdas.api import errors
from lambdas.domain import catalogue
from lambdas.domain.errors import BY_CODE
from lambdas.settings import Settings
from tests.infra.conftest import Templates

SAID_BY_THE_GATEWAY_ALONE = {"gateway_timeout", "forbidden"}
LOCAL_SETTINGS = {"API_KEY", "API_KEYS", "GPU_WORKER_URL", "ALLOW_PRIVATE_URLS", "WEBHOOK_SECRET", "DEMO_MODEL_DIR"}
OF_THE_GPU_STACK = {"SAGEMAKER_ENDPOINT", "SAGEMAKER_ASYNC"}


def test_every_handler_exists(dev: Templates) -> None:
    for function in dev.properties("AWS::Lambda::Function").values():
        module, _, name = function["Handler"].rpartition(".")
        assert callable(getattr(importlib.import_module(module), name))


def test_every_setting_can_be_set(dev: Templates) -> None:
    of_the_template = {name for f in ("api", "authorizer") for name in dev.function(f)["Environment"]["Variables"]}
    known = {field.name.upper() for field in fields(Settings)}
    assert known - of_the_template - config.SETTINGS == LOCAL_SETTINGS | config.SECRETS | OF_THE_GPU_STACK


def test_every_bedrock_model_of_the_catalogue_is_granted(dev: Templates) -> None:
    direct, behind = [s for s in dev.statements("api") if "bedrock:InvokeModel" in s["Action"]]
    granted = {_last(resource) for resource in direct["Resource"]}
    text = Settings().bedrock_text_model
    assert granted == {card.id for card in catalogue.CARDS if card.provider == "bedrock"} | {text}
    profiles = {name for name in granted if name.startswith("us.")}
    assert {f"us.{_last(resource)}" for resource in behind["Resource"]} == profiles
    condition = behind["Condition"]["StringEquals"]["bedrock:InferenceProfileArn"]
    assert {_last(profile) for profile in condition} == profiles
    assert all(profile in direct["Resource"] for profile in condition)


def _last(arn: Any) -> str:
    """What a full name, or the parts of one, end with."""
    text = arn if isinstance(arn, str) else arn["Fn::Join"][1][-1]
    return text.rpartition("/")[2]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.kind)
def test_gateway_and_service_say_the_same_of_an_error(dev: Templates, problem: Problem) -> None:
    if problem.code in SAID_BY_THE_GATEWAY_ALONE:
        return
    error = BY_CODE[problem.code]
    assert errors.STATUS[error] == problem.status
    assert TITLES[problem.code] == error.title
    responses = {r["ResponseType"]: r for r in dev.properties("AWS::ApiGateway::GatewayResponse").values()}
    said = json.loads(responses[problem.kind]["ResponseTemplates"]["application/json"])
    assert said["type"] == errors.problem(error(""), "/")["type"]
    assert said["error"] == errors.openai_error(error(said["detail"]))["error"]
