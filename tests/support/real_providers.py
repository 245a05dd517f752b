"""The six real provider modules against their strict doubles, and all faults of these."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from lambdas.adapters.images.pictures import PillowPictures
from lambdas.providers._client import fetch
from lambdas.providers.registry import ProviderRegistry
from lambdas.settings import Settings
from lambdas.usecases.images import ask_provider, candidates
from tests.doubles import comfyui, gemini, gpu, leonardo, runware
from tests.doubles.bedrock import faults as bedrock_faults
from tests.doubles.bedrock.service import FakeBedrock
from tests.doubles.service import COMMON, WIRE, FakeService
from tests.support.fakes import FakeClock, Fakes

PROVIDERS = ("bedrock", "comfyui", "gemini", "leonardo_ai", "runware_ai", "sagemaker")
SERVICES: dict[str, type[FakeService]] = {
    "comfyui": comfyui.FakeComfyUI,
    "gemini": gemini.FakeGemini,
    "leonardo_ai": leonardo.FakeLeonardo,
    "runware_ai": runware.FakeRunware,
    "sagemaker": gpu.FakeGpu,
}
TICKETS = ("comfyui", "leonardo_ai", "runware_ai")  # their work is asked after, and its image fetched
HANG = 0.4  # real seconds until a peer that does not answer is given up, where it is not to answer
TICKET_SECONDS = 6.0  # of the test's clock, until work that does not end is given up
HANGING = frozenset({"hang", "drip", "drip_headers"})

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

# What each fault is in the taxonomy where it is at home, whoever shows it; `None`: it does no harm, or is mended within
# the attempt. A fault that a double learns must be entered here.
_CODES: dict[str, list[str | None]] = {
    # nothing was paid
    "throttle throttle_hint throttle_plain aws_throttle": ["throttled"],
    "unavailable overloaded agreement not_ready busy busy_plain no_rest edge_page": ["unavailable"],
    "aws_not_ready aws_unavailable aws_dependency aws_no_capacity": ["unavailable"],
    "quota quota_day quota_zero out_of_credit out_of_credit_unnamed out_of_tokens unpaid_item": ["out_of_credit"],
    "access_denied expired_token not_authorized forbidden key_no_uuid": ["not_authorized"],
    "bad_key bad_key_plain region aws_denied aws_expired": ["not_authorized"],
    "gone legacy missing_file missing_node missing_node_type aws_no_endpoint": ["model_gone"],
    "validation invalid invalid_under_200 single_error graphql_list": ["invalid_request"],
    "too_big no_scheduler invalid_id too_large aws_validation": ["invalid_request"],
    "moderated moderated_403 moderated_by_host moderated_prompt blocked_prompt recitation": ["content_policy"],
    "moderated_image moderated_job moderated_item moderated_output": ["content_policy"],
    # the work ended badly
    "failed_item flat_item judged_job": ["failed"],
    "failed_job throttled_job out_of_memory interrupted no_output no_images": ["failed", "bad_answer"],
    "inference_error unknown_reason errors model_error crash aws_internal": ["failed"],
    "no_image image_other words draft_only": ["failed", "bad_answer"],
    # Runware is asked by our own id what became of a call that ended in one of these
    "internal": ["failed", "outcome_unknown"],
    "bad_gateway": ["unavailable", "outcome_unknown"],  # a page of what stands in front of the service
    "model_timeout deadline gateway_timeout provider_timeout timeout aws_time": ["timeout", "outcome_unknown"],
    "null_variable unknown_error nonsense sign_in_page": ["failed", "bad_answer", "outcome_unknown"],
    # what came is of no use
    "html list deep huge huge_integer huge_image empty_image truncated_image truncated_json": [
        "bad_answer",
        "outcome_unknown",
    ],
    "wrong_base64 two_images no_picture no_candidates elsewhere wrong_id": ["bad_answer"],
    "no_address private_address unknown_form new_status": ["bad_answer"],
    # the connection: a ticket under our own id is found again
    "hang drip drip_headers": ["timeout", None],
    "reset": ["outcome_unknown", "unavailable"],
    "lost_response reset_body short_body": ["outcome_unknown", "unavailable", None],
    "forgotten": ["outcome_unknown"],
    "slow wrong_size jpeg draft_first uncounted own_id nothing_yet unreadable": [None],
    "form_flat form_v1 no_cost text_seed": [None],
    "url_safe_base64 base64_in_lines": [None],
}
CODES = {code: codes for names, codes in _CODES.items() for code in names.split()}


# The faults of paid providers after which nobody can tell whether the call was charged: no whole answer came, or one
# that says nothing of it. After every other, what is told is what the provider's ledger says.
UNSURE: dict[str, frozenset[str]] = {
    name: frozenset(faults.split())
    for name, faults in {
        "bedrock": "bad_gateway deep drip drip_headers empty_image errors hang html huge huge_integer inference_error "
        "internal list model_error model_timeout moderated_output moderated_prompt no_images reset reset_body "
        "short_body truncated_json unknown_reason",
        "gemini": "bad_gateway deadline deep drip drip_headers hang huge_image list lost_response reset reset_body "
        "short_body truncated_json",
        "leonardo_ai": "bad_gateway drip drip_headers gateway_timeout hang internal lost_response nonsense "
        "null_variable reset reset_body short_body sign_in_page",
        "runware_ai": "bad_gateway failed_item failed_job flat_item forgotten internal list moderated_item "
        "moderated_job nonsense provider_timeout reset sign_in_page throttled_job unknown_error unpaid_item",
    }.items()
}


def may_be_unsure(case: Case) -> bool:
    """Whether the case may leave it open if the call was charged. A task of Runware is priced at its end alone."""
    name, fault, stage = case
    if stage is None:
        return fault in UNSURE.get(name, ())
    return name == "runware_ai" and stage == "ask" and fault in {*runware.FakeRunware.refusals, "list"}


class QuickClock(FakeClock):
    """Real time, with sleeps that take a hundredth of theirs; `time` is how much of it was skipped."""

    def __init__(self) -> None:
        super().__init__(0.0)

    def now(self) -> float:
        return time.time() + self.time

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / 100)
        self.time += seconds * 0.99


@dataclass(frozen=True)
class Call:
    """One call in a provider's own ledger that asked for work. `paid`: it may have been charged, and then `usd`."""

    model: str
    seed: int | None
    paid: bool
    fault: str | None
    usd: float


