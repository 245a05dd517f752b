"""Reading any JSON answer ends with a value or a ProviderFailure."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lambdas.domain import catalogue
from lambdas.domain.failures import ProviderFailure
from lambdas.domain.jobs.request import BACKGROUND, ImageTask
from lambdas.providers import bedrock, comfyui, gemini, leonardo_ai, runware_ai, sagemaker
from lambdas.providers._client.gpu_answers import to_purged
from lambdas.providers._client.http import Answer
from lambdas.providers.models_check import asking
from lambdas.providers.text import bedrock_text, ollama

KEY = "sk-1"
ID = "7d0cf0b2-8f47-4c8e-9a0e-2b8f3a1c5d11"
IMAGE = base64.b64encode(b"\x89PNG").decode()
ORDER = ImageTask(catalogue.cards_of("sagemaker")[0], "a cat", 7, (512, 512), id=ID)
AROUND = ImageTask(catalogue.cards_of("sagemaker")[0], "a cat", 7, (512, 512), id=ID, task=BACKGROUND)

# In place of each part of a good answer.
ODD: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    7.5,
    10**400,
    -(10**30),
    float("nan"),
    float("inf"),
    "",
    "x",
    "\ud800",
    "\x00",
    "1" * 5000,
    [],
    {},
    [None],
    [[[]]],
    {"": {}},
    [{"code": []}],
    {"code": {}},
    {"url": []},
    [1, "x", {}, []],
]


def spoilt(answer: Any) -> Iterator[Any]:
    """The answer with each of its parts replaced by each odd one, left out, or doubled."""
    yield from ODD
    for path in _paths(answer):
        for odd in (*ODD, *(["gone", "twice"] if path else [])):
            whole = copy.deepcopy(answer)
            at: Any = whole
            for step in path[:-1]:
                at = at[step]
            if odd == "gone":
                del at[path[-1]]
            elif odd == "twice":
                at[path[-1]] = [at[path[-1]]] * 2
            else:
                at[path[-1]] = odd
            yield whole


def _paths(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    steps = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for step, inner in steps:
        yield from _paths(inner, (*path, step))


def read(body: Any, status: int = 200) -> Answer:
    return Answer(status, {}, json.dumps(body).encode(), True)


def _gemini_error(status: int) -> Callable[[Any], Any]:
    return lambda body: gemini.to_failure(read(body, status), KEY).detail


def _aws(response: Any) -> Any:
    """As botocore would hand it on: always a dictionary of two."""
    return {
        "Error": {"Code": "X", "Message": "x"},
        "ResponseMetadata": {"HTTPStatusCode": 500, "HTTPHeaders": {}},
        **response,
    }


QUOTA = {
    "error": {
        "code": 429,
        "message": "x",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {"@type": "a.b.QuotaFailure", "violations": [{"quotaId": "PerDay", "quotaValue": "0"}]},
            {"@type": "a.b.RetryInfo", "retryDelay": "31s"},
            {"@type": "a.b.ErrorInfo", "reason": "API_KEY_INVALID"},
        ],
    }
}
RUNWARE: dict[str, Any] = {
    "data": [
        {
            "taskUUID": ID,
            "status": "success",
            "imageURL": "https://x/y.png",
            "seed": 7,
            "cost": 0.1,
            "NSFWContent": False,
        },
        {"taskUUID": ID, "status": "error", "error": {"code": "x", "message": "y", "parameter": "z"}},
    ],
    "errors": [{"code": "x", "message": "y", "taskUUID": ID, "taskType": "imageInference", "parameter": ["a"]}],
}
DONE = {"data": [RUNWARE["data"][0]]}
LEONARDO = {
    "generations_by_pk": {
        "status": "COMPLETE",
        "seed": 7,
        "generated_images": [{"url": "https://x/y.jpg", "nsfw": False}],
        "prompt_moderations": [{"moderationClassification": ["X"]}],
    }
}
PAINTED = {
    "candidates": [
        {
            "content": {
                "parts": [{"text": "x"}, {"inlineData": {"mimeType": "image/png", "data": IMAGE}, "thought": False}]
            },
            "finishReason": "STOP",
        }
    ],
    "promptFeedback": {"blockReason": "SAFETY"},
    "usageMetadata": {
        "promptTokenCount": 1,
        "candidatesTokenCount": 2,
        "thoughtsTokenCount": 3,
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 2}],
    },
}
HISTORY: dict[str, Any] = {
    "status": {"status_str": "success", "messages": [["execution_error", {"exception_type": "x"}]]},
    "outputs": {"10": {"images": [{"filename": "a.png", "subfolder": "image-api", "type": "output"}]}},
}
REFUSED = {
    "error": {"type": "prompt_outputs_failed_validation", "message": "x"},
    "node_errors": {"1": {"errors": [{"type": "value_not_in_list", "extra_info": {"input_name": "unet_name"}}]}},
}
WORKER = {
    "id": ID,
    "image": IMAGE,
    "seed": 7,
    "mask": IMAGE,
    "confidence": 0.5,
    "components": {"a": 0.1},
    "warnings": ["x"],
    "at": [1, 2],
}
FAILED = {"error": {"code": "busy", "message": "x", "retry_after": 3}}
CONVERSE = {"stopReason": "end_turn", "output": {"message": {"content": [{"text": "x"}, {"reasoningContent": {}}]}}}
CHAT = {"message": {"role": "assistant", "content": '{"prompt": "x"}'}, "done_reason": "stop"}

READERS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "runware ticket": (lambda body: runware_ai.to_ticket(read(body), ID, KEY), {"data": [{"taskUUID": ID}]}),
    "runware ticket refused": (lambda body: runware_ai.to_ticket(read(body, 400), ID, KEY), RUNWARE),
    "runware image": (lambda body: runware_ai.to_image(read(body), ID, KEY), DONE),
    "runware ended": (lambda body: runware_ai.to_image(read(body), ID, KEY), RUNWARE),
    "leonardo ticket": (
        lambda body: leonardo_ai.to_ticket(read(body), KEY),
        {"generate": {"generationId": ID, "cost": {"amount": "0.0147", "unit": "DOLLARS"}}},
    ),
    "leonardo refused": (
        lambda body: leonardo_ai.to_ticket(read(body, 400), KEY),
        {"error": "x", "errors": [{"message": "y"}], "code": "z"},
    ),
    "leonardo image": (lambda body: leonardo_ai.to_image(read(body)), LEONARDO),
    "leonardo failed": (
        lambda body: leonardo_ai.to_image(read(body)),
        {"generations_by_pk": {**LEONARDO["generations_by_pk"], "status": "FAILED"}},
    ),
    "gemini image": (lambda body: gemini.to_image(read(body).json("x"), "gemini-nano-banana-2.1"), PAINTED),
    "gemini 429": (_gemini_error(429), QUOTA),
    "gemini 400": (_gemini_error(400), QUOTA),
    "gemini 500": (_gemini_error(500), QUOTA),
    "bedrock image": (
        lambda body: bedrock.to_image(json.dumps(body).encode()),
        {"seeds": ["7"], "finish_reasons": [None], "images": [IMAGE], "errors": []},
    ),
    "comfyui id": (lambda body: comfyui.to_id(json.dumps(body).encode()), {"prompt_id": ID}),
    "comfyui file": (comfyui.to_file, HISTORY),
    "comfyui ended": (comfyui.to_file, {"status": {**HISTORY["status"], "status_str": "error"}}),
    "comfyui refused": (lambda body: comfyui.to_failure(read(body, 400)).detail, REFUSED),
    "worker image": (lambda body: sagemaker.to_image(json.dumps(body).encode(), ORDER), WORKER),
    "worker background": (lambda body: sagemaker.to_image(json.dumps(body).encode(), AROUND), WORKER),
    "worker failed": (lambda body: sagemaker.to_failure(json.dumps(body).encode()), FAILED),
    "worker lost": (lambda body: sagemaker.to_lost(f"it said {json.dumps(body)} and more"), FAILED),
    "worker purged": (
        lambda body: to_purged(body if isinstance(body, dict) else None, "x"),
        {"removed": ["a"], "remaining": []},
    ),
    "ollama text": (lambda body: ollama.to_text(read(body).json("x"), structured=True), CHAT),
    "ollama names": (
        lambda body: ollama.to_names(read(body).json("x")),
        {"models": [{"name": "a:latest", "model": "a"}]},
    ),
    "converse text": (lambda body: bedrock_text.to_text(body) if isinstance(body, dict) else None, CONVERSE),
    "check refused": (
        lambda body: asking.refused(read(body, 400), "x").detail,
        {"errors": [{"message": "x"}], "error": {"message": "y"}},
    ),
}


@pytest.mark.parametrize("name", READERS)
def test_any_json(name: str) -> None:
    reader, good = READERS[name]
    for body in spoilt(good):
        try:
            found = reader(body)
        except ProviderFailure as failure:
            found = failure.detail
        json.dumps(repr(found))


@pytest.mark.parametrize("name", READERS)
def test_a_good_answer_is_read(name: str) -> None:
    """Or the above would prove little."""
    reader, good = READERS[name]
    failing = ("refused", "ended", "failed", "429", "400", "500")
    try:
        assert reader(good) is not None
    except ProviderFailure as failure:
        assert name.endswith(failing), failure.detail


@pytest.mark.parametrize("kind", [bedrock.to_failure, sagemaker.to_aws_failure])
def test_any_error_of_aws(kind: Callable[[Any], ProviderFailure]) -> None:
    """As far as botocore hands it on: what it cannot read it raises itself."""
    good = {"Error": {"Code": "ThrottlingException", "Message": "x"}, "OriginalMessage": "y"}
    for body in spoilt(good):
        response = _aws(body if isinstance(body, dict) else {})
        if not isinstance(response["Error"], dict):
            continue
        assert kind(response).code


@pytest.mark.parametrize("text", ["7d0c\ud800", "a b", "é", "x" * 101, "", 5, None])
def test_an_id_that_no_address_can_hold_is_not_taken(text: object) -> None:
    assert comfyui.to_id(json.dumps({"prompt_id": text}).encode()) is None


@pytest.mark.parametrize("name", ["a\ud800.png", "a\x00.png", "a\n.png"])
def test_a_file_name_that_no_address_can_hold_is_not_asked_for(name: str) -> None:
    entry = copy.deepcopy(HISTORY)
    entry["outputs"]["10"]["images"][0]["filename"] = name
    with pytest.raises(ProviderFailure):
        comfyui.to_file(entry)
