"""Runs the machine on one of the stores with a fixed seed."""

from __future__ import annotations

import random
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Final

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from lambdas.usecases.jobs import run_job, submit_batch, submit_job
from lambdas.usecases.webhooks import deliver
from tests import conftest  # noqa: F401 - it sets the credentials of no account
from tests.adapters.conftest import aws_in_process
from tests.interleavings.machine import Interleavings, OverDynamo, OverFakes

STORES: Final[dict[str, type[Interleavings]]] = {"fakes": OverFakes, "dynamo": OverDynamo}


class _OneByOne:
    """A pool whose one worker is the caller: its items are not interleaved with each other."""

    def __init__(self, _workers: int) -> None: ...

    def __enter__(self) -> _OneByOne:
        return self

    def __exit__(self, *_: object) -> None: ...

    map = staticmethod(map)


def search(store: str, examples: int, steps: int, seed: int = 0, *, shrink: bool = True) -> type[Interleavings]:
    """The machine with its counts, after so many histories; raises LawBroken with the shortest history found.

    Without `shrink`, with the first history found: the shortest one takes some hundreds of histories more.
    """
    machine = STORES[store]
    machine.seen.clear()
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(submit_batch, "ThreadPoolExecutor", _OneByOne)
        for module in (deliver, run_job, submit_job):
            patch.setattr(module, "random", SimpleNamespace(**{**vars(random), "Random": lambda: random.Random(0)}))
        if store == "dynamo":
            stack.enter_context(aws_in_process())
        seeded = hypothesis.seed(seed)(type(machine.__name__, (machine,), {}))
        run_state_machine_as_test(seeded, settings=chosen)
    return machine