@dataclass
class Deployment:
    """The doubles by provider, and the registry that reaches them."""

    doubles: dict[str, Any]
    settings: Settings
    registry: ProviderRegistry

    def behind_aws(self) -> ProviderRegistry:
        """The same with the GPU worker behind a SageMaker endpoint."""
        return ProviderRegistry(replace(self.settings, gpu_worker_url="", sagemaker_endpoint=gpu.ENDPOINT))

    def deps(self, **changes: Any) -> Fakes:
        given = Fakes(providers=self.registry, pictures=PillowPictures(), clock=QuickClock())
        return replace(given, **changes)

    def clear(self) -> None:
        for double in self.doubles.values():
            double.clear()
            double.calls.clear()

    def inject(self, name: str, fault: str, stage: str | None, times: int | None = 1) -> None:
        where = {} if stage is None else {"at": stage}
        self.doubles[name].inject(fault, times=times, **where)

    def ledger(self, name: str, count: int = 0) -> list[Call]:
        """In the order in which the calls came. `count` are awaited: a busy machine may read late what was given up."""
        double = self.doubles[name]
        until = time.monotonic() + 5
        while len(double.calls if name == "bedrock" else double.works) < count and time.monotonic() < until:
            time.sleep(0.02)
        calls = double.calls if name == "bedrock" else double.works
        return [Call(c.model, c.seed, c.paid, c.fault, c.usd) for c in calls]


@contextmanager
def open_house() -> Iterator[Deployment]:
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
        yield Deployment(doubles, settings, ProviderRegistry(settings))


def hurry(patch: pytest.MonkeyPatch, hang: float = HANG) -> None:
    """Make every patience short enough for a test. `hang`: real seconds for a call."""
    patch.setattr(candidates, "patience", lambda card, _others: TICKET_SECONDS if card.call == "ticket" else hang)
    patch.setattr(ask_provider, "SUBMIT_SECONDS", hang)
    patch.setattr(ask_provider, "COLLECT_SECONDS", hang)
    patch.setattr(fetch, "PAUSE_SECONDS", 0.01)
