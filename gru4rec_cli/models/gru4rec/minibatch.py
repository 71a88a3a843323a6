"""What steps compute on: their clicks, with equal items put together.

Sampled columns repeat. Scores of equal items are equal, so loss and gradients are computed once for each distinct
item, which weighs as much as its columns together: the same numbers from smaller products, and distinct gradient rows.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from gru4rec_cli.data.sessions import Int64Array
from gru4rec_cli.models.gru4rec.cells import NO_MASKS, Masks
from gru4rec_cli.models.gru4rec.lanes import LaneChunk
from gru4rec_cli.models.gru4rec.network import ITEMS, input_table
from gru4rec_cli.models.gru4rec.settings import Settings

Float64Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class MiniBatches:
    """Consecutive steps. Places are places in a step's `rows`, or in `input_rows` where inputs have their own table."""

    lanes: LaneChunk
    # (steps, 3): distinct items, how many of them (the first ones) are only inputs, and distinct inputs: with shared
    # inputs they are the first items, else they are counted by themselves.
    sizes: Int64Array
    rows: Int64Array  # (steps, most items) the distinct items
    # (steps, most items) cross-entropy: summed weights e^-correction of an item's columns; BPR-max: how many they are
    weights: Floats
    targets: Int64Array  # (steps, B) place of each lane's target
    own: Floats  # (steps, B) cross-entropy: share of a lane's own target column in its item's weight; BPR-max: not used
    inputs: Int64Array  # (steps, B) place of each lane's input
    input_rows: Int64Array  # (steps, B) distinct inputs, where they have a table of their own
    masks: Masks  # (steps, B, units) each

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def n_columns(self) -> Int64Array:
        """How many distinct items are columns, (steps,)."""
        return self.sizes[:, 0] - self.sizes[:, 1]


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
        self.dtype = np.float64 if dtype == torch.float64 else np.float32
        self.shared = input_table(settings) == ITEMS
        support = np.maximum(supports, 1).astype(np.float64)
        self.as_target: Float64Array = support**-settings.logq_strength
        self.as_sample: Float64Array = support ** (-settings.logq_strength * settings.sample_alpha)
        self._place_of = np.full(len(supports), -1, dtype=np.int64)

    def chunk(
        self, items: npt.NDArray[np.integer], lanes: LaneChunk, negatives: Int64Array, masks: Masks = NO_MASKS
    ) -> MiniBatches:
        """The steps of a chunk: `items` are all clicks, `negatives` (steps, n_sample)."""
        from gru4rec_cli.models.gru4rec.loops import put_all_together

        steps, width = lanes.rows.shape
        most = 2 * width + negatives.shape[1]
        rows, weights = np.zeros((steps, most), dtype=np.int64), np.zeros((steps, most))
        targets, inputs, input_rows = (np.zeros((steps, width), dtype=np.int64) for _ in range(3))
        own = np.zeros((steps, width))
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
            own,
            sizes,
        )
        return MiniBatches(
            lanes, sizes, rows, weights.astype(self.dtype), targets, own.astype(self.dtype), inputs, input_rows, masks
        )
