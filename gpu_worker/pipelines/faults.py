"""Translates errors of the device into OutOfMemory and DeviceLost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from gpu_worker.engine.protocol import DeviceLost, OutOfMemory, fault
from gpu_worker.pipelines.loading import give_back

Made = TypeVar("Made")


def told_apart(device: torch.device, work: Callable[[], Made]) -> Made:
    """Run `work`. Errors of the device are raised as OutOfMemory, after freeing memory, or as DeviceLost."""
    found: type[OutOfMemory | DeviceLost] | None
    try:
        return work()
    except (torch.OutOfMemoryError, MemoryError) as error:
        found, said = OutOfMemory, str(error)
    except RuntimeError as error:
        said = str(error)
        found = fault(said)
        if found is None:
            raise
    # After the except blocks, inside which the traceback still holds the tensors.
    if found is OutOfMemory:
        give_back(device)
    raise found(said.partition("\n")[0][:200])
