"""Contract 7.1 to 7.4: OpenAI's own SDK on the local stack, with the Bedrock double and its ledger of payments."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from PIL import Image

from local.stack import Stack
from tests.doubles.bedrock.service import FakeBedrock
from tests.e2e import http
from tests.e2e.conftest import make_stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

CORE = "stability.stable-image-core-v1:1"


@pytest.fixture(scope="module")
def bedrock() -> Iterator[FakeBedrock]:
    with FakeBedrock() as fake:
        yield fake


@pytest.fixture(scope="module")
def stack(bedrock: FakeBedrock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with make_stack(tmp_path_factory.mktemp("openai"), AWS_ENDPOINT_URL_BEDROCK_RUNTIME=bedrock.url) as stack:
        yield stack


@pytest.fixture(scope="module")
def sdk(stack: Stack) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{stack.url}/v1", api_key="none") as client:
        yield client


def picture(text: str | None) -> Image.Image:
    assert text
    return Image.open(io.BytesIO(base64.b64decode(text)))


def photo(mode: str = "RGB") -> tuple[str, io.BytesIO, str]:
    """A file as the SDK takes it; an RGBA is a mask, whose left half is transparent."""
    out = io.BytesIO()
    image = Image.effect_noise((256, 192), 80).convert(mode)
    if mode == "RGBA":
        image.paste((0, 0, 0, 0), (0, 0, 128, 192))
    image.save(out, "PNG")
    out.seek(0)
    return "photo.png", out, "image/png"


def test_7_1_generate(sdk: openai.OpenAI, bedrock: FakeBedrock) -> None:
    before = len(bedrock.paid)
    answer = sdk.images.generate(
        model="gpt-image-2",
        prompt="A fox",
        n=2,
        size="1536x1024",
        quality="low",
        output_format="webp",
        background="auto",
    )
    assert answer.data
    for entry in answer.data:
        image = picture(entry.b64_json)
        assert (image.format, image.size) == ("WEBP", (1536, 1024))
    assert (answer.size, answer.output_format, answer.quality, answer.background) == (
        "1536x1024",
        "webp",
        "low",
        "opaque",
    )
    assert answer.usage
    assert answer.usage.total_tokens == 0
    assert answer._request_id
    assert len(bedrock.paid) == before + 2


def test_7_1_a_url_needs_no_key(sdk: openai.OpenAI) -> None:
    answer = sdk.images.generate(prompt="A fox", response_format="url")
    assert answer.data
    assert http.get(answer.data[0].url or "").headers["content-type"] == "image/png"


def test_7_2_a_stream(sdk: openai.OpenAI) -> None:
    events = list(sdk.images.generate(prompt="A fox", stream=True, partial_images=1))
    assert [event.type for event in events] == ["image_generation.completed"]
    assert picture(events[0].b64_json).format == "PNG"


@pytest.mark.parametrize("stream", [False, True])
def test_7_3_an_answer_over_the_gateways_size_is_followed(sdk: openai.OpenAI, stream: bool) -> None:
    """Noise of the double's pictures: four large ones are more than the gateway passes on."""
    size = "2048x2048"
    if stream:
        events = list(sdk.images.generate(prompt="A fox", n=4, size=size, stream=True))
        texts = [event.b64_json for event in events]
    else:
        texts = [entry.b64_json for entry in sdk.images.generate(prompt="A fox", n=4, size=size).data or ()]
    assert [picture(text).size for text in texts] == [(2048, 2048)] * 4


def test_7_1_edits(sdk: openai.OpenAI, bedrock: FakeBedrock) -> None:
    plain = sdk.images.edit(image=photo(), prompt="a red hat", model="gpt-image-2", input_fidelity="high")
    assert plain.data
    assert picture(plain.data[0].b64_json).size == (1184, 888)
    file = photo()
    masked = sdk.images.edit(image=[file], mask=photo("RGBA"), prompt="a red hat")
    assert masked.data
    made = picture(masked.data[0].b64_json).convert("RGB")
    kept = (128, 0, 256, 192)
    assert made.crop(kept).tobytes() == Image.open(io.BytesIO(file[1].getvalue())).crop(kept).tobytes()
    assert bedrock.calls[-1].model == "us.stability.stable-image-inpaint-v1:0"


def test_7_1_errors_are_the_sdks(sdk: openai.OpenAI, bedrock: FakeBedrock) -> None:
    with pytest.raises(openai.BadRequestError) as wrong:
        sdk.images.generate(prompt="A fox", output_format="gif")
    assert (wrong.value.param, wrong.value.code) == ("output_format", "unsupported_value")
    with pytest.raises(openai.APIStatusError) as gone:
        sdk.post("/images/variations", cast_to=object)
    assert gone.value.status_code == 410
    bedrock.inject("moderated_prompt")
    before = len(bedrock.calls)
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        sdk.images.generate(prompt="something bad")
    assert refused.value.code == "moderation_blocked"
    assert len(bedrock.calls) == before + 1


def test_7_4_a_slow_image_is_paid_once_and_reaches_a_client_that_knows_nothing_of_it(
    sdk: openai.OpenAI, bedrock: FakeBedrock
) -> None:
    bedrock.inject("slow", times=2, seconds=34)
    before = len(bedrock.paid)
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(sdk.images.generate, model=CORE, prompt="A slow fox") for _ in range(2)]
        answers = [future.result() for future in asked]
    assert all(answer.data for answer in answers)
    ids = {answer.metadata["generation_id"] for answer in answers}
    assert len(ids) == 2
    assert len(bedrock.paid) == before + 2


def test_7_4_a_connection_that_breaks_is_taken_up_again(stack: Stack, bedrock: FakeBedrock) -> None:
    bedrock.inject("slow", seconds=8)
    before = len(bedrock.paid)
    with openai.OpenAI(base_url=f"{stack.url}/v1", api_key="none", timeout=4) as hasty:
        answer = hasty.with_options(max_retries=3).images.generate(model=CORE, prompt="A hasty fox")
    assert answer.data
    assert len(bedrock.paid) == before + 1


def test_7_1_models(sdk: openai.OpenAI) -> None:
    assert CORE in {model.id for model in sdk.models.list()}
    assert sdk.models.retrieve(CORE).owned_by == "stability-ai"
