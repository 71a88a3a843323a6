"""A step that is recorded once as a CUDA graph and then replayed: one launch instead of some hundred."""

from collections.abc import Callable

import torch

_EAGER = 3  # calls before it is recorded: libraries make their workspaces, memory is set aside


class Replayed:
    """Calls `step`, which works on the same memory and does the same operations every time.

    The first calls are real ones too, on a side stream as PyTorch asks for ("CUDA semantics", section "CUDA Graphs").
    Then it is recorded, which computes nothing, and from there on replayed.
    """

    def __init__(self, step: Callable[[], None], device: torch.device) -> None:
        self.step = step
        self.device = device
        self.graph: torch.cuda.CUDAGraph | None = None
        self._calls = 0
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def __call__(self) -> None:
        with torch.cuda.device(self.device):
            if self._calls < _EAGER:
                self._calls += 1
                self._stream.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(self._stream):
                    self.step()
                torch.cuda.current_stream().wait_stream(self._stream)
                return
            if self.graph is None:
                self.graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(self.graph):
                    self.step()
            self.graph.replay()
