"""Requests match the official SDKs' own types, and adapters read an answer as the SDKs do.

The services cannot be asked here; facts, adapter and stand-in may agree and all be wrong. These packages come from the
services themselves, so each payload and each stand-in is held against them. (Leonardo's SDK knows only API v1.)
"""

from __future__ import annotations

import json
import typing
import uuid
from dataclasses import replace
from typing import Any, get_args, get_type_hints

import botocore.session
import pytest
import runware.client as runware_client
import runware.errors as runware_errors
from botocore.validate import ParamValidator
from google.genai import Client
from google.genai import types as genai
from ollama import ChatResponse, Options
from ollama._types import ChatRequest
from runware.types import task_map

from lambdas.domain.catalogue.cards import gemini as gemini_cards
from lambdas.domain.catalogue.cards import runware_ai as runware_cards
from lambdas.domain.catalogue.model_card import ModelCard, Size
from lambdas.domain.failures import ProviderFailure
from lambdas.domain.jobs.request import ImageTask
from lambdas.providers import gemini, runware_ai
from lambdas.providers._client.http import Answer, post_json
from lambdas.providers.text import bedrock_text, ollama
from lambdas.settings import Settings
from tests.doubles import gemini as gemini_double
from tests.doubles import ollama as ollama_double
from tests.doubles import runware as runware_double
from tests.doubles.service import paint

PNG = paint("a cat", (64, 64))


def orders(card: ModelCard) -> list[ImageTask]:
    """Of every shape, with and without all that the model honours."""
    sizes: list[tuple[str | None, Size]] = [*card.ratios.items()] or [(None, (1024, 1024))]
    plain = [ImageTask(card, "a cat", 7, size, ratio=ratio, id=str(uuid.uuid4())) for ratio, size in sizes]
    full = replace(
        plain[0],
        steps=9 if "steps" in card.honours else None,
        cfg=2.5 if "cfg" in card.honours else None,
        negative_prompt="dogs" if "negative_prompt" in card.honours else None,
        reference=PNG if card.references else None,
        reference_type="image/png",
    )
    return [*plain, full, *(replace(full, format=fmt) for fmt in card.formats)]


# Gemini: google-genai. Its types refuse a field that they do not know.


@pytest.mark.parametrize("card", gemini_cards.CARDS, ids=lambda card: card.id)
def test_gemini_is_sent_what_google_genai_sends(card: ModelCard) -> None:
    """The SDK itself asks the stand-in for the same picture."""
    order = orders(card)[0]
    body = gemini.to_payload(order)
    with gemini_double.FakeGemini() as fake:
        options = genai.HttpOptions(base_url=fake.url, api_version="v1beta")
        with Client(api_key=gemini_double.KEY, http_options=options) as sdk:
            image = genai.ImageConfig(
                aspect_ratio=order.ratio, image_size=body["generationConfig"]["imageConfig"]["imageSize"]
            )
            wanted = genai.GenerateContentConfig(response_modalities=["IMAGE"], seed=order.seed, image_config=image)
            read = sdk.models.generate_content(model=card.id, contents=order.prompt, config=wanted)
        assert fake.calls[-1].body == {"seed": order.seed, **body}
        assert read.usage_metadata
    for order in orders(card):
        for content in gemini.to_payload(order)["contents"]:
            parts = genai.Content.model_validate(content).parts or []
            blobs = [part.inline_data for part in parts if part.inline_data]
            assert [(blob.data, blob.mime_type) for blob in blobs] == [(PNG, "image/png")] * bool(order.reference)


GEMINI_UNDER_200 = [fault for fault, reply in gemini_double.FakeGemini.refusals.items() if reply.status == 200]


@pytest.mark.parametrize("fault", [None, "draft_first", "jpeg", "uncounted", *GEMINI_UNDER_200])
def test_the_stand_in_of_gemini_answers_what_google_genai_reads(fault: str | None) -> None:
    card = gemini_cards.CARDS[0]
    order = orders(card)[0]
    with gemini_double.FakeGemini() as fake:
        if fault:
            fake.inject(fault, times=None)
        url = f"{fake.url}/v1beta/models/{card.id}:generateContent"
        headers = {"x-goog-api-key": gemini_double.KEY}
        answer = post_json(url, gemini.to_payload(order), headers=headers, timeout=20, who="x").json("x")
    read = genai.GenerateContentResponse.model_validate(answer)
    found = [part.inline_data.data for part in read.parts or [] if part.inline_data and not part.thought]
    try:
        assert [gemini.to_image(answer, card.id).data] == found
    except ProviderFailure as failure:
        assert found == []
        blocked = read.prompt_feedback is not None and read.prompt_feedback.block_reason is not None
        reason = read.candidates[0].finish_reason if read.candidates else None
        refused = blocked or (reason is not None and reason.value in gemini.POLICY)
        assert (failure.code == "content_policy") == refused


def test_every_reason_of_gemini_is_one_of_google_genai() -> None:
    assert {reason.value for reason in genai.FinishReason} >= gemini.POLICY


# Runware: runware-sdk. Its types are closed dictionaries; a field that it wants is not NotRequired.


def _params_of(model: str) -> Any:
    for name, found in vars(task_map).items():
        if name.endswith("Params") and typing.is_typeddict(found):
            hints = get_type_hints(found)
            if get_args(hints.get("model")) == (model,) and "imageInference" in get_args(hints.get("taskType")):
                return found
    raise AssertionError(f"runware-sdk has no parameters of {model}")


def _fits(value: object, kind: Any) -> bool:
    origin, args = typing.get_origin(kind), get_args(kind)
    if origin is typing.Literal:
        return value in args
    if origin in (list, dict):
        return isinstance(value, origin)
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    return isinstance(value, (int, float) if kind is float else kind)


