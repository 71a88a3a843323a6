"""Training steps on a GPU, recorded once as a CUDA graph and replayed: one launch instead of some hundred."""

from collections.abc import Mapping

import torch
from torch import Tensor

from gru4rec_cli.models.gru4rec.batches import STEPS_AT_ONCE, MiniBatches
from gru4rec_cli.models.gru4rec.network import ITEMS
from gru4rec_cli.models.gru4rec.step import TorchStep, batch_of

_EAGER = 3  # steps before it is recorded: libraries make their workspaces, memory is set aside


class GraphStep(TorchStep):
    """Takes the same steps; each finds its mini-batch by a counter on the device and leaves its loss there."""

    _tensors: Mapping[str, Tensor] = {}  # of `STEPS_AT_ONCE` steps; a graph works on the same memory every time
    graph: torch.cuda.CUDAGraph | None = None
    _taken = 0

    def begin(self, slots: int) -> None:
        if not self.states:  # the memory of the states, too, stays
            super().begin(slots)
        for state in self.states:
            state.zero_()

    def learn(self, batches: MiniBatches) -> list[float]:
        self.fill(batches)
        for _ in range(len(batches)):
            self._take()
        losses: list[float] = self._losses[: len(batches)].tolist()  # here the CPU waits for the device
        return losses

    def fill(self, batches: MiniBatches) -> None:
        """Copy mini-batches to where the steps find them; the first of them comes next."""
        tensors = self.tensors(batches)
        if not self._tensors:
            self._tensors = {
                name: torch.zeros(STEPS_AT_ONCE, *values.shape[1:], dtype=values.dtype, device=self.device)
                for name, values in tensors.items()
            }
            self._number = torch.zeros(1, dtype=torch.int64, device=self.device)
            self._losses = torch.zeros(STEPS_AT_ONCE, dtype=self.values[ITEMS].dtype, device=self.device)
        for name, values in tensors.items():
            self._tensors[name][: len(batches)].copy_(values)
        self._number.zero_()

    def advance(self) -> None:
        """Take the step that comes next: the same operations on the same memory every time."""
        batch = batch_of({name: values.index_select(0, self._number)[0] for name, values in self._tensors.items()})
        self._losses[self._number] = self.update(batch).view(1)
        self._number.add_(1)

    def _take(self) -> None:
        """Take a step: the first ones one operation after the other, on a side stream as PyTorch asks for ("CUDA
        semantics", section "CUDA Graphs"). Then they are recorded, which computes nothing, and from there on replayed.
        """
        if self.device.type != "cuda":
            self.advance()
            return
        with torch.cuda.device(self.device):
            if self._taken < _EAGER:
                self._taken += 1
                stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
                stream.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(stream):
                    self.advance()
                torch.cuda.current_stream().wait_stream(stream)
                return
            if self.graph is None:
                self.graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(self.graph):
                    self.advance()
            self.graph.replay()
