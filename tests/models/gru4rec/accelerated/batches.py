"""Mini-batches for the step with fixed shapes, from the lanes that are there."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gru4rec_cli.models.gru4rec import Settings
from gru4rec_cli.models.gru4rec.accelerated.schedule import Batch
from gru4rec_cli.models.gru4rec.accelerated.step import TensorStep
from gru4rec_cli.models.gru4rec.accelerated.tables import Tables
from gru4rec_cli.models.gru4rec.optimizer import Adagrad

Ints = npt.NDArray[np.int64]
CPU = torch.device("cpu")


def padded_batch(
    settings: Settings,
    padding: int,
    inputs: Ints,
    targets: Ints,
    negatives: Ints,
    masks: Mapping[str, Tensor],
    kept: Ints | None = None,
    starts: npt.NDArray[np.bool_] | None = None,
) -> Batch:
    """`masks` (lanes, units) of the lanes that are there; the others drop nothing."""
    width, gone = len(inputs), settings.batch_size - len(inputs)

    def wide(values: Ints | npt.NDArray[np.bool_], fill: int | bool) -> Tensor:
        return torch.from_numpy(np.concatenate([values, np.full(gone, fill, dtype=values.dtype)]))

    return Batch(
        wide(inputs, padding),
        wide(targets, padding),
        wide(np.zeros(width, dtype=bool) if starts is None else starts, True),
        wide(np.arange(width) if kept is None else kept, 0),
        torch.tensor([width]),
        torch.from_numpy(negatives),
        {name: torch.cat([mask, mask.new_ones(gone, mask.shape[1])]) for name, mask in masks.items()},
    )


def tensor_step(
    parameters: dict[str, Tensor], optimizer: Adagrad, supports: Ints, settings: Settings, device: torch.device = CPU
) -> TensorStep:
    """The step on parameters that were taken over to the device."""
    tables = Tables(parameters, optimizer, settings, device)
    tables.upload()
    return TensorStep(tables, supports, settings)
