"""What a step computes on: its clicks, with equal items put together.

Sampled columns repeat. Scores of equal items are equal, so loss and gradients are computed once for each distinct
item, which weighs as much as its columns together: the same numbers from smaller products, and distinct gradient rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gru4rec_cli.data.sessions import Int64Array
from gru4rec_cli.models.gru4rec.lanes import LaneChunk
from gru4rec_cli.models.gru4rec.network import ITEMS, input_table
from gru4rec_cli.models.gru4rec.settings import Settings

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MiniBatch:
    """One step. Places are places in `rows`, or in `input_rows` where inputs have a table of their own."""

    rows: Int64Array  # (rows,) distinct items: those of the columns, then, with shared inputs, those of inputs alone
    n_columns: int  # U, how many of them are columns
    input_rows: Int64Array  # distinct inputs, where they have a table of their own
    inputs: Tensor  # int64 (lanes,) place of each lane's input
    targets: Int64Array  # (lanes,) place of each lane's target
    # Cross-entropy: log of the summed weights e^-correction of an item's columns, (U,), and the share that a lane's own
    # target column has in its item's, (lanes,). BPR-max: log of the number of columns of an item, and of the columns of
    # its target but its own.
    log_weights: Tensor
    own: npt.NDArray[np.floating]


class Assembler:
    """Makes mini-batches of clicks and negatives.

    Columns are the targets of the step, then its negatives. Cross-entropy corrects the score of column j by
    strength · log q_j, with q_j = support_j for the first `batch_size` columns (targets are drawn by the data) and
    support_j^alpha for the sampled rest: as weights, q_j^-strength. `batch_size` is the configured one: when the batch
    is narrower, the first few sampled columns count as targets too. The author's implementation does that, and his
    published results rest on it.
    """

    def __init__(self, supports: Int64Array, settings: Settings, dtype: torch.dtype = torch.float32) -> None:
        self.settings = settings
        self.dtype = dtype
        self.shared = input_table(settings) == ITEMS
        strength = settings.logq_strength if settings.loss == "cross-entropy" else 0.0
        support = np.maximum(supports, 1).astype(np.float64)
        self.as_target: Float64Array = support**-strength
        self.as_sample: Float64Array = support ** (-strength * settings.sample_alpha)
        self._place_of = np.full(len(supports), -1, dtype=np.int64)

    def one(self, inputs: Int64Array, targets: Int64Array, negatives: Int64Array) -> MiniBatch:
        """A single mini-batch of item indices."""
        clicks = np.stack([inputs, targets], axis=1).reshape(-1)
        rows = np.arange(0, len(clicks), 2)[None, :]
        lanes = LaneChunk(rows, np.zeros_like(rows, dtype=bool), rows, np.array([len(inputs)]))
        (batch,) = self.chunk(clicks, lanes, negatives[None, :])
        return batch

    def chunk(self, items: Int64Array, lanes: LaneChunk, negatives: Int64Array) -> Iterator[MiniBatch]:
        """The mini-batches of a chunk: `items` are all clicks, `negatives` (steps, n_sample)."""
        from gru4rec_cli.models.gru4rec.loops import put_all_together

        steps, width = lanes.rows.shape
        n_columns = width + negatives.shape[1]
        rows = np.empty((steps, n_columns + width), dtype=np.int64)
        weights = np.empty((steps, n_columns))
        targets, inputs, input_rows = (np.empty((steps, width), dtype=np.int64) for _ in range(3))
        sizes = np.empty((steps, 3), dtype=np.int64)
        put_all_together(
            items,
            lanes.rows,
            lanes.widths,
            negatives,
            self.as_target,
            self.as_sample,
            self.settings.batch_size,
            self.shared,
            self._place_of,
            rows,
            weights,
            targets,
            inputs,
            input_rows,
            sizes,
        )
        for step, (columns, all_rows, own_inputs) in enumerate(sizes.tolist()):
            lanes_here = lanes.widths[step]
            places = targets[step, :lanes_here]
            yield MiniBatch(
                rows[step, :all_rows],
                columns,
                input_rows[step, :own_inputs],
                torch.from_numpy(inputs[step, :lanes_here]),
                places,
                torch.from_numpy(np.log(weights[step, :columns])).to(self.dtype),
                self._own(weights[step], places, rows[step]),
            )

    def _own(self, weights: Float64Array, places: Int64Array, rows: Int64Array) -> npt.NDArray[np.floating]:
        if self.settings.loss == "cross-entropy":
            own = self.as_target[rows[places]] / weights[places]
        else:
            with np.errstate(divide="ignore"):
                own = np.log(weights[places] - 1.0)
        return own.astype(np.float64 if self.dtype == torch.float64 else np.float32)
