"""Leonardo.Ai: API v2 makes an image, API v1 tells when it is there, and it is fetched from their CDN."""

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
NO_STYLE: Final = "556c1ee5-ec38-42e8-955a-1e82dad0ffa1"  # without one, the style `Dynamic` is added to the prompt
MAX_NESTED: Final = 4  # levels of an error around its text
GENERATION_ID: Final = re.compile(r"[0-9A-Za-z-]{8,64}")

# What a model needs besides the order. FAST and MEDIUM are what the documentation's own example of Phoenix sends.
EXTRAS: Final[dict[str, dict[str, str]]] = {
    "phoenix-v1.0": {"mode": "FAST", "contrast": "MEDIUM"},
    "lucid-origin": {"mode": "FAST"},
}

# By the text of an error, which tells more than its status: a moderated prompt was seen with 400 and with 403, and a
# key that is no UUID gives a 500. None of these has been charged.
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
    # The real words for an empty account are not verified.
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
    """See ports.TicketProvider. A create call that was cut off may have been charged, and cannot be looked up."""

    client_chooses_id = False
    notifies_completion = False

    def __init__(self, settings: Settings) -> None:
        self._key = settings.leonardo_api_key
        self._url = settings.leonardo_base_url.rstrip("/")
        self._trusted = trusted_hosts(self._url, Settings().leonardo_base_url)
        self._allow_private = settings.allow_private_urls
        self._headers = {"Authorization": f"Bearer {self._key}", "Accept": "application/json"}

    def submit(self, order: ImageTask, timeout: float) -> Ticket:
        """One create call."""
        url = f"{self._url}/v2/generations"
        with unsent(WHO):
            payload = to_payload(order)
        answer = http.post_json(url, payload, headers=self._headers, timeout=timeout, paid=True, who=WHO)
        return to_ticket(answer, self._key)

    def collect(self, ticket: Ticket, order: ImageTask, timeout: float) -> GeneratedImage | None:  # noqa: ARG002  of the port
        """One look at the generation and, if it is complete, the download of its image."""
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
                later=Failure.UNAVAILABLE,  # the next look may fetch it
            )
        return GeneratedImage(data, seed, ticket.cost_usd)


def to_payload(order: ImageTask) -> dict[str, Any]:
    """The body of the create call. Its fields are closed: a model refuses one that it does not know.

    A reference image goes inline as BASE64: one call that is refused as a whole if it is not liked. The way by
    /init-image would be two calls more, the second of them an upload to an address that the service names.
    """
    parameters: dict[str, Any] = {
        "prompt": order.prompt,
        "prompt_enhance": "OFF",  # AUTO, their default, rewrites prompts
        "width": order.generate[0],
        "height": order.generate[1],
        "quantity": 1,
        "seed": order.seed,
        "style_ids": [NO_STYLE],
        **EXTRAS.get(order.card.id, {}),
    }
    if order.negative_prompt:
        parameters["negative_prompt"] = order.negative_prompt
    if order.reference is not None:
        image = {"type": "BASE64", "data": base64.b64encode(order.reference).decode()}
        parameters["guidances"] = {"content": [{"image": image, "strength": "MID"}]}
    return {"model": order.card.id, "public": False, "parameters": parameters}


def to_ticket(answer: http.Answer, key: str = "") -> Ticket:
    """Read the answer to the create call, in the documented form, the one that was seen, and that of API v1."""
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
    """In dollars; `apiCreditCost`, its forerunner, counts credits of no fixed price."""
    return http.dollars(cost.get("amount")) if isinstance(cost, dict) and cost.get("unit") == "DOLLARS" else None


def to_image(answer: http.Answer) -> tuple[str, int | None] | None:
    """Read a generation: its image's address and seed, or `None` while it is not complete."""
    if answer.status == 404:
        raise ProviderFailure(Failure.OUTCOME_UNKNOWN, f"{WHO} does not know the generation", paid="unknown")
    if not answer.ok:
        if http.failure(answer, WHO).code == Failure.NOT_AUTHORIZED:
            raise ProviderFailure(Failure.NOT_AUTHORIZED, f"{WHO} does not let us ask", paid="unknown")
        # Not what the status means: it was the question that was refused, the request is accepted and paid for.
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
    """Whether a finished generation's `prompt_moderations` names a class: seen in answers, and not in their OpenAPI."""
    entries = found if isinstance(found, list) else []
    return any(isinstance(entry, dict) and entry.get("moderationClassification") for entry in entries)


def to_failure(answer: http.Answer, key: str = "") -> ProviderFailure:
    """What an answer without a generation means. Its body is `{error, path, code}`, or GraphQL's list of errors."""
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
    """The first text of an error, wherever it stands."""
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
