"""Contract 7.1 to 7.5 and 12.7: the routes of OpenAI's Images API, in process with in-memory ports."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from openai.types import ImageGenCompletedEvent, ImagesResponse

from lambdas.api.routes import images
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.jobs.request import GeneratedImage, ImageTask, Tokens
from lambdas.domain.limits.budget import Caps
from tests.api.client import Answer, Client
from tests.support.fakes import FakeLimits, FakeProvider, FakeProviders, Fakes

PATH = "/v1/images/generations"
CORE, SD35 = "stability.stable-image-core-v1:1", "stability.sd3-5-large-v1:0"
ULTRA = "stability.stable-image-ultra-v1:1"


def house(**scripts: list[Any]) -> tuple[Client, dict[str, FakeProvider]]:
    """A service with these providers, each with its script."""
    providers = {name: FakeProvider(list(script)) for name, script in scripts.items()}
    return Client(Fakes(providers=FakeProviders(**providers))), providers


def ask(client: Client, body: dict[str, Any] | None = None, /, **headers: str) -> Answer:
    return client("POST", PATH, {"prompt": "a fox", **(body or {})}, headers)


def wrong(answer: Answer) -> tuple[int, str | None, str]:
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return answer.status, error["param"], error["code"]


def dropped(answer: Answer) -> dict[str, str]:
    return {entry["name"]: entry["reason"] for entry in answer.json()["metadata"]["dropped_params"]}


def test_7_2_the_answer_is_of_the_sdks_type_and_holds_the_image() -> None:
    client, _ = house(bedrock=[])
    answer = ask(client, {"n": 2, "size": "1024x1024"})
    assert answer.status == 200, answer.body
    body = answer.json()
    read = ImagesResponse.model_validate(body, strict=True)
    assert [sorted(entry) for entry in body["data"]] == [["b64_json"], ["b64_json"]]
    stored = [client.deps.blobs.get(i.key) for i in next(iter(client.deps.jobs.rows.values())).images]
    assert [base64.b64decode(entry["b64_json"]) for entry in body["data"]] == stored
    assert (read.size, read.output_format, read.background, read.quality) == ("1024x1024", "png", "opaque", "medium")
    assert body["usage"] == {
        "input_tokens": 0,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"image_tokens": 0, "text_tokens": 0},
        "total_tokens": 0,
    }
    assert body["metadata"]["generation_id"] in {job_id for _, job_id in client.deps.jobs.rows}
    assert body["metadata"]["cost_usd"] == pytest.approx(0.08)
    assert read.created == int(client.deps.clock.now())


def test_7_2_the_headers_that_the_sdks_read() -> None:
    client = Client(Fakes(limits=FakeLimits(3)))
    answer = ask(client)
    assert answer.status == 200
    assert answer.headers["X-Request-Id"] == "req-1"
    assert int(answer.headers["openai-processing-ms"]) >= 0
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["X-Image-Provider"] == "demo"
    theirs = {name: value for name, value in answer.headers.items() if name.startswith("x-ratelimit-")}
    assert theirs == {
        "x-ratelimit-limit-requests": "3",
        "x-ratelimit-remaining-requests": "2",
        "x-ratelimit-reset-requests": "20s",
    }
    ask(client), ask(client)
    refused = ask(client)
    assert wrong(refused) == (429, None, "rate_limit_exceeded")
    assert (refused.headers["x-should-retry"], refused.headers["Retry-After"]) == ("true", "20")
    assert refused.headers["x-ratelimit-reset-requests"] == "1m0s"


def test_7_2_tokens_are_those_that_the_provider_counts() -> None:
    def counted(order: ImageTask) -> GeneratedImage:
        return GeneratedImage(b"%dx%d:x" % order.generate, 1, 0.03, tokens=Tokens(12, 258, 5, 1120))

    client, _ = house(gemini=[counted, counted])
    usage = ask(client, {"n": 2}).json()["usage"]
    assert usage == {
        "input_tokens": 540,
        "input_tokens_details": {"image_tokens": 516, "text_tokens": 24},
        "output_tokens": 2250,
        "output_tokens_details": {"image_tokens": 2240, "text_tokens": 10},
        "total_tokens": 2790,
    }


def test_7_1_url_is_pre_signed() -> None:
    client, _ = house(bedrock=[])
    [entry] = ask(client, {"response_format": "url"}).json()["data"]
    assert list(entry) == ["url"]
    assert entry["url"].startswith("https://bucket.example/images/acme/default/bedrock/im_")


@pytest.mark.parametrize("n", [1, 10])
def test_7_1_up_to_ten_images(n: int) -> None:
    client, providers = house(bedrock=[])
    answer = ask(client, {"n": n, "response_format": "url"})
    assert len({entry["url"] for entry in answer.json()["data"]}) == n
    assert len(providers["bedrock"].orders) == n


@pytest.mark.parametrize(
    ("sent", "param", "code"),
    [
        ({"n": 11}, "n", "integer_above_max_value"),
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"n": "2"}, "n", "invalid_type"),
        ({"prompt": 7}, "prompt", "invalid_type"),
        ({"prompt": " "}, "prompt", "invalid_value"),
        ({"prompt": "x" * 10_001}, "prompt", "string_above_max_length"),
        ({"size": "1024"}, "size", "invalid_value"),
        ({"size": "1000x1001"}, "size", "invalid_value"),
        ({"size": "3840x2160"}, "size", "invalid_value"),
        ({"size": "٣x٣"}, "size", "invalid_value"),
        ({"quality": "best"}, "quality", "invalid_value"),
        ({"style": "loud"}, "style", "invalid_value"),
        ({"response_format": "file"}, "response_format", "invalid_value"),
        ({"output_format": "gif"}, "output_format", "unsupported_value"),
        ({"output_format": "svg"}, "output_format", "unsupported_value"),
        ({"output_format": "tiff"}, "output_format", "invalid_value"),
        ({"output_compression": 101, "output_format": "webp"}, "output_compression", "integer_above_max_value"),
        ({"output_compression": 50}, "output_compression", "unsupported_value"),
        ({"output_compression": 50, "output_format": "png"}, "output_compression", "unsupported_value"),
        ({"background": "transparent"}, "background", "unsupported_value"),
        ({"background": "green"}, "background", "invalid_value"),
        ({"moderation": "off"}, "moderation", "invalid_value"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"stream": True, "response_format": "url"}, "response_format", "unsupported_value"),
        ({"partial_images": 4}, "partial_images", "integer_above_max_value"),
        ({"user": "x" * 501}, "user", "string_above_max_length"),
        ({"safety_identifier": 5}, "safety_identifier", "invalid_type"),
        ({"frame_count": 4}, "frame_count", "unsupported_parameter"),
        ({"frame_duration_ms": 100}, "frame_duration_ms", "unsupported_parameter"),
        ({"markup": "x"}, "markup", "unsupported_parameter"),
        ({"svg": {"model": "gpt-6"}}, "svg", "unsupported_parameter"),
        ({"complexity": "extreme"}, "complexity", "invalid_value"),
        ({"input_fidelity": "high"}, "input_fidelity", "unknown_parameter"),
        ({"image": "x"}, "image", "unknown_parameter"),
        ({"seed": 5}, "seed", "unknown_parameter"),
        ({"model": "gpt-5"}, "model", "model_not_found"),
        ({"model": "stability.stable-image-core-v1:0"}, "model", "model_retired"),
        ({"model": 5}, "model", "invalid_type"),
    ],
)
def test_7_5_what_cannot_be_honoured_is_named(sent: dict[str, Any], param: str, code: str) -> None:
    client, providers = house(bedrock=[])
    answer = ask(client, sent)
    assert wrong(answer) == (400, param, code)
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.headers["x-should-retry"] == "false"
    assert providers["bedrock"].orders == []


def test_7_5_what_is_dropped_is_named() -> None:
    client, _ = house(bedrock=[])
    sent = {"style": "vivid", "moderation": "low", "complexity": "high", "partial_images": 2, "model": CORE}
    assert set(dropped(ask(client, sent | {"quality": "high"}))) == {*sent, "quality"} - {"model"}


def test_7_5_nulls_and_defaults_are_no_wishes() -> None:
    client, _ = house(bedrock=[])
    nulls = dict.fromkeys(
        ("model", "n", "size", "quality", "style", "response_format", "output_format", "output_compression", "svg",
         "background", "moderation", "stream", "partial_images", "user", "safety_identifier", "complexity", "markup",
         "frame_count", "frame_duration_ms")
    )  # fmt: skip
    answer = ask(client, nulls)
    assert answer.status == 200, answer.body
    assert dropped(answer) == {}
    usual = {"background": "auto", "size": "auto", "output_compression": 100, "partial_images": 0, "stream": False}
    assert dropped(ask(client, usual)) == {}


def test_7_5_quality_chooses_the_strategy_of_an_alias() -> None:
    for quality, model, said in (
        ("low", CORE, "low"),
        ("high", ULTRA, "high"),
        ("max", ULTRA, "max"),
        ("hd", ULTRA, "high"),
    ):
        client, _ = house(bedrock=[])
        answer = ask(client, {"model": "gpt-image-2", "quality": quality})
        body = answer.json()
        assert (body["metadata"]["provider_model"], body["quality"]) == (model, said)
        assert set(dropped(answer)) == {"model"}
    client, _ = house(bedrock=[])
    for quality in ("medium", "standard"):
        ask(client, {"quality": quality})
    ask(client, {"quality": "auto"})
    assert [job.request.strategy for job in client.deps.jobs.rows.values()] == ["balanced", "balanced", "default"]


@pytest.mark.parametrize(
    "name", ["gpt-image-1", "gpt-image-2.5-sunburst-2026-09-08", "dall-e-3", "chatgpt-image-latest"]
)
def test_12_7_openais_names_stand_for_the_default_model(name: str) -> None:
    client, _ = house(bedrock=[], sagemaker=[])
    answer = ask(client, {"model": name})
    assert answer.json()["metadata"]["provider_model"] == client.deps.default_model
    assert dropped(answer)["model"].startswith(f"{name} stands for the default model here")


def test_12_7_a_deployment_has_its_own_table_of_names() -> None:
    deps = Fakes(providers=FakeProviders(bedrock=FakeProvider()), aliases={"gpt-image-*": "", "gpt-image-1*": SD35})
    answer = ask(Client(deps), {"model": "gpt-image-1-mini", "quality": "low"})
    assert answer.json()["metadata"]["provider_model"] == SD35
    assert set(dropped(answer)) == {"model", "quality"}


def test_7_1_size_and_format_are_exact() -> None:
    client, providers = house(bedrock=[])
    body = ask(client, {"size": "1792x1024", "output_format": "webp", "output_compression": 30}).json()
    assert (body["size"], body["output_format"]) == ("1792x1024", "webp")
    assert base64.b64decode(body["data"][0]["b64_json"]).startswith(b"1792x1024:webp@30:")
    assert providers["bedrock"].orders[0].format == "png"  # it is encoded once, with the quality that was asked for


def test_7_1_a_user_is_kept_as_a_label_and_told_again() -> None:
    client, providers = house(bedrock=[])
    body = ask(client, {"user": "u1", "safety_identifier": "s1"}).json()
    assert body["safety_identifier"] == "s1"
    [job] = client.deps.jobs.rows.values()
    assert job.request.labels == {"user": "s1"}
    assert "s1" not in repr(providers["bedrock"].orders)
    assert ask(client, {"user": "u1", "safety_identifier": ""}).json()["safety_identifier"] == "u1"
    assert "safety_identifier" not in ask(client).json()


def test_7_2_the_prompt_as_it_was_sent_where_it_was_shortened() -> None:
    client, providers = house(bedrock=[])
    long = "A detailed painting of a red fox in the snow, volumetric light. " * 60
    [entry] = ask(client, {"prompt": long}).json()["data"]
    assert entry["revised_prompt"] == providers["bedrock"].orders[0].prompt != long


def test_7_2_a_stream_is_one_event_an_image() -> None:
    client, _ = house(bedrock=[])
    answer = ask(client, {"stream": True, "n": 2, "partial_images": 1, "user": "u1"})
    assert answer.headers["Content-Type"] == "text/event-stream"
    blocks = answer.body.decode().split("\n\n")
    assert blocks.pop() == ""
    assert [block.split("\n")[0] for block in blocks] == ["event: image_generation.completed"] * 2
    for block in blocks:
        told = json.loads(block.split("\n")[1].removeprefix("data: "))
        event = ImageGenCompletedEvent.model_validate(told, strict=True)
        assert base64.b64decode(event.b64_json).startswith(b"1024x1024:png")
        assert (event.size, event.safety_identifier) == ("1024x1024", "u1")
        assert [entry["name"] for entry in told["metadata"]["dropped_params"]] == ["partial_images"]


@pytest.mark.parametrize(("stream", "media_type"), [(False, "application/json"), (True, "text/event-stream")])
def test_7_3_what_is_too_large_is_a_303_to_the_same_answer(
    stream: bool, media_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = house(bedrock=[])
    key = {"Idempotency-Key": "k"}
    whole = ask(client, {"stream": stream}, **key)
    monkeypatch.setattr(images, "MAX_INLINE_BYTES", len(whole.body))
    assert ask(client, {"stream": stream}, **key).status == 200
    monkeypatch.setattr(images, "MAX_INLINE_BYTES", len(whole.body) - 1)
    answer = ask(client, {"stream": stream}, **key)
    assert (answer.status, answer.body, answer.headers["x-should-retry"]) == (303, b"", "false")
    place = answer.headers["Location"].removeprefix("https://bucket.example/").partition("?")[0]
    assert place.startswith("answers/acme/")
    assert client.deps.blobs.objects[place] == (whole.body, media_type)


def test_7_1_variations_are_gone() -> None:
    answer = Client()("POST", "/v1/images/variations", b"", {"Content-Type": "multipart/form-data"})
    assert wrong(answer) == (410, None, "gone")
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("failure", "status", "code", "again"),
    [
        (ProviderFailure(Failure.CONTENT_POLICY, "no"), 422, "moderation_blocked", "false"),
        (ProviderFailure(Failure.FAILED, "broken"), 502, "providers_failed", "true"),
        (ProviderFailure(Failure.FAILED, "broken", paid="unknown"), 502, "providers_failed", "false"),
        (ProviderFailure(Failure.BAD_ANSWER, "html", paid="unknown", made=True), 502, "providers_failed", "false"),
        (ProviderFailure(Failure.OUTCOME_UNKNOWN, "reset", paid="unknown"), 502, "outcome_unknown", "false"),
    ],
)
def test_7_4_a_failure_says_whether_a_repetition_can_help(
    failure: ProviderFailure, status: int, code: str, again: str
) -> None:
    client, _ = house(bedrock=[failure] * 3)
    answer = ask(client, {"model": CORE})
    assert wrong(answer) == (status, None, code)
    assert answer.headers["x-should-retry"] == again
    assert {"generation_id", "attempts", "cost_usd"} < set(answer.json())


def test_7_4_a_used_up_month_is_no_reason_to_repeat() -> None:
    deps = Fakes(providers=FakeProviders(bedrock=FakeProvider()), caps=Caps(images=1), limits=FakeLimits(9))
    client = Client(deps)
    ask(client)
    answer = ask(client)
    assert wrong(answer) == (429, None, "insufficient_quota")
    assert answer.headers["x-should-retry"] == "false"
    assert not [name for name in answer.headers if name.startswith("x-ratelimit")]


def test_1_9_respond_async_is_honoured_here_too() -> None:
    client, _ = house(bedrock=[])
    answer = ask(client, Prefer="respond-async")
    assert (answer.status, answer.json()["status"]) == (202, "queued")
    assert answer.headers["Location"] == f"/prod/unified/jobs/{answer.json()['generation_id']}"


@pytest.mark.parametrize(("method", "status"), [("GET", 405), ("DELETE", 405)])
def test_7_1_other_methods(method: str, status: int) -> None:
    answer = Client()(method, PATH)
    assert wrong(answer)[0] == status
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("sent", [b"", b"{", b"[]", b"null", b'{"prompt": "\xff"}'])
def test_7_1_a_body_that_cannot_be_read(sent: bytes) -> None:
    answer = Client()("POST", PATH, sent)
    assert answer.status == 400
    assert wrong(answer)[2] in ("malformed_body", "invalid_type")


def test_1_2_a_key_is_asked_for_in_openais_shape() -> None:
    client = Client(identity={"tenant": "", "auth": "unknown"})
    assert wrong(ask(client)) == (403, None, "invalid_api_key")
