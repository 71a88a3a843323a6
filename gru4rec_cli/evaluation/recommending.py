"""The best items after each history, with their scores: of all items, or of those that may be recommended."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from gru4rec_cli.base.arrays import AnyArray, BoolArray, Float32Array, FloatingArray, Int32Array, Int64Array
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.lists import repeated
from gru4rec_cli.evaluation.ranking import best_items, tiles
from gru4rec_cli.evaluation.scores import Block, CandidateBlock, ScoreBlock, block_ranges

_EVENTS_AT_ONCE = 1024  # whose lists are held together


@dataclass(frozen=True)
class Choice:
    """The items that may be recommended."""

    allowed: BoolArray | None = None  # (V,); None: all items
    seen: bool = True  # also those that the session has clicked


ALL_ITEMS = Choice()


@dataclass(frozen=True)
class Recommendations:
    """The best items for consecutive events, best first, equal scores in index order."""

    items: Int32Array  # (events, k) item indices, or -1 behind the last one where fewer items may be recommended
    dense: FloatingArray  # (events, k), NaN there; as `dense` of a block, so that they order the items as ranking does

    @property
    def scores(self) -> Float32Array:
        """The model's own scores, (events, k): equal ones may be told apart by an order of the items."""
        return self.dense.astype(np.float32)


def recommendations(
    blocks: Iterator[Block], sessions: Sessions, k: int, choice: Choice = ALL_ITEMS
) -> Iterator[Recommendations]:
    """Yield the `k` best items of every event of `sessions`, in event order, from the scores in `blocks`.

    The lists are as long as there are items, if these are fewer than `k`. At most 1,024 lists are in memory at a time.
    """
    inputs, positions = sessions.input_rows(), sessions.event_positions()
    for tile in tiles(blocks):
        for part in _parts(tile):
            events = slice(part.start, part.start + len(part))
            yield best_of(part, sessions.items, inputs[events], positions[events], k, choice)


def best_of(
    part: ScoreBlock | CandidateBlock,
    clicks: Int32Array,
    inputs: Int64Array,
    positions: Int64Array,
    k: int,
    choice: Choice,
) -> Recommendations:
    """Return the recommendations for some events, whose histories end at rows `inputs` of `clicks`.

    What was seen is dropped from lists that are longer by the number of clicks, so that enough is left.
    """
    n_allowed = part.n_items if choice.allowed is None else int(choice.allowed.sum())
    longest = k if choice.seen else k + int(positions.max(initial=0))
    longest = min(longest, n_allowed)
    if longest == 0:
        return Recommendations(np.empty((len(part), 0), dtype=np.int32), np.empty((len(part), 0), dtype=np.float32))
    if choice.allowed is None:
        items = best_items(part, longest)
    else:
        items = np.concatenate([best_items(block, longest) for block in _restricted(part, choice.allowed)])
    scores = _scores_of(part, items)
    if choice.seen:
        return Recommendations(items, scores)
    seen = repeated(items, clicks, inputs, positions)
    order = np.argsort(seen, axis=1, kind="stable")[:, :k]  # what was seen goes to the end
    gone = np.take_along_axis(seen, order, axis=1)
    left = np.where(gone, -1, np.take_along_axis(items, order, axis=1)).astype(np.int32)
    left_scores = np.where(gone, np.nan, np.take_along_axis(scores, order, axis=1)).astype(scores.dtype)
    return Recommendations(left, left_scores)


def _parts(tile: ScoreBlock | CandidateBlock) -> Iterator[ScoreBlock | CandidateBlock]:
    for start in range(0, len(tile), _EVENTS_AT_ONCE):
        yield rows_of(tile, slice(start, start + _EVENTS_AT_ONCE))


def rows_of(tile: ScoreBlock | CandidateBlock, rows: slice) -> ScoreBlock | CandidateBlock:
    """Return some of the events of a block."""
    start = tile.start + rows.start
    if isinstance(tile, ScoreBlock):
        return replace(tile, start=start, scores=tile.scores[rows])
    return replace(tile, start=start, rows=tile.rows[rows])


def _restricted(part: ScoreBlock | CandidateBlock, allowed: BoolArray) -> Iterator[ScoreBlock]:
    """Yield the scores of all items in blocks of bounded size, those of items that are not allowed below all others."""
    for start, stop in block_ranges(len(part), 2 * part.n_items):  # dense candidates take eight bytes
        scores: AnyArray = rows_of(part, slice(start, stop)).dense().copy()
        scores[:, ~allowed] = -np.inf
        yield ScoreBlock(part.start + start, scores)


def _scores_of(part: ScoreBlock | CandidateBlock, items: Int32Array) -> FloatingArray:
    """Return the scores of some items of every event, (events, k), as `dense` gives them."""
    if isinstance(part, CandidateBlock):
        from gru4rec_cli.evaluation.recommending_loops import scores_of_candidates

        return np.asarray(scores_of_candidates(part.rows, part.lists, part.order.shares, items))
    if isinstance(part.scores, np.ndarray):
        return part.scores[np.arange(len(items))[:, None], items]
    return np.stack(
        [row[chosen.astype(np.int64)].cpu().numpy() for row, chosen in zip(part.scores, items, strict=True)]
    )
