"""Extra negatives: items drawn by popularity, shared by all lanes of a step (CIKM 2018, section 3.1)."""

import numpy as np
import numpy.typing as npt

from gru4rec_cli.data.sessions import Int64Array

_GUIDE_PER_ITEM = 4  # entries of the guide table: what is looked up is then rarely far


class NegativeSampler:
    """Draws item indices with probability ∝ support^alpha."""

    def __init__(self, supports: Int64Array, alpha: float) -> None:
        self.cumulative: npt.NDArray[np.float64] = np.cumsum(supports.astype(np.float64) ** alpha)
        edges = np.arange(_GUIDE_PER_ITEM * len(supports)) / (_GUIDE_PER_ITEM * len(supports)) * self.cumulative[-1]
        guide = np.searchsorted(self.cumulative, edges, side="right")
        self.guide = np.minimum(guide, len(supports) - 1).astype(np.int64)

    def draw(self, generator: np.random.Generator, *shape: int) -> Int64Array:
        """Items, int64, of the given shape."""
        from gru4rec_cli.models.gru4rec.loops import draw_items

        uniform = generator.random(int(np.prod(shape)))
        items = np.empty(len(uniform), dtype=np.int64)
        draw_items(self.cumulative, self.guide, uniform, items)
        return items.reshape(shape)
