"""One module per deployed function, and `batch`, the loop over SQS messages that three of them share."""

from __future__ import annotations

import gc

gc.disable()  # imports make no garbage, and collecting takes a tenth of a cold start; `ready` enables it


def ready() -> None:
    """Keep the imported objects out of garbage collection and enable it. Called last by every handler module."""
    gc.freeze()
    gc.enable()
