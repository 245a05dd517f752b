"""Lambda's recursive loop detection, which queue emulators lack.

A chain is what one invocation leads to: what it sends, whoever is invoked by that, and so on, however long a message
waits in between. AWS's SDK carries it along by itself. A function that stands in a chain sixteen times is not invoked
once more, and its message goes to the dead letters, unless its template allows the function just this:
https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Final

from local.settings import ROOT

MAX_TIMES: Final = 16
Chain = Mapping[str, int]  # a function's name to how often it was invoked
API: Final[Chain] = {"api": 1}  # where a client's request begins one


@cache
def allowed() -> frozenset[str]:
    """The functions that may, by the template that is deployed."""
    template = json.loads((ROOT / "local" / "templates" / "service.json").read_text("utf-8"))
    return frozenset(
        resource["Properties"]["Handler"].split(".")[-2]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Lambda::Function" and resource["Properties"].get("RecursiveLoop") == "Allow"
    )


def invoked(function: str, chain: Chain) -> Chain | None:
    """The chain with one more invocation; `None` where Lambda does not invoke the function any more."""
    times = chain.get(function, 0) + 1
    return None if times > MAX_TIMES and function not in allowed() else {**chain, function: times}
