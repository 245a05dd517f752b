"""One module per deployed function, and `batch`, the loop over SQS messages that three of them share."""

from __future__ import annotations

import gc

gc.disable()  # imports make no garbage, and looking for it takes a tenth of a cold start; `ready` ends it


def ready() -> None:
    """Every handler's last line: what has been imported stays for good, and garbage is looked for from now on."""
    gc.freeze()
    gc.enable()
