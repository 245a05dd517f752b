"""Generates images by Leonardo.Ai's API v2, polls its API v1, and downloads the images from its CDN."""

from __future__ import annotations

import base64
import re
import time
from typing import Any, Final

from lambdas.domain.failure_boundary import charged, unsent
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.jobs.request import GeneratedImage, ImageTask, Ticket
from lambdas.providers._client import http
from lambdas.providers._client.fetch import fetch_image, trusted_hosts
from lambdas.settings import Settings

WHO: Final = "Leonardo"
NO_STYLE: Final = "556c1ee5-ec38-42e8-955a-1e82dad0ffa1"  # without a style, Leonardo adds `Dynamic`
MAX_NESTED: Final = 4  # levels of nesting around an error's text
GENERATION_ID: Final = re.compile(r"[0-9A-Za-z-]{8,64}")

# Additional parameters of a model. FAST and MEDIUM are the values of the documentation's example for Phoenix.
EXTRAS: Final[dict[str, dict[str, str]]] = {
    "phoenix-v1.0": {"mode": "FAST", "contrast": "MEDIUM"},
    "lucid-origin": {"mode": "FAST"},
}

# By the text of an error, which is more reliable than its status: moderated prompts were seen with 400 and 403, and a
# key that is not a UUID gives 500. None of these is charged.
MESSAGES: Final[tuple[tuple[re.Pattern[str], Failure, str], ...]] = (
    (
        re.compile(r"content moderation|inappropriate content", re.I),
        Failure.CONTENT_POLICY,
        f"the content filter of {WHO} refused the prompt",
    ),
    (
        re.compile(r"authorization hook|authentication hook", re.I),
        Failure.NOT_AUTHORIZED,
        f"{WHO} did not accept our key",
    ),
    # The text for an empty account is not verified.
    (
        re.compile(r"(insufficient|not enough) (api )?(balance|credit|fund|token)", re.I),
        Failure.OUT_OF_CREDIT,
        f"{WHO} says that our account is out of credit",
    ),
    (
        re.compile(r"not supported within the production api", re.I),
        Failure.MODEL_GONE,
        f"{WHO} does not have the model",
    ),
)


def build(settings: Settings) -> Leonardo:
    """The provider; nothing is connected before its first call."""
    return Leonardo(settings)


class Leonardo:
    """Implements TicketProvider. A create call whose response is lost may be charged, and cannot be looked up."""

    client_chooses_id = False
    notifies_completion = False

    def __init__(self, settings: Settings) -> None:
        self._key = settings.leonardo_api_key
        self._url = settings.leonardo_base_url.rstrip("/")
        self._trusted = trusted_hosts(self._url, Settings().leonardo_base_url)
        self._allow_private = settings.allow_private_urls
        self._headers = {"Authorization": f"Bearer {self._key}", "Accept": "application/json"}

    def submit(self, task: ImageTask, timeout: float) -> Ticket:
        """Start one generation in one call."""
        url = f"{self._url}/v2/generations"
        with unsent(WHO):
            payload = to_payload(task)
        answer = http.post_json(url, payload, headers=self._headers, timeout=timeout, paid=True, who=WHO)
        return to_ticket(answer, self._key)

    def collect(self, ticket: Ticket, task: ImageTask, timeout: float) -> GeneratedImage | None:  # noqa: ARG002  of the port
        """Poll the generation once and, if it is complete, download its image."""
        ends_at = time.monotonic() + timeout
        url = f"{self._url}/v1/generations/{ticket.id}"
        found = to_image(http.ask("GET", url, headers=self._headers, timeout=timeout, who=WHO))
        if found is None:
            return None
        address, seed = found
        with charged(ticket.cost_usd):
            data = fetch_image(
                address,
                timeout=ends_at - time.monotonic(),
                trusted=self._trusted,
                allow_private=self._allow_private,
                who=WHO,
                later=Failure.UNAVAILABLE,  # the next poll may succeed
            )
        return GeneratedImage(data, seed, ticket.cost_usd)


def to_payload(task: ImageTask) -> dict[str, Any]:
    """Return the body of the create call. A model refuses unknown fields.

    A reference image is inline as BASE64, so one call is accepted or refused as a whole. /init-image would need two
    further calls, the second one an upload to an address of the service's choice.
    """
    parameters: dict[str, Any] = {
        "prompt": task.prompt,
        "prompt_enhance": "OFF",  # AUTO, their default, rewrites prompts
        "width": task.generate[0],
        "height": task.generate[1],
        "quantity": 1,
        "seed": task.seed,
        "style_ids": [NO_STYLE],
        **EXTRAS.get(task.card.id, {}),
    }
    if task.negative_prompt:
        parameters["negative_prompt"] = task.negative_prompt
    if task.reference is not None:
        image = {"type": "BASE64", "data": base64.b64encode(task.reference).decode()}
        parameters["guidances"] = {"content": [{"image": image, "strength": "MID"}]}
    return {"model": task.card.id, "public": False, "parameters": parameters}


