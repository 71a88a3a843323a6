"""Full ranking: the rank of every target among all training items, and the items that rank first."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gru4rec_cli.base.arrays import Float64Array, Int32Array, Int64Array
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.base.threads import Result, in_threads, thread_count
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.metrics import TieRule, target_ranks
from gru4rec_cli.evaluation.scores import Block, CandidateBlock, ProductBlock, ScoreBlock

_FEWEST_ROWS = 64  # events for each thread


class ScoreError(ValueError):
    """A model gave scores from which no ranking follows."""


@dataclass(frozen=True)
class TargetRanks:
    """Counts from which the rank of every event follows under any tie rule, and the best items, in event order.

    A target that the training data does not hold has all V items, with all their training events, above it.
    """

    greater: Int64Array  # (n_targets,) items scored above the target
    equal: Int64Array  # (n_targets,) other items scored the same
    greater_support: Int64Array  # (n_targets,) training events of the items scored above the target
    equal_support: Int64Array  # (n_targets,) training events of the other items scored the same
    lists: Int32Array  # (n_targets, longest) the best items, best first, equals in index order


def rank_targets(
    blocks: Iterator[Block],
    sessions: Sessions,
    *,
    longest: int = 0,
    progress: Progress = SILENT,
    description: str = "ranking",
) -> TargetRanks:
    """Rank the target of every event of `sessions` by the scores in `blocks`; one block is in memory at a time, and of
    products one tile.

    `longest` is the length of the lists of best items, at most V. Raises `ScoreError` for NaN scores, for blocks of
    another width than V, and for blocks that leave events out.
    """
    targets = sessions.target_items()
    supports = sessions.vocabulary.supports
    counts = np.empty((4, len(targets)), dtype=np.int64)
    lists = np.empty((len(targets), min(longest, sessions.n_items)), dtype=np.int32)
    done = 0
    with progress.task(description, total=len(targets), unit="events") as task:
        for block in tiles(blocks):
            stop = block.start + len(block)
            if block.start != done or stop > len(targets) or block.n_items != sessions.n_items:
                raise ScoreError(f"expected scores of event {done} over {sessions.n_items} items")
            counts[:, done:stop] = count_above(block, targets[done:stop], supports)
            if lists.shape[1]:
                lists[done:stop] = best_items(block, lists.shape[1])
            task.advance(stop - done)
            done = stop
    if done != len(targets):
        raise ScoreError(f"scores of {len(targets) - done} of {len(targets)} events are missing")
    greater, equal, greater_support, equal_support = counts
    return TargetRanks(greater, equal, greater_support, equal_support, lists)


def event_ranks(counts: TargetRanks, sessions: Sessions, ties: TieRule) -> Float64Array:
    """Return the rank of every event under a tie rule; infinite where training never saw the target."""
    return target_ranks(counts.greater, counts.equal, sessions.target_items(), ties)


def count_above(block: Block, targets: Int32Array, supports: Int64Array) -> Int64Array:
    """Count, for every event of a block, the items above the target, the other items at its score, and the training
    events of both, (4, events). Raises `ScoreError` for NaN scores."""
    parts = ((tile, targets[tile.start - block.start :][: len(tile)]) for tile in tiles([block]))
    counts = np.concatenate([_count_tile(tile, tile_targets, supports) for tile, tile_targets in parts], axis=1)
    if counts[4].any():
        raise ScoreError("some scores are not numbers (NaN); the model has diverged")
    return counts[:4]


def best_items(block: Block, longest: int) -> Int32Array:
    """Return the `longest` best items, 1 or more, of every event, best first, equal ones in index order."""
    return np.concatenate([_best_of_tile(tile, longest) for tile in tiles([block])])


def tiles(blocks: Iterable[Block]) -> Iterator[ScoreBlock | CandidateBlock]:
    """Yield the blocks as they are, and products in parts that are computed one at a time."""
    for block in blocks:
        if isinstance(block, ProductBlock):
            yield from block.tiles()
        else:
            yield block


def _count_tile(tile: ScoreBlock | CandidateBlock, targets: Int32Array, supports: Int64Array) -> Int64Array:
    """Return the counts of `count_above`, then the number of NaN scores, (5, events)."""
    from gru4rec_cli.evaluation.rank_counts import count_candidates, count_dense

    if isinstance(tile, ScoreBlock) and not isinstance(tile.scores, np.ndarray):
        from gru4rec_cli.evaluation.tensor_counts import count_tensor

        return count_tensor(tile.scores, targets, supports)

    def part(start: int, stop: int) -> Int64Array:
        if isinstance(tile, CandidateBlock):
            events = (tile.rows[start:stop], tile.lists, targets[start:stop])
            return np.asarray(count_candidates(*events, tile.order.levels, supports))
        return np.asarray(count_dense(np.ascontiguousarray(tile.scores[start:stop]), targets[start:stop], supports))

    return np.concatenate(_in_parts(part, len(tile)), axis=1)


def _best_of_tile(tile: ScoreBlock | CandidateBlock, longest: int) -> Int32Array:
    from gru4rec_cli.evaluation.rank_counts import best_candidates, best_dense

    if isinstance(tile, ScoreBlock) and not isinstance(tile.scores, np.ndarray):
        from gru4rec_cli.evaluation.tensor_counts import best_of_tensor

        return best_of_tensor(tile.scores, longest)

    def part(start: int, stop: int) -> Int32Array:
        if isinstance(tile, CandidateBlock):
            levels, items = tile.order.levels, tile.order.items
            return np.asarray(best_candidates(tile.rows[start:stop], tile.lists, levels, items, longest))
        return np.asarray(best_dense(np.ascontiguousarray(tile.scores[start:stop]), longest))

    return np.concatenate(_in_parts(part, len(tile)))


def _in_parts(part: Callable[[int, int], Result], n_events: int) -> list[Result]:
    """Return `part(start, stop)` for consecutive ranges of a block's events, in threads where there is enough work."""
    n_parts = max(1, min(thread_count(), n_events // _FEWEST_ROWS))
    if n_parts == 1:
        return [part(0, n_events)]
    bounds = np.linspace(0, n_events, n_parts + 1).astype(int).tolist()
    return list(in_threads(lambda ends: part(*ends), list(pairwise(bounds))))
