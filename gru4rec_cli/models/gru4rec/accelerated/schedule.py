"""What the steps of a chunk work on, as arrays of fixed shapes on the device."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gru4rec_cli.data.sessions import Int64Array
from gru4rec_cli.models.gru4rec.dropout import dropout_places
from gru4rec_cli.models.gru4rec.lanes import LaneChunk
from gru4rec_cli.models.gru4rec.negatives import NegativeSampler
from gru4rec_cli.models.gru4rec.settings import Settings

Items = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Batch:
    """One step; with a leading dimension, the steps of a chunk. Lanes from `width` on are gone."""

    inputs: Tensor  # (B,) item of each lane's click; V, the padding row, where the lane is gone
    targets: Tensor  # (B,) item of the click after it, likewise
    starts: Tensor  # (B,) bool: the lane begins a session here, or is gone: its hidden state is zero
    kept: Tensor  # (B,) where each lane stood in the step before
    width: Tensor  # (1,) how many lanes are there
    negatives: Tensor  # (n_sample,)
    masks: dict[str, Tensor]  # dropout by place, (B, units) each: factors

    def at(self, step: Tensor) -> "Batch":
        """The step of a chunk whose number the device knows, (1,)."""
        tensors = {name: values.index_select(0, step)[0] for name, values in self._named()}
        return batch_of(tensors)

    def fill(self, tensors: dict[str, Tensor]) -> None:
        """Copy steps, from wherever they are, over the first ones of this chunk."""
        for name, room in self._named():
            room[: len(tensors[name])].copy_(tensors[name])

    def _named(self) -> Iterator[tuple[str, Tensor]]:
        for name in _PLAIN:
            yield name, getattr(self, name)
        yield from self.masks.items()


_PLAIN = ("inputs", "targets", "starts", "kept", "width", "negatives")


def batch_of(tensors: dict[str, Tensor]) -> Batch:
    """A step or a chunk from its tensors by name; those that are no field are masks."""
    masks = {name: values for name, values in tensors.items() if name not in _PLAIN}
    return Batch(**{name: tensors[name] for name in _PLAIN}, masks=masks)


def empty_chunk(steps: int, settings: Settings, device: torch.device) -> Batch:
    """Room for the steps of a chunk."""
    B = settings.batch_size
    shapes: dict[str, tuple[int, ...]] = {"inputs": (B,), "targets": (B,), "starts": (B,), "kept": (B,), "width": (1,)}
    shapes["negatives"] = (settings.n_sample,)
    dtypes = dict.fromkeys(shapes, torch.int64) | {"starts": torch.bool}
    for place, (_, units) in dropout_places(settings).items():
        shapes[place], dtypes[place] = (B, units), torch.float32
    return batch_of(
        {name: torch.zeros(steps, *shape, dtype=dtypes[name], device=device) for name, shape in shapes.items()}
    )


def padded(lanes: LaneChunk, items: Items, batch_size: int, padding: int) -> dict[str, Tensor]:
    """The lanes of a chunk as `batch_size` lanes, fields as in `Batch`, on the CPU.

    `items` are all clicks, `padding` is the item of lanes that are gone.
    """
    there = np.arange(batch_size) < lanes.widths[:, None]  # (steps, B)

    def wide(values: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> Int64Array:
        room = np.zeros(there.shape, dtype=np.int64)
        room[:, : values.shape[1]] = values
        room[~there] = 0
        return room

    rows = wide(lanes.rows)
    found = {
        "inputs": np.where(there, items[rows].astype(np.int64), padding),
        "targets": np.where(there, items[rows + 1].astype(np.int64), padding),
        "starts": wide(lanes.starts).astype(bool) | ~there,
        "kept": wide(lanes.kept),
        "width": lanes.widths[:, None],
    }
    return {name: torch.from_numpy(values) for name, values in found.items()}


class Drawing:
    """Everything random of an epoch: negatives and dropout, drawn a chunk at a time.

    On CUDA they are drawn on the device, outside the recorded step, which is then the same function of its inputs every
    time. Elsewhere on the CPU: MPS has no float64, and a float32 cannot tell the rare items of a large catalogue apart.
    """

    def __init__(self, sampler: NegativeSampler, settings: Settings, device: torch.device) -> None:
        self.settings = settings
        self._place = device if device.type == "cuda" else torch.device("cpu")
        self._cumulative = torch.from_numpy(sampler.cumulative).to(self._place)
        self._generator = torch.Generator(self._place)

    def begin(self, seed: int) -> None:
        """Begin an epoch."""
        self._generator.manual_seed(seed)

    def draw(self, steps: int) -> dict[str, Tensor]:
        """Negatives (steps, n_sample), and the factors of every dropout by place, (steps, B, units)."""
        drawn = {"negatives": self._negatives(steps)}
        for place, (rate, units) in dropout_places(self.settings).items():
            shape = (steps, self.settings.batch_size, units)
            noise = torch.rand(shape, generator=self._generator, device=self._place)
            drawn[place] = (noise >= rate) * (1 / (1 - rate))
        return drawn

    def _negatives(self, steps: int) -> Tensor:
        """Items with probability ∝ support^alpha, (steps, n_sample)."""
        shape = (steps, self.settings.n_sample)
        uniform = torch.rand(shape, generator=self._generator, device=self._place, dtype=torch.float64)
        found = torch.searchsorted(self._cumulative, uniform * self._cumulative[-1], right=True)
        return found.clamp_(max=len(self._cumulative) - 1)  # rounding may reach the end