def to_ticket(answer: http.Answer, key: str = "") -> Ticket:
    """Read the answer to the create call: in its documented form, its observed form, or that of API v1."""
    if not answer.ok:
        raise http.judged(to_failure, answer, WHO, key)
    said = answer.json(WHO)
    if isinstance(said, dict):
        form = said.get("generate") or said.get("sdGenerationJob") or said
        generation = form.get("generationId") if isinstance(form, dict) else None
        if isinstance(generation, str) and GENERATION_ID.fullmatch(generation):
            return Ticket(generation, _cost(form.get("cost")))
    raise http.judged(to_failure, answer, WHO, key)


def _cost(cost: object) -> float | None:
    """Return the cost in USD. `apiCreditCost`, its predecessor, counts credits without a fixed price."""
    return http.dollars(cost.get("amount")) if isinstance(cost, dict) and cost.get("unit") == "DOLLARS" else None


def to_image(answer: http.Answer) -> tuple[str, int | None] | None:
    """Read a generation: the URL and seed of its image, or `None` while it is not complete."""
    if answer.status == 404:
        raise ProviderFailure(Failure.OUTCOME_UNKNOWN, f"{WHO} does not know the generation", paid="unknown")
    if not answer.ok:
        if http.failure(answer, WHO).code == Failure.NOT_AUTHORIZED:
            raise ProviderFailure(Failure.NOT_AUTHORIZED, f"{WHO} does not let us ask", paid="unknown")
        # the status is the poll's: the generation itself was accepted and may be paid
        raise ProviderFailure(Failure.OUTCOME_UNKNOWN, f"{WHO} did not say what became of the work", paid="unknown")
    said = answer.json(WHO)
    if not isinstance(said, dict) or "generations_by_pk" not in said:
        raise ProviderFailure(Failure.BAD_ANSWER, f"the answer of {WHO} had an unknown form", paid="unknown")
    found = said["generations_by_pk"]
    if found is None:
        raise ProviderFailure(Failure.OUTCOME_UNKNOWN, f"{WHO} does not know the generation", paid="unknown")
    status = found.get("status") if isinstance(found, dict) else None
    if status == "FAILED" and _is_moderated(found.get("prompt_moderations")):
        raise ProviderFailure(Failure.CONTENT_POLICY, f"the content filter of {WHO} refused the prompt", paid="unknown")
    if status == "FAILED":
        raise ProviderFailure(Failure.FAILED, f"the generation failed at {WHO}", paid="unknown")
    if status == "PENDING":
        return None
    images = found.get("generated_images") if status == "COMPLETE" else None
    image = images[0] if isinstance(images, list) and len(images) == 1 else None
    if not isinstance(image, dict) or not isinstance(image.get("url"), str):
        said = f"{WHO} did not answer with exactly one image"
        raise ProviderFailure(Failure.BAD_ANSWER, said, paid="unknown", made=bool(images))
    if image.get("nsfw") is True:
        said = f"the content filter of {WHO} marked the image"
        raise ProviderFailure(Failure.CONTENT_POLICY, said, paid="unknown", made=True)
    return image["url"], http.seed(found.get("seed"))


def _is_moderated(found: object) -> bool:
    """Return whether `prompt_moderations` names a class: a field of real answers that is not in Leonardo's OpenAPI."""
    entries = found if isinstance(found, list) else []
    return any(isinstance(entry, dict) and entry.get("moderationClassification") for entry in entries)


def to_failure(answer: http.Answer, key: str = "") -> ProviderFailure:
    """Map an answer without a generation to a failure. Its body is `{error, path, code}`, or a list as GraphQL's."""
    message = _message(answer)
    for pattern, code, sentence in MESSAGES:
        if pattern.search(message):
            return ProviderFailure(code, sentence)
    said = http.quote(message, key)
    if answer.ok:
        if said:
            return ProviderFailure(Failure.FAILED, f"{WHO} answered with an error: {said}", paid=answer.charged)
        return ProviderFailure(Failure.BAD_ANSWER, f"the answer of {WHO} had an unknown form", paid=answer.charged)
    return http.failure(answer, WHO, said, speaks_json=True)


def _message(answer: http.Answer) -> str:
    """Return the first text of an error, at any level."""
    try:
        found = answer.json(WHO)
    except ProviderFailure:
        return ""
    for _ in range(MAX_NESTED):
        if isinstance(found, list) and found:
            found = found[0]
        if isinstance(found, dict):
            found = found.get("errors") or found.get("error") or found.get("message")
    return found if isinstance(found, str) else ""
