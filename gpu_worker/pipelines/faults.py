"""Errors of the device told apart: no room, the device gone, and everything else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import torch

from gpu_worker.painting import DeviceLost, OutOfMemory
from gpu_worker.pipelines.loading import give_back

Made = TypeVar("Made")

_NO_ROOM = re.compile(r"out of memory|can't allocate memory|not enough memory|STATUS_ALLOC_FAILED", re.IGNORECASE)
_LOST = re.compile(r"CUDA error|device-side assert|unspecified launch failure|ECC error", re.IGNORECASE)


def told_apart(device: torch.device, work: Callable[[], Made]) -> Made:
    """Do the work. Errors of the device become OutOfMemory, with what was taken given back, or DeviceLost."""
    fault: type[Exception]
    try:
        return work()
    except (torch.OutOfMemoryError, MemoryError) as error:
        fault, said = OutOfMemory, str(error)
    except RuntimeError as error:
        said = str(error)
        if _NO_ROOM.search(said):
            fault = OutOfMemory
        elif _LOST.search(said):
            fault = DeviceLost
        else:
            raise
    # Only here, as inside the except blocks the traceback still holds the tensors.
    if fault is OutOfMemory:
        give_back(device)
    raise fault(said.partition("\n")[0][:200])
