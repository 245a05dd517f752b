"""Runware: a task under an id of our choosing, asked after until it is done, its image fetched from their CDN."""

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

# Steps where the client names none: the service's own default is the same 20 for every model. 28 is what the card's
# price is for, 4 what schnell is distilled for.
STEPS: Final = {"runware:101@1": 28, "runware:100@1": 4, "runware:400@1": 28}
GUIDANCE: Final = {"runware:101@1": 3.5}  # the default of 7 is far too much for FLUX.1; 3.5 is its authors' own
SEED_IMAGE: Final = frozenset({"runware:101@1"})  # starts from the reference; FLUX.2 edits it

MAX_CODE: Final = 100  # characters of an error's code that are looked at

# By an error's code in lower case. Codes are being renamed (runware.ai/docs/platform/errors), so what is not here is
# judged by the code's words, then by the HTTP status. Both as the official runware-sdk 1.8.0 sorts them.
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
        # with `provider` in front it is the key of those whom Runware asks, which is not ours
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
    """See ports.TicketProvider. The task's id is the order's: one whose answer was lost can still be asked after."""

    client_chooses_id = True
    notifies_completion = False

    def __init__(self, settings: Settings) -> None:
        self._key = settings.runware_api_key
        self._url = settings.runware_base_url
        self._trusted = trusted_hosts(self._url, Settings().runware_base_url)
        self._allow_private = settings.allow_private_urls
        self._headers = {"Authorization": f"Bearer {self._key}"}

    def submit(self, order: ImageTask, timeout: float) -> Ticket:
        """One task in one call, which only queues it."""
        with unsent(WHO):
            tasks = [to_payload(order)]
        answer = http.post_json(self._url, tasks, headers=self._headers, timeout=timeout, paid=True, who=WHO)
        return to_ticket(answer, order.id, self._key)

    def collect(self, ticket: Ticket, order: ImageTask, timeout: float) -> GeneratedImage | None:  # noqa: ARG002  of the port
        """One look at the task and, if it is done, the download of its image."""
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
                later=Failure.UNAVAILABLE,  # the next look may fetch it
            )
        return GeneratedImage(data, http.seed(found.get("seed")), cost)


def to_payload(order: ImageTask) -> dict[str, Any]:
    """The task. Its image is asked for by address, so that the answer is small and the image can be fetched again."""
    model = order.card.id
    task: dict[str, Any] = {
        "taskType": "imageInference",
        "taskUUID": order.id,
        "model": model,
        "positivePrompt": order.prompt.ljust(MIN_PROMPT),
        "width": order.generate[0],
        "height": order.generate[1],
        "seed": order.seed,
        "numberResults": 1,
        "outputType": "URL",
        "outputFormat": FORMATS[order.format],
        "deliveryMethod": "async",
        "includeCost": True,
    }
    if model.startswith("runware:"):
        task["safety"] = {"checkContent": True}  # models that others host have a filter of their own
    if order.negative_prompt:
        task["negativePrompt"] = order.negative_prompt
    if steps := order.steps or STEPS.get(model):
        task["steps"] = steps
    guidance = GUIDANCE.get(model) if order.cfg is None else order.cfg
    if guidance is not None:
        task["CFGScale"] = guidance
    if order.reference is not None:
        image = f"data:{order.reference_type};base64,{base64.b64encode(order.reference).decode()}"
        task["inputs"] = {"seedImage": image} if model in SEED_IMAGE else {"referenceImages": [image]}
    return task


def to_ticket(answer: http.Answer, task_id: str, key: str = "") -> Ticket:
    """Read the acknowledgement of a task."""
    data, errors = _read(answer)
    if not answer.ok or errors:
        raise http.judged(to_failure, answer, WHO, errors[0] if errors else {}, key)
    if not any(item.get("taskUUID") == task_id for item in data):
        raise ProviderFailure(Failure.BAD_ANSWER, f"{WHO} did not acknowledge the task", paid="unknown")
    return Ticket(task_id)


def to_image(answer: http.Answer, task_id: str, key: str = "") -> dict[str, Any] | None:
    """Read the answer about a task: its one item when it is done, or `None` while it is not.

    An error of the type getResponse is one of the question, any other how the task ended.
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
    """What was charged for these images together; `None` where that is not said of each."""
    sums = [http.dollars(item.get("cost")) for item in done]
    told = [each for each in sums if each is not None]
    return round(sum(told), 6) if told and len(told) == len(sums) else None


def to_failure(answer: http.Answer, error: dict[str, Any], key: str = "") -> ProviderFailure:
    """What an error means that came with the answer; `{}` where there was none."""
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
    """The same of a task that was accepted and has ended so: asking again would change nothing."""
    passing = (Failure.THROTTLED, Failure.UNAVAILABLE, Failure.TIMEOUT, Failure.BAD_ANSWER)
    code = Failure.FAILED if failure.code in passing else failure.code
    return ProviderFailure(code, failure.detail, paid="unknown")


def _read(answer: http.Answer) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The items and the errors of an answer; none of either in an error page that is no JSON.

    An error stands in `errors`, alone in `error`, in a bare list, or in the item of a task that failed: there within
    its `error`, as the official SDK reads it, or flat.
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
