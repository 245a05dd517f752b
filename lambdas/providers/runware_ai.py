"""Queues tasks at Runware, polls them, and downloads the images from its CDN."""

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
from lambdas.providers._client.hostile_json import mapping, mappings
from lambdas.settings import Settings

WHO: Final = "Runware"
FORMATS: Final = {"png": "PNG", "jpeg": "JPG", "webp": "WEBP"}
MIN_PROMPT: Final = 2

# Default steps. The service's own default is 20 for every model; the card's price is for 28, and schnell is distilled
# for 4.
STEPS: Final = {"runware:101@1": 28, "runware:100@1": 4, "runware:400@1": 28}
GUIDANCE: Final = {"runware:101@1": 3.5}  # the service's default of 7 is far too high for FLUX.1
SEED_IMAGE: Final = frozenset({"runware:101@1"})  # starts from the reference; FLUX.2 edits it

MAX_CODE: Final = 100  # characters of an error's code that are read

# By an error's code in lower case. Codes are being renamed (runware.ai/docs/platform/errors), so an unknown code is
# classified by the words in it, then by the HTTP status, both as in the official runware-sdk 1.8.0.
REFUSALS: Final = frozenset(
    {
        "contentpolicyviolation",
        "providercontentpolicyviolation",
        "sensitivecontentdetected",
        "unsafecontentdetected",
        "nsfwcontentdetected",
        "promptblocked",
        "imageblocked",
        "moderationfailed",
        "invalidprovidercontent",
    }
)
WORDS: Final[tuple[tuple[re.Pattern[str], Failure, str], ...]] = tuple(
    (re.compile(words), code, end)
    for words, code, end in (
        (
            "credit|quota|balance|paymentrequired|paused",
            Failure.OUT_OF_CREDIT,
            "says that our account is out of credit",
        ),
        ("ratelimit", Failure.THROTTLED, "is throttling this account"),
        # a code that starts with `provider` is about Runware's own key at another service
        (
            r"^(?!provider).*(?:apikey|unauthorized|forbidden|permission|authentication|authfailed|authtimeout|credential"
            "|token(?:expired|invalid|missing|revoked)|suspended|(?:account|organization|workspace)disabled)",
            Failure.NOT_AUTHORIZED,
            "did not accept our key",
        ),
        ("timeout", Failure.TIMEOUT, "took too long"),
        ("invalidmodel|unknownmodel|modelnotfound|modeldisabled", Failure.MODEL_GONE, "does not have the model"),
        (
            r"^(?!provider).*(?:noavailableserver|unavailable|modelnotready)",
            Failure.UNAVAILABLE,
            "has no room for the model now",
        ),
        (
            "^provider|inferenceerror|(?:processing|task|download|upload)failed",
            Failure.FAILED,
            "could not make the image",
        ),
        (
            "internalserver|standarderror|unknownerror|undefinederror|defaulterror|unrecognizedresponse"
            "|^errorretrieving|couldnotbemoved",
            Failure.FAILED,
            "had an internal error",
        ),
    )
)


def build(settings: Settings) -> Runware:
    """The provider; nothing is connected before its first call."""
    return Runware(settings)


class Runware:
    """Implements TicketProvider. The id is the image task's, so a task can be polled even if the response was lost."""

    client_chooses_id = True
    notifies_completion = False

    def __init__(self, settings: Settings) -> None:
        self._key = settings.runware_api_key
        self._url = settings.runware_base_url
        self._trusted = trusted_hosts(self._url, Settings().runware_base_url)
        self._allow_private = settings.allow_private_urls
        self._headers = {"Authorization": f"Bearer {self._key}"}

    def submit(self, task: ImageTask, timeout: float) -> Ticket:
        """Queue one task in one call."""
        with unsent(WHO):
            tasks = [to_payload(task)]
        answer = http.post_json(self._url, tasks, headers=self._headers, timeout=timeout, paid=True, who=WHO)
        return to_ticket(answer, task.id, self._key)

    def collect(self, ticket: Ticket, task: ImageTask, timeout: float) -> GeneratedImage | None:  # noqa: ARG002  of the port
        """Poll the task once and, if it is done, download its image."""
        ends_at = time.monotonic() + timeout
        tasks = [{"taskType": "getResponse", "taskUUID": ticket.id}]
        found = to_image(
            http.ask("POST", self._url, tasks, headers=self._headers, timeout=timeout, who=WHO, any_status=True),
            ticket.id,
            self._key,
        )
        if found is None:
            return None
        cost = _cost([found])
        with charged(cost):
            data = fetch_image(
                found["imageURL"],
                timeout=ends_at - time.monotonic(),
                trusted=self._trusted,
                allow_private=self._allow_private,
                who=WHO,
                later=Failure.UNAVAILABLE,  # the next poll may succeed
            )
        return GeneratedImage(data, http.seed(found.get("seed")), cost)


def to_payload(task: ImageTask) -> dict[str, Any]:
    """Return the task. Its image is requested as a URL, so the answer is small and the download can be repeated."""
    model = task.card.id
    sent: dict[str, Any] = {
        "taskType": "imageInference",
        "taskUUID": task.id,
        "model": model,
        "positivePrompt": task.prompt.ljust(MIN_PROMPT),
        "width": task.generate[0],
        "height": task.generate[1],
        "seed": task.seed,
        "numberResults": 1,
        "outputType": "URL",
        "outputFormat": FORMATS[task.format],
        "deliveryMethod": "async",
        "includeCost": True,
    }
    if model.startswith("runware:"):
        sent["safety"] = {"checkContent": True}  # models of other hosts have their own filter
    if task.negative_prompt:
        sent["negativePrompt"] = task.negative_prompt
    if steps := task.steps or STEPS.get(model):
        sent["steps"] = steps
    guidance = GUIDANCE.get(model) if task.cfg is None else task.cfg
    if guidance is not None:
        sent["CFGScale"] = guidance
    if task.reference is not None:
        image = f"data:{task.reference_type};base64,{base64.b64encode(task.reference).decode()}"
        sent["inputs"] = {"seedImage": image} if model in SEED_IMAGE else {"referenceImages": [image]}
    return sent


