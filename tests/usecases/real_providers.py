"""The six real provider modules against their strict doubles, for tests that hold the receipt against the ledgers."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from PIL import Image

from lambdas.adapters.pictures import PillowPictures
from lambdas.api.errors import STATUS
from lambdas.domain import catalogue, routing
from lambdas.domain.errors import BY_CODE, FAILURES
from lambdas.domain.jobs import COMPLETED, FAILED, Attempt, Job
from lambdas.providers import _fetch
from lambdas.providers.registry import ProviderRegistry
from lambdas.settings import Settings
from lambdas.usecases import ask_provider, make_image
from lambdas.usecases.deps import Deps
from tests.doubles import bedrock_faults, comfyui, gemini, gpu, leonardo, runware
from tests.doubles.bedrock import FakeBedrock
from tests.doubles.service import COMMON, WIRE, FakeService
from tests.fakes import make_deps

PROVIDERS = ("bedrock", "comfyui", "gemini", "leonardo_ai", "runware_ai", "sagemaker")
SERVICES: dict[str, type[FakeService]] = {
    "comfyui": comfyui.FakeComfyUI,
    "gemini": gemini.FakeGemini,
    "leonardo_ai": leonardo.FakeLeonardo,
    "runware_ai": runware.FakeRunware,
    "sagemaker": gpu.FakeGpu,
}
TICKETS = ("comfyui", "leonardo_ai", "runware_ai")  # their work is asked after, and its image fetched
HANG = 0.3  # real seconds until a peer that does not answer is given up, where it is not to answer
TICKET_SECONDS = 6.0  # of the test's clock, until work that does not end is given up
HANGING = frozenset({"hang", "drip", "drip_headers"})
SAID_COSTS = {"leonardo_ai": 0.0147, "runware_ai": 0.0038}  # what these doubles charge for whatever model

# (provider, fault, stage): every fault that a double knows where it is at home, and those of the wire at each stage.
Case = tuple[str, str, str | None]


def _cases() -> Iterator[Case]:
    for fault in sorted(bedrock_faults.FAULTS):
        yield "bedrock", fault, None
    for name, double in sorted(SERVICES.items()):
        for fault in sorted(double.faults()):
            yield name, fault, None
        if name in TICKETS:
            yield from ((name, fault, stage) for stage in ("ask", "image") for fault in sorted(WIRE | {"slow"}))
            yield from ((name, fault, "ask") for fault in sorted(double.refusals))
            yield from ((name, fault, "image") for fault in sorted(double.refusals) if fault != "moderated")


CASES = tuple(_cases())
assert all(fault in double.faults() for double in SERVICES.values() for fault in COMMON)


class QuickClock:
    """Real time, with sleeps that take a hundredth of theirs."""

    def __init__(self) -> None:
        self.skipped = 0.0

    def now(self) -> float:
        return time.time() + self.skipped

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / 100)
        self.skipped += seconds * 0.99


@dataclass(frozen=True)
class Call:
    """One call in a provider's own ledger that asked for work. `paid`: it may have been charged."""

    model: str
    seed: int | None
    paid: bool
    fault: str | None


@dataclass
class House:
    """The doubles by provider, and the registry that reaches them."""

    doubles: dict[str, Any]
    settings: Settings
    registry: ProviderRegistry

    def behind_aws(self) -> ProviderRegistry:
        """The same with the GPU worker behind a SageMaker endpoint."""
        return ProviderRegistry(replace(self.settings, gpu_worker_url="", sagemaker_endpoint=gpu.ENDPOINT))

    def deps(self, **changes: Any) -> Deps:
        ports = {"providers": self.registry, "pictures": PillowPictures(), "clock": QuickClock()}
        return make_deps(**(ports | changes))

    def clear(self) -> None:
        for double in self.doubles.values():
            double.clear()
            double.calls.clear()

    def inject(self, name: str, fault: str, stage: str | None, times: int | None = 1) -> None:
        where = {} if stage is None else {"at": stage}
        self.doubles[name].inject(fault, times=times, **where)

    def ledger(self, name: str) -> list[Call]:
        """In the order in which the calls came."""
        double = self.doubles[name]
        calls = double.calls if name == "bedrock" else double.works
        return [Call(c.model, c.seed, c.paid, c.fault) for c in calls]


