"""Records the UNet as CUDA graphs: one launch replaces thousands, which take most of a small batch's time."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import torch

log = logging.getLogger(__name__)

Tensors = dict[str, torch.Tensor]
Play = Callable[[], torch.Tensor]
Capture = Callable[[Callable[[], torch.Tensor]], Play]


class Recorder:
    """Replaces a UNet's forward. The first call with new shapes is recorded; later calls replay the recording.

    A recording reads and writes fixed memory, so inputs are copied in and the output is copied out. A recording that
    fails, or whose first replay differs from the UNet's own output, is discarded, and its shapes run unrecorded.
    """

    def __init__(self, unet: Any, capture: Capture, most: int = 8) -> None:
        self._plain = unet.forward
        self._capture = capture
        self._most = most
        self._made: OrderedDict[Hashable, tuple[Tensors, Play] | None] = OrderedDict()
        self.enabled = True

    @property
    def recorded(self) -> int:
        """The number of recorded shapes."""
        return sum(made is not None for made in self._made.values())

    def __call__(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        added_cond_kwargs: Tensors,
        timestep_cond: torch.Tensor | None = None,
        cross_attention_kwargs: dict[str, Any] | None = None,
        return_dict: bool = False,  # noqa: ARG002 - the pipelines always pass it as False
    ) -> tuple[torch.Tensor]:
        """Run the UNet, with the arguments that the pipelines pass."""
        given = {
            "sample": sample,
            "timestep": timestep.to(sample.device),
            "hidden": encoder_hidden_states,
            **added_cond_kwargs,
        }
        if not self.enabled or timestep_cond is not None or cross_attention_kwargs:
            return self._plain(  # type: ignore[no-any-return]
                sample,
                timestep,
                encoder_hidden_states,
                timestep_cond=timestep_cond,
                cross_attention_kwargs=cross_attention_kwargs,
                added_cond_kwargs=added_cond_kwargs,
                return_dict=False,
            )
        key = tuple((name, tuple(tensor.shape), tensor.dtype) for name, tensor in given.items())
        if key not in self._made:
            return (self._record(key, given),)
        self._made.move_to_end(key)
        made = self._made[key]
        if made is None:
            return (self._run(given),)
        static, play = made
        for name, tensor in given.items():
            static[name].copy_(tensor)
        return (play().clone(),)

    def _run(self, given: Tensors) -> torch.Tensor:
        more = {name: t for name, t in given.items() if name not in ("sample", "timestep", "hidden")}
        out = self._plain(
            given["sample"], given["timestep"], given["hidden"], added_cond_kwargs=more, return_dict=False
        )
        return out[0]

    def _record(self, key: Hashable, given: Tensors) -> torch.Tensor:
        expected = self._run(given)
        static = {name: tensor.clone() for name, tensor in given.items()}
        made: tuple[Tensors, Play] | None = None
        try:
            play = self._capture(lambda: self._run(static))
            if torch.allclose(play().float(), expected.float(), rtol=2e-2, atol=2e-2):
                made = (static, play)
            else:
                log.warning("a recording differs from the model and is not used")
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:
            log.warning("the UNet cannot be recorded for this shape", exc_info=True)
        self._made[key] = made
        while len(self._made) > self._most:
            self._made.popitem(last=False)
        # Not `expected`: the first output must have the same bits as all later ones.
        return play().clone() if made is not None else expected


def capture_cuda(run: Callable[[], torch.Tensor]) -> Play:
    """Record `run` as a CUDA graph. It runs three times before, as lazy initialisation must not be recorded."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side), torch.no_grad():
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.no_grad(), torch.cuda.graph(graph):
        out = run()

    def play() -> torch.Tensor:
        graph.replay()
        return out

    return play


def install(unet: Any, compiled: bool, capture: Capture = capture_cuda) -> Recorder:
    """Make the UNet record itself. `compiled` compiles its blocks first (cached in TORCHINDUCTOR_CACHE_DIR)."""
    if compiled:
        unet.compile_repeated_blocks(fullgraph=True, dynamic=False)
    recorder = Recorder(unet, capture)
    unet.forward = recorder
    return recorder