def to_ticket(answer: http.Answer, task_id: str, key: str = "") -> Ticket:
    """Read the acknowledgement of a task."""
    data, errors = _read(answer)
    if not answer.ok or errors:
        raise http.judged(to_failure, answer, WHO, errors[0] if errors else {}, key)
    if not any(item.get("taskUUID") == task_id for item in data):
        raise ProviderFailure(Failure.BAD_ANSWER, f"{WHO} did not acknowledge the task", paid="unknown")
    return Ticket(task_id)


def to_image(answer: http.Answer, task_id: str, key: str = "") -> dict[str, Any] | None:
    """Read the answer to a poll: the task's one item when it is done, else `None`.

    An error of the type getResponse is about the poll; any other one is how the task ended.
    """
    data, errors = _read(answer)
    items = [item for item in data if item.get("taskUUID") == task_id]
    errors = [error for error in errors if error.get("taskUUID", task_id) == task_id]
    for error in errors:
        if _code(error) in REFUSALS:
            raise _ended(to_failure(answer, error, key))
    http.settled(answer, WHO)
    for error in errors:
        if error.get("taskType") != "getResponse" and (answer.ok or "taskType" in error):
            raise _ended(to_failure(answer, error, key))
    if errors or not answer.ok:
        if answer.status in (401, 402, 403):
            failure = to_failure(answer, errors[0] if errors else {}, key)
            raise ProviderFailure(failure.code, failure.detail, paid="unknown")
        raise ProviderFailure(Failure.OUTCOME_UNKNOWN, f"{WHO} does not know the task", paid="unknown")
    done = [item for item in items if "imageURL" in item]
    if not done and all(item.get("status", "processing") == "processing" for item in items):
        return None
    if len(done) != 1 or not isinstance(done[0]["imageURL"], str):
        said = f"{WHO} did not answer with exactly one image"
        raise ProviderFailure(Failure.BAD_ANSWER, said, paid="unknown", made=bool(done), cost_usd=_cost(done))
    if done[0].get("NSFWContent") is True:
        said = f"the content filter of {WHO} marked the image"
        raise ProviderFailure(Failure.CONTENT_POLICY, said, paid="unknown", made=True, cost_usd=_cost(done))
    return done[0]


def _cost(done: list[dict[str, Any]]) -> float | None:
    """Return the total charge of these images; `None` unless each states its own."""
    sums = [http.dollars(item.get("cost")) for item in done]
    told = [each for each in sums if each is not None]
    return round(sum(told), 6) if told and len(told) == len(sums) else None


def to_failure(answer: http.Answer, error: dict[str, Any], key: str = "") -> ProviderFailure:
    """Map an error of the answer, `{}` for none, to a failure."""
    code = _code(error)
    said = http.quote(error.get("message"), key)
    if code in REFUSALS:
        return ProviderFailure(Failure.CONTENT_POLICY, f"the content filter of {WHO} refused the request")
    for words, meaning, end in WORDS:
        if words.search(code):
            charged = answer.charged if meaning in (Failure.TIMEOUT, Failure.FAILED) else "no"
            return ProviderFailure(meaning, f"{WHO} {end}", paid=charged, retry_after=answer.retry_after)
    if not answer.ok:
        return http.failure(answer, WHO, said, speaks_json=True)
    if error.get("parameter"):
        return ProviderFailure(Failure.INVALID_REQUEST, f"{WHO} did not accept the request: {said}")
    return ProviderFailure(Failure.FAILED, f"{WHO} answered with an error: {said}", paid=answer.charged)


def _code(error: dict[str, Any]) -> str:
    code = error.get("code")
    return code[:MAX_CODE].lower() if isinstance(code, str) else ""


def _ended(failure: ProviderFailure) -> ProviderFailure:
    """Return the failure of a task that has ended: its code must not be one that is polled again."""
    passing = (Failure.THROTTLED, Failure.UNAVAILABLE, Failure.TIMEOUT, Failure.BAD_ANSWER)
    code = Failure.FAILED if failure.code in passing else failure.code
    return ProviderFailure(code, failure.detail, paid="unknown")


def _read(answer: http.Answer) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the items and the errors of an answer; an error page without JSON has neither.

    Errors are in `errors`, in `error`, in a bare list, or in the item of a task that failed: in its `error`, as the
    official SDK reads it, or in the item itself.
    """
    try:
        said = answer.json(WHO)
    except ProviderFailure:
        if answer.ok:
            raise
        return [], []
    if isinstance(said, list) and not answer.ok:
        said = {"errors": said}
    if not isinstance(said, dict):
        raise ProviderFailure(Failure.BAD_ANSWER, f"the answer of {WHO} had an unknown form", paid=answer.charged)
    errors = said.get("errors") or said.get("error") or []
    data = mappings(said.get("data"))
    failed = [{**item, **mapping(item.get("error"))} for item in data if item.get("status") == "error"]
    return data, mappings([errors] if isinstance(errors, dict) else errors) + failed