@contextmanager
def open_house() -> Iterator[House]:
    """All six doubles, on ports of their own."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        doubles: dict[str, Any] = {"bedrock": stack.enter_context(FakeBedrock())}
        doubles |= {name: stack.enter_context(kind()) for name, kind in SERVICES.items()}
        patch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", doubles["bedrock"].url)
        patch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", doubles["sagemaker"].url)
        patch.setattr("boto3.DEFAULT_SESSION", None)
        settings = Settings(
            bedrock=True,
            comfyui_url=doubles["comfyui"].url,
            gemini_api_key=gemini.KEY,
            gemini_base_url=f"{doubles['gemini'].url}/v1beta",
            leonardo_api_key=leonardo.KEY,
            leonardo_base_url=doubles["leonardo_ai"].base_url,
            runware_api_key=runware.KEY,
            runware_base_url=doubles["runware_ai"].base_url,
            gpu_worker_url=doubles["sagemaker"].url,
        )
        yield House(doubles, settings, ProviderRegistry(settings))


def hurry(patch: pytest.MonkeyPatch, hang: float = HANG) -> None:
    """Make every patience short enough for a test. `hang`: real seconds for a call."""
    patch.setattr(make_image, "_patience", lambda card, _others: TICKET_SECONDS if card.call == "ticket" else hang)
    patch.setattr(ask_provider, "SUBMIT_SECONDS", hang)
    patch.setattr(ask_provider, "COLLECT_SECONDS", hang)
    patch.setattr(_fetch, "PAUSE_SECONDS", 0.01)


def check_receipt(job: Job, house: House) -> list[tuple[Attempt, Call]]:
    """The job's attempts with the ledger's calls, which must be the same calls in the same order.

    There is no exception among these doubles: they enter a call in the ledger as soon as they have read it, also
    one whose connection they then reset. (A service that was not reached would have no call to an attempt that is
    `unavailable`, `timeout` or `not_authorized` with nothing paid.)
    """
    pairs: list[tuple[Attempt, Call]] = []
    for name in house.doubles:
        attempts = [a for a in job.attempts if a.provider == name]
        calls = house.ledger(name)
        told = [(a.model, _seed_of(job, a)) for a in attempts]
        assert told == [(c.model, c.seed) for c in calls], (name, attempts, calls)
        pairs += zip(attempts, calls, strict=True)
    for attempt, call in pairs:
        _check_pair(attempt, call)
    _check_payments(pairs)
    return pairs


def _seed_of(job: Job, attempt: Attempt) -> int:
    card = catalogue.card(attempt.model)
    assert card
    return routing.order(job.request, card, job.seed, attempt.image).seed


def _check_pair(attempt: Attempt, call: Call) -> None:
    """What the receipt may say of a call of which the ledger says this."""
    said = attempt.outcome, attempt.error_code
    assert attempt.outcome in ("success", "failed", "refused", "unknown"), said
    assert (attempt.error_code is None) == (attempt.outcome == "success"), said
    assert attempt.error_code is None or attempt.error_code in FAILURES
    assert (attempt.error_code == "content_policy") == (attempt.outcome == "refused"), said
    assert attempt.duration >= 0
    card = catalogue.card(attempt.model)
    assert card
    if attempt.outcome == "success":
        assert call.paid, (attempt, call)
        price = SAID_COSTS.get(attempt.provider, card.price_usd)
        assert attempt.cost_usd == pytest.approx(price, rel=0.1)  # gemini counts tokens, also of its words
    elif attempt.cost_usd:  # a picture came and was charged for, but cannot be used
        assert call.paid, (attempt, call)
        assert said == ("failed", "bad_answer")
    if not call.paid:  # a reset cannot be told from a loss after payment
        assert attempt.outcome in ("failed", "refused") or call.fault == "reset", (attempt, call)
    if call.paid and attempt.outcome == "failed" and card.price_usd:
        ends = ("invalid_request", "model_gone", "out_of_credit") if attempt.ticket else ()  # a task may end so
        assert attempt.error_code in ("bad_answer", "failed", *ends), (attempt, call)


def _check_payments(pairs: list[tuple[Attempt, Call]]) -> None:
    """No provider is paid twice for one image, and none is called again after it may have been paid."""
    paid: set[tuple[str, int]] = set()
    for attempt, call in pairs:
        card = catalogue.card(attempt.model)
        assert card
        at = (attempt.provider, attempt.image)
        if card.price_usd > 0:
            assert at not in paid, (attempt, call)
            if call.paid or attempt.outcome in ("success", "unknown"):
                paid.add(at)


def check_end(job: Job, deps: Deps) -> None:
    """The final state, the images that stand, and the error's place in the contract."""
    assert job.status in (COMPLETED, FAILED)
    request = job.request
    size = (request.width, request.height)
    assert len({image.key for image in job.images}) == len(job.images)
    for image in job.images:
        data = deps.blobs.get(image.key)
        assert data and len(data) == image.bytes
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            assert (str(picture.format).lower(), picture.size) == (request.format, size)
        assert (image.width, image.height, image.format) == (*size, request.format)
        assert deps.jobs.find_image(job.tenant, image.name) == image  # listed, so that it can be downloaded
    made = [a.image for a in job.attempts if a.outcome == "success"]
    assert made == list(range(len(job.images)))
    refused = [a for a in job.attempts if a.outcome == "refused"]
    if job.status == COMPLETED:
        assert len(job.images) == request.n
        assert job.error is None
        assert not refused
        assert (job.provider, job.model) == (job.attempts[-1].provider, job.attempts[-1].model)
        return
    assert job.error
    assert STATUS[BY_CODE[job.error["code"]]] in (400, 422, 502, 503, 504)
    assert job.error["message"]
    assert refused == ([job.attempts[-1]] if job.error["code"] == "content_policy" else [])
