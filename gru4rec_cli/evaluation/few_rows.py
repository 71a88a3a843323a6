"""Scores of a few states: a product of a few rows with the bits that the same rows have among many."""

from typing import TYPE_CHECKING

import numpy as np

from gru4rec_cli.base.arrays import Float32Array
from gru4rec_cli.evaluation.few_rows_loops import multiply_few

if TYPE_CHECKING:
    from torch import Tensor

_TRIED = 32  # rows on which both are compared
_SEED = 1


class FewRows:
    """The product of up to `most` rows with an item matrix, which reads it once and does no work for other rows.

    The BLAS rounds a product of fewer than 32 rows in another way, so that a single row has to be computed with 31
    others. Where it adds the products of a row in their order, which it does for up to about 200 columns, a loop that
    does the same gives the same bits. Whether it does is tried on 32 rows and all items; if not, `exact` is false.
    """

    most = 32  # rows; from so many on, the BLAS rounds as it does among many

    def __init__(self, items: "Tensor", bias: "Tensor | None") -> None:
        """`items` (V, D) and `bias` (V,) are on the CPU. A transposed copy of the items is kept."""
        self._by_column = np.ascontiguousarray(items.numpy().T)
        self._bias = None if bias is None else bias.numpy()
        self.exact = self._is_exact(items, bias)

    def product(self, rows: Float32Array) -> Float32Array:
        """Return rows · itemsᵀ + bias, (rows, V)."""
        scores = np.empty((len(rows), self._by_column.shape[1]), dtype=np.float32)
        multiply_few(np.ascontiguousarray(rows), self._by_column, scores)
        return scores if self._bias is None else np.add(scores, self._bias, out=scores)

    def _is_exact(self, items: "Tensor", bias: "Tensor | None") -> bool:
        import torch

        rows = torch.rand(_TRIED, items.shape[1], generator=torch.Generator().manual_seed(_SEED)) * 2 - 1
        expected = rows @ items.T if bias is None else torch.addmm(bias, rows, items.T)
        parts = np.split(rows.numpy(), [1, 3])  # a row alone, a pair, and an odd number of rows
        return bool(np.array_equal(np.concatenate([self.product(part) for part in parts]), expected.numpy()))
