"""Blocks of scores: what models give and rankings take."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gru4rec_cli.base.arrays import Float32Array, Float64Array, FloatingArray, Int32Array, Int64Array, IntegerArray

if TYPE_CHECKING:
    from torch import Tensor

    from gru4rec_cli.evaluation.few_rows import FewRows

SCORE_BLOCK_BYTES = 8 * 2**20  # of a block of scores, so that it stays in the cache, unless 32 rows need more
_DEVICE_BLOCK_BYTES = 64 * 2**20  # the same on an accelerator, which needs more work at once
_MOST_ROWS = 4096
_FEWEST_ROWS = 32


@dataclass(frozen=True)
class ScoreBlock:
    """Scores of all V items for consecutive events, higher is better.

    `start` is the number of the first event; `scores` is float32 (events, V), an array or a tensor. A tensor is ranked
    on its device.
    """

    start: int
    scores: "Float32Array | Tensor"

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def n_items(self) -> int:
        return int(self.scores.shape[1])

    def dense(self) -> Float32Array:
        """Return the scores of all items, (events, V)."""
        return self.scores if isinstance(self.scores, np.ndarray) else np.asarray(self.scores.cpu())


@dataclass(frozen=True)
class ProductBlock:
    """Scores of all V items for consecutive events as factors: `queries` · `items`ᵀ + `bias`, float32, on one device.

    On the CPU, the scores of an event do not depend on the events beside it: products have at least 32 rows, because
    the BLAS rounds differently below 16. On an accelerator all products have the same number of rows.
    """

    start: int
    queries: "Tensor"  # (events, D)
    items: "Tensor"  # (V, D)
    bias: "Tensor | None" = None  # (V,)
    few: "FewRows | None" = None  # a way to compute a few events on the CPU that gives the same bits

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def n_items(self) -> int:
        return len(self.items)

    def tiles(self) -> Iterator[ScoreBlock]:
        """Yield the scores in blocks of bounded size, as arrays from the CPU and as tensors on another device."""
        on_cpu = self.queries.device.type == "cpu"
        if self.few is not None and 0 < len(self) <= self.few.most:
            yield ScoreBlock(self.start, self.few.product(self.queries.numpy()))
            return
        rows = block_rows(self.n_items, SCORE_BLOCK_BYTES if on_cpu else _DEVICE_BLOCK_BYTES)
        for start in range(0, len(self), rows):
            queries = self.queries[start : start + rows]
            scores = self._product(queries, _FEWEST_ROWS if on_cpu else rows)
            yield ScoreBlock(self.start + start, scores.numpy() if on_cpu else scores)

    def dense(self) -> Float32Array:
        """Return the scores of all items, (events, V)."""
        return np.concatenate([tile.dense() for tile in self.tiles()])

    def _product(self, queries: "Tensor", fewest: int) -> "Tensor":
        """Return the scores of some queries, computed with at least `fewest` rows."""
        import torch

        with torch.no_grad():
            missing = max(0, fewest - len(queries))
            rows = torch.nn.functional.pad(queries, (0, 0, 0, missing))
            scores = rows @ self.items.T if self.bias is None else torch.addmm(self.bias, rows, self.items.T)
            return scores[: len(queries)]


@dataclass(frozen=True)
class ItemOrder:
    """An order of all items with ties: a higher level is better, items of one level are tied."""

    levels: Int32Array  # (V,), 0 is the lowest

    @classmethod
    def by(cls, values: IntegerArray) -> "ItemOrder":
        """Order items by a number each, the highest first, equal numbers tied."""
        return cls(np.unique(values, return_inverse=True)[1].astype(np.int32))

    def __len__(self) -> int:
        return len(self.levels)

    @cached_property
    def items(self) -> Int32Array:
        """The items, best first, tied ones in index order, (V,)."""
        items: Int32Array = np.argsort(-self.levels.astype(np.int64), kind="stable").astype(np.int32)
        return items

    @cached_property
    def shares(self) -> Float64Array:
        """A number in (0, 1) for every item that orders them so, (V,)."""
        shares: Float64Array = (self.levels + 1.0) / (self.levels.max() + 2.0)
        return shares


class ScoredLists(NamedTuple):
    """Lists of items with scores as compressed rows: list `l` is the entries `offsets[l]:offsets[l + 1]`.

    A list holds each item at most once. Scores are above 0.
    """

    offsets: Int64Array  # (lists + 1,)
    items: Int32Array  # (entries,)
    scores: Float32Array  # (entries,)

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "ScoredLists":
        """Return the lists among the named arrays of a fitted model."""
        return cls(arrays["offsets"], arrays["items"], arrays["scores"])


@dataclass(frozen=True)
class CandidateBlock:
    """Scores of a few items for each of consecutive events; all other items follow below them in one fixed order.

    The candidates of event `start + e` are list `rows[e]` of `lists`, or none for row -1. `order` is the order of the
    other items, and of candidates with equal scores.
    """

    start: int
    rows: Int64Array  # (events,)
    lists: ScoredLists
    order: ItemOrder

    @classmethod
    def of(cls, start: int, lists: ScoredLists, order: ItemOrder) -> "CandidateBlock":
        """Return the block in which every event has its own list."""
        return cls(start, np.arange(len(lists.offsets) - 1), lists, order)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def n_items(self) -> int:
        return len(self.order)

    def candidates(self, event: int) -> tuple[Int32Array, Float32Array]:
        """Return items and scores of the event at this place in the block."""
        row = self.rows[event]
        entries = slice(self.lists.offsets[row], self.lists.offsets[row + 1]) if row >= 0 else slice(0)
        return self.lists.items[entries], self.lists.scores[entries]

    def dense(self) -> FloatingArray:
        """Return scores of all items that order them in the same way, float64 (events, V).

        Items that are no candidates get a number in (-1, 0) by their level. A candidate's score is raised by less than
        float32 can tell, by its level: rounded to float32 it is the candidate's own score again.
        """
        shares = self.order.shares
        dense = np.repeat(shares[None, :] - 1.0, len(self.rows), axis=0)
        for event in range(len(self.rows)):
            items, scores = self.candidates(event)
            dense[event, items] = scores * (1.0 + 2.0**-25 * shares[items])
        return dense


Block = ScoreBlock | ProductBlock | CandidateBlock


def block_rows(n_items: int, size: int) -> int:
    """Return how many events a block of about `size` bytes holds that scores `n_items` items."""
    return max(_FEWEST_ROWS, min(_MOST_ROWS, size // (4 * n_items)))


def block_ranges(n_rows: int, n_items: int) -> Iterator[tuple[int, int]]:
    """Yield consecutive (start, stop) that cover `n_rows` events in blocks of bounded size over `n_items` items."""
    step = block_rows(n_items, SCORE_BLOCK_BYTES)
    for start in range(0, n_rows, step):
        yield start, min(start + step, n_rows)
