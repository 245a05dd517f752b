"""Records which AWS calls each flow makes: `python -m tests.faults.record`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.flows import FLOWS
from tests.faults.injector import Injector

CALLS = Path(__file__).parent / "calls.json"


class Recorder:
    """A plugin that has pytest make the flows' worlds, and notes their calls instead of judging them."""

    def __init__(self) -> None:
        self.calls: dict[str, list[str]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool:
        given: dict[str, Any] = pyfuncitem.funcargs
        name, injector = str(pyfuncitem.callspec.params["name"]), given["injector"]
        assert isinstance(injector, Injector)
        world = given["world_of"](FLOWS[name])
        with injector.watched():
            FLOWS[name].act(world)
        self.calls[name] = injector.calls
        return True


if __name__ == "__main__":
    if not CALLS.exists():
        CALLS.write_text("{}", "utf-8")
    recorder = Recorder()
    test = f"{Path(__file__).parent}/test_every_call.py"
    failed = pytest.main(["-q", "-k", "on_record", "-p", "no:cacheprovider", test], plugins=[recorder])
    if not failed:
        CALLS.write_text(json.dumps(recorder.calls, indent=1, sort_keys=True) + "\n", "utf-8")
    sys.exit(failed)