@pytest.mark.parametrize("card", runware_cards.CARDS, ids=lambda card: card.id)
def test_runware_is_sent_what_its_sdk_knows(card: ModelCard) -> None:
    params = _params_of(card.id)
    kinds = get_type_hints(params)
    wanted = {name for name, text in params.__annotations__.items() if "NotRequired" not in str(text)}
    for order in orders(card):
        task = runware_ai.to_payload(order)
        assert task.keys() <= kinds.keys()
        assert wanted <= task.keys()
        assert [name for name, value in task.items() if not _fits(value, kinds[name])] == []


def test_models_of_runware_are_under_their_own_names() -> None:
    bundled = next(v for v in vars(task_map).values() if isinstance(v, dict) and "runware:101@1" in v)
    assert {card.id for card in runware_cards.CARDS} <= bundled.keys()


# What a category of the SDK's is to us, of work that is not done.
CATEGORIES = {
    "safety": {"content_policy"},
    "auth": {"not_authorized"},
    "quota": {"out_of_credit"},
    "rateLimit": {"throttled"},
    "timeout": {"timeout"},
    "serverError": {"failed", "unavailable"},
    "provider": {"failed", "unavailable", "model_gone"},
    "notFound": {"model_gone", "failed", "invalid_request"},
}
SETS = ("_SAFETY_CODES", "_AUTH_CODES", "_SERVER_ERROR_CODES", "_PROVIDER_CODES", "_NOT_FOUND_CODES")
MORE = "insufficientCredits quotaExceeded paymentRequired environmentPaused rateLimitExceeded"


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("said", [*sorted(set().union(*(getattr(runware_errors, s) for s in SETS))), *MORE.split()])
def test_a_code_of_runware_is_to_us_what_it_is_to_its_sdk(said: str, status: int) -> None:
    answer = Answer(status, {}, json.dumps({"errors": [{"code": said, "message": "No."}]}).encode(), True)
    with pytest.raises(ProviderFailure) as caught:
        runware_ai.to_ticket(answer, "x")
    assert caught.value.code in CATEGORIES[runware_errors.derive_code(said)]


ENDED = {"inferenceError": "failed", "invalidProviderContent": "content_policy", "insufficientCredits": "out_of_credit"}


@pytest.mark.parametrize("fault", [name for name, (status, _, _) in runware_double.ENDS.items() if status == 200])
def test_a_failed_task_is_read_as_its_sdk_reads_it(fault: str) -> None:
    order = orders(runware_cards.CARDS[0])[0]
    with runware_double.FakeRunware() as fake:
        provider = runware_ai.build(Settings(runware_api_key=runware_double.KEY, runware_base_url=fake.base_url))
        fake.inject(fault)
        ticket = provider.submit(order, 20)
        question = [{"taskType": "getResponse", "taskUUID": ticket.id}]
        headers = {"Authorization": f"Bearer {runware_double.KEY}"}
        answer = post_json(fake.base_url, question, headers=headers, timeout=20, who="x").json("x")
        with pytest.raises(ProviderFailure) as ours:
            provider.collect(ticket, order, 20)
    with pytest.raises(runware_errors.RunwareError) as theirs:
        collector = runware_client._AsyncCollector(1, None)
        collector.ingest(runware_client._extract_items(answer))
        runware_client._maybe_raise_item_errors(collector, task_type="imageInference", task_uuid=ticket.id)
    if fault == "flat_item":  # of which the SDK reads nothing: it is what documents show besides
        assert theirs.value.code == "unknown"
        return
    assert ours.value.code in CATEGORIES[theirs.value.code] or ours.value.code == "failed"
    code = runware_double.ENDS[fault][2]
    assert runware_errors.derive_code(code) == theirs.value.code
    assert ours.value.code == ENDED.get(code, "failed")


# Ollama: its own package.


@pytest.mark.parametrize("model", ["gpt-oss:20b", "llama3.2"])
@pytest.mark.parametrize("schema", [None, ollama.SCHEMA])
def test_ollama_is_sent_what_its_package_sends(model: str, schema: Any) -> None:
    payload = ollama.to_payload(model, "be brief", "a cat", schema)
    assert payload.keys() <= ChatRequest.model_fields.keys()
    assert payload["options"].keys() <= Options.model_fields.keys()
    assert ChatRequest(**payload).model_dump(exclude_none=True) == payload


def test_the_stand_in_of_ollama_answers_what_its_package_reads() -> None:
    with ollama_double.FakeOllama() as fake:
        payload = ollama.to_payload("gpt-oss:20b", "be brief", "a cat " * 10, ollama.SCHEMA)
        answer = post_json(f"{fake.url}/api/chat", payload, timeout=20, who="x").json("x")
    read = ChatResponse.model_validate(answer)
    assert json.loads(read.message.content or "")["prompt"] == ollama.to_text(answer, structured=True)
    assert (read.done, read.done_reason) == (True, "stop")


# Bedrock's Converse: the service's own model, as botocore carries it.


@pytest.mark.parametrize("model", ["openai.gpt-oss-20b-1:0", "amazon.nova-lite-v1:0"])
def test_converse_is_sent_what_botocore_knows(model: str) -> None:
    operation = botocore.session.Session().get_service_model("bedrock-runtime").operation_model("Converse")
    payload = bedrock_text.to_payload(model, "be brief", "a cat", 100)
    report = ParamValidator().validate(payload, operation.input_shape)
    assert not report.has_errors(), report.generate_report()
    assert payload.keys() <= operation.input_shape.members.keys()
    stops = set(operation.output_shape.members["stopReason"].enum)
    assert stops >= {*bedrock_text.STOPPED, *bedrock_text.FINISHED}
