"""A run killed at any point of the protocol: its job ends, and no provider is paid twice for an image.

The providers' modules and their doubles are the real ones, the other ports are in memory. A kill is a BaseException out
of a port's call, before or after it took effect: nothing of the run comes after it, and its lease is left.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from lambdas.domain import catalogue
from lambdas.domain.jobs.job import COMPLETED, FAILED, Job
from lambdas.domain.jobs.request import ImageRequest
from lambdas.usecases.deps import Deps
from lambdas.usecases.jobs.handle_message import handle_job_message
from lambdas.usecases.jobs.run_job import LEASE_SECONDS, MAX_RUNS, run_job
from lambdas.usecases.jobs.submit_job import WATCHDOG_SECONDS, Caller, submit_job
from tests.support.real_providers import CASES, HANGING, PROVIDERS, TICKETS, Deployment, open_house
from tests.support.receipts import check_after_kills, check_end
from tests.support.tripwire import Killed, Tripwire

PAID_SHOT, FREE_SHOT = ("bedrock", "gemini"), ("sagemaker",)
OUR_ID, THEIR_ID, FREE_TICKET = "runware_ai", "leonardo_ai", "comfyui"
SHOT_STEPS = ("claim", "intent", "paint", "raw", "fit", "image", "progress", "finish")
TICKET_STEPS = ("claim", "intent", "submit", "ticket", "collect", "raw", "fit", "image", "progress", "finish")
ONCE = ("claim", "progress", "finish")  # of a job of two images


@pytest.fixture(scope="module")
def running() -> Iterator[Deployment]:
    with open_house() as house:
        yield house


@pytest.fixture
def house(running: Deployment) -> Deployment:
    running.clear()
    return running


def run_to_the_end(job: Job, deps: Deps) -> Job:
    """As the queue would: a first run, then the watchdog's message until the job is final."""
    assert WATCHDOG_SECONDS > LEASE_SECONDS
    for number in range(MAX_RUNS + 2):
        deadline = deps.clock.now() + 800
        with suppress(Killed):
            if number:
                handle_job_message(job.tenant, job.id, deadline, deps, watchdog=True)
            else:
                run_job(job.tenant, job.id, deadline, deps)
        found = deps.jobs.get(job.tenant, job.id)
        assert found
        if found.final:
            return found
        deps.clock.sleep(WATCHDOG_SECONDS)
    raise AssertionError("the job did not end")


def points(steps: tuple[str, ...]) -> Iterator[tuple[str, str, int]]:
    for step in steps:
        for number in (1,) if step in ONCE else (1, 2):
            yield step, "before", number
            yield step, "after", number


MATRIX = [
    (name, *point)
    for name in PROVIDERS
    for point in points(TICKET_STEPS if name in TICKETS else SHOT_STEPS)
    if point[0] != "raw" or name not in (*FREE_SHOT, FREE_TICKET)  # what costs nothing is not kept before it is seen
]


def is_saved(name: str, step: str, when: str) -> bool:
    """Whether the image that was being made can still be had without paying again.

    What cannot: a call that gives no id before it has ended, until its bytes are stored; a ticket under the provider's
    own id until it is; and one under our own that the provider does not know, because it was never handed in.
    """
    steps = TICKET_STEPS if name in TICKETS else SHOT_STEPS
    at = 2 * steps.index(step) + (when == "after")
    begun = 2 * steps.index("intent") + 1
    known = {
        **dict.fromkeys(PAID_SHOT, "raw"),
        **dict.fromkeys((*FREE_SHOT, FREE_TICKET), "intent"),
        OUR_ID: "submit",
        THEIR_ID: "ticket",
    }[name]
    return at < begun or at >= 2 * steps.index(known) + 1


@pytest.mark.parametrize(("name", "step", "when", "number"), MATRIX)
def test_killed_once_with_nobody_else_to_ask(name: str, step: str, when: str, number: int, house: Deployment) -> None:
    wire = Tripwire()
    deps = wire.deps(house, (name,))
    request = ImageRequest("a fox", provider=name, fallback=False, n=2, seed=11, width=256, height=256)
    job, _ = submit_job(request, Caller("acme", "req-1"), deps)
    wire.kill = _once(step, when, number)
    ended = run_to_the_end(job, deps)
    assert wire.counts[step] >= number  # it was killed there
    check_after_kills(ended, house)
    check_end(ended, deps)
    if is_saved(name, step, when):
        assert ended.status == COMPLETED, ended.error
        # what is free may be made anew; what is paid was made once
        assert len(house.ledger(name)) == 2 or catalogue.cards_of(name)[0].price_usd == 0
    else:
        assert ended.error
        assert (ended.status, ended.error.code) == (FAILED, "outcome_unknown")
        assert len(ended.images) == number - 1
        assert (ended.attempts[-1].outcome, ended.attempts[-1].image) == ("unknown", number - 1)


@pytest.mark.parametrize(("name", "step", "when", "number"), [m for m in MATRIX if m[-1] == 1])
def test_killed_once_with_another_to_ask(name: str, step: str, when: str, number: int, house: Deployment) -> None:
    other = "runware_ai" if name != "runware_ai" else "leonardo_ai"
    wire = Tripwire()
    deps = wire.deps(house, (name, other))
    request = ImageRequest("a fox", provider=name, fallback=(other,), n=2, seed=11, width=256, height=256)
    job, _ = submit_job(request, Caller("acme", "req-1"), deps)
    wire.kill = _once(step, when, number)
    ended = run_to_the_end(job, deps)
    assert ended.status == COMPLETED, ended.error
    check_after_kills(ended, house)
    check_end(ended, deps)
    elsewhere = [a.image for a in ended.attempts if a.provider == other]
    assert elsewhere == ([] if is_saved(name, step, when) else [number - 1])


def _once(step: str, when: str, number: int) -> Callable[[str, str, int], bool]:
    return lambda *at: at == (step, when, number)


# What the first provider may do besides: nothing that takes time, and no refusal, which a kill before it is on record
# turns into an unknown call.
FAULTS = [
    (name, fault, stage)
    for name, fault, stage in CASES
    if stage is None
    and fault not in HANGING
    and fault != "slow"
    and not fault.startswith(("huge", "moderated", "blocked", "recitation", "aws_"))
]


@pytest.mark.parametrize("seed", range(80))
def test_killed_again_and_again_among_failing_providers(seed: int, house: Deployment) -> None:
    die = random.Random(seed)
    names = tuple(die.sample(PROVIDERS, die.randint(1, 3)))
    for name, fault, stage in die.sample([f for f in FAULTS if f[0] in names], die.randint(0, 3)):
        house.inject(name, fault, stage, times=die.choice([1, 2]))
    wire = Tripwire()
    deps = wire.deps(house, names)
    request = ImageRequest("a fox", provider=names[0], fallback=names[1:], n=die.randint(1, 2), width=256, height=256)
    job, _ = submit_job(replace(request, seed=die.randint(1, 2_000_000_000)), Caller("acme", "req-1"), deps)
    kills = [MAX_RUNS - 2]

    def kill(_name: str, _when: str, _number: int) -> bool:
        if kills[0] and die.random() < 0.12:
            kills[0] -= 1
            return True
        return False

    wire.kill = kill
    ended = run_to_the_end(job, deps)
    killed = MAX_RUNS - 2 - kills[0]
    assert check_after_kills(ended, house) <= killed
    check_end(ended, deps)


def test_the_bytes_of_a_spoilt_picture_are_not_taken_for_the_next_providers(house: Deployment) -> None:
    """Those of the first provider are stored before they are looked at; the second one's call is then interrupted."""
    house.inject("bedrock", "truncated_image", None)
    wire = Tripwire()
    deps = wire.deps(house, ("bedrock", "runware_ai"))
    request = ImageRequest("a fox", provider="bedrock", fallback=("runware_ai",), width=256, height=256)
    job, _ = submit_job(request, Caller("acme", "req-1"), deps)
    wire.kill = _once("submit", "after", 1)
    ended = run_to_the_end(job, deps)
    assert ended.status == COMPLETED
    assert [(a.provider, a.outcome, a.error_code) for a in ended.attempts] == [
        ("bedrock", "failed", "bad_answer"),
        ("runware_ai", "success", None),
    ]
    check_after_kills(ended, house)


@pytest.mark.parametrize("name", PROVIDERS)
def test_models_that_have_left_the_catalogue(name: str, house: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment that knows none of the job's models any more ends it, and says what it cannot find out."""
    wire = Tripwire()
    deps = wire.deps(house, (name,))
    request = ImageRequest("a fox", provider=name, fallback=False, width=256, height=256)
    job, _ = submit_job(request, Caller("acme", "req-1"), deps)
    wire.kill = _once("submit" if name in TICKETS else "paint", "after", 1)
    with pytest.raises(Killed):
        run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
    known = catalogue.card(job.model)
    with monkeypatch.context() as patch:
        patch.setattr(catalogue, "card", lambda _model: None)
        ended = run_to_the_end(job, deps)
    assert known
    assert ended.status == FAILED
    assert [(a.outcome, a.error_code) for a in ended.attempts] == [("unknown", "outcome_unknown")]
    assert ended.error
    assert ended.error.code == "outcome_unknown"


def test_a_job_of_models_that_are_all_gone_before_it_began(house: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Tripwire()
    deps = wire.deps(house, ("bedrock",))
    job, _ = submit_job(ImageRequest("a fox"), Caller("acme", "req-1"), deps)
    with monkeypatch.context() as patch:
        patch.setattr(catalogue, "card", lambda _model: None)
        ended = run_to_the_end(job, deps)
    assert ended.error
    assert (ended.status, ended.error.code, ended.attempts) == (FAILED, "none_available", ())


@pytest.mark.parametrize("name", TICKETS)
def test_an_image_that_is_paid_for_is_fetched_also_after_the_time_for_it(name: str, house: Deployment) -> None:
    """The run that had handed the work in was killed; whoever takes it up is too late, but the image is there."""
    wire = Tripwire()
    deps = replace(wire.deps(house, (name,)), generation_timeout=15.0)
    request = ImageRequest("a fox", provider=name, fallback=False, width=256, height=256)
    job, _ = submit_job(request, Caller("acme", "req-1"), deps)
    wire.kill = _once("ticket", "after", 1)
    ended = run_to_the_end(job, deps)
    assert deps.clock.now() - job.created_at > 15
    assert (ended.status, len(house.ledger(name))) == (COMPLETED, 1)
    check_after_kills(ended, house)
