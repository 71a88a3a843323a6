"""Ranks that follow from another tool's ranked lists, event by event, under the protocol of this program."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from gru4rec_cli.base.arrays import Int64Array
from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.names import ITEM, SESSION
from gru4rec_cli.base.warnings import warn
from gru4rec_cli.data.sessions import UNSEEN, Sessions
from gru4rec_cli.evaluation.metrics import LARGEST_CUTOFF
from gru4rec_cli.evaluation.prediction_files import PLACE, VALUE, Predictions

DESCRIPTION = "ranked lists that another tool wrote"

# Items above a target that is not in its list: unknown, so as many as the largest cutoff that can be set.
OUTSIDE = LARGEST_CUTOFF

_EVENT, _TARGET, _KNOWN = "event", "target", "known"


@dataclass(frozen=True)
class PredictedRanks:
    """Counts from which the rank of every test event follows, in event order, and what the lists cover.

    Where the target is not in the list, or there is no list, `greater` is OUTSIDE: a miss. So metrics hold at cutoffs
    up to `longest`. Items that training lacks take places like others.
    """

    greater: Int64Array  # (n_targets,) items of the list above the target
    equal: Int64Array  # (n_targets,) other items of the list at its score
    lengths: Int64Array  # (n_targets,) items of the list; 0: there is none
    known: Int64Array  # (n_targets,) those of them that training holds
    foreign: tuple[str, ...]  # events with a list that the test does not hold, `SESSION:POSITION`, in file order
    unknown: tuple[str, ...]  # items that training does not hold

    @property
    def longest(self) -> int:
        """Number of items of the longest list of a test event."""
        return int(self.lengths.max(initial=0))

    @property
    def missing(self) -> int:
        """Number of test events without a list."""
        return int((self.lengths == 0).sum())


def rank_predictions(predictions: Predictions, whole: Sessions, test: Sessions) -> PredictedRanks:
    """Return the ranks of the targets of `test` in the lists of a file.

    Positions count the clicks of `whole`, the test part as it is written. `test` are those of its sessions and clicks
    that are ranked. Lists for its other clicks are passed over.

    Raises:
        DataError: no list is for a test event, or one holds an item twice.
    """
    events, items = events_of(whole, test), pl.Series(test.vocabulary.ids).cast(pl.String)
    lists = predictions.lists.with_columns(pl.col(ITEM).is_in(items.implode()).alias(_KNOWN))
    lists = lists.join(events, on=[SESSION, PLACE], how="left", maintain_order="left")
    foreign = _foreign(lists, whole)
    ranked = lists.filter(pl.col(_EVENT).is_not_null())
    if ranked.is_empty():
        raise _no_event(predictions, events)
    _require_items_once(predictions, ranked)
    targets = ranked.filter(pl.col(ITEM) == pl.col(_TARGET)).select(_EVENT, pl.col(VALUE).alias("of_target"))
    value, own = pl.col(VALUE), pl.col("of_target")
    counts = (
        ranked.join(targets, on=_EVENT, how="left")
        .group_by(_EVENT)
        .agg(
            greater=pl.when(own.first().is_null()).then(OUTSIDE).otherwise((value > own).sum()),
            equal=pl.when(own.first().is_null()).then(0).otherwise((value == own).sum() - 1),
            lengths=pl.len(),
            known=pl.col(_KNOWN).sum(),
        )
    )
    unknown = lists.filter(~pl.col(_KNOWN))[ITEM].unique(maintain_order=True)
    filled = {name: _by_event(counts, name, test.n_targets) for name in ("greater", "equal", "lengths", "known")}
    filled["greater"][filled["lengths"] == 0] = OUTSIDE
    return PredictedRanks(**filled, foreign=foreign, unknown=tuple(unknown))


def events_of(whole: Sessions, test: Sessions) -> pl.DataFrame:
    """Return SESSION (text), PLACE in the session of `whole`, the event's number, and the id of its target (text; null
    where training lacks it), a row an event of `test`."""
    rows = np.repeat(np.isin(whole.session_ids, test.session_ids), whole.lengths)
    if not (test.items == UNSEEN).any():  # they may have been left out of the sessions
        rows &= whole.items != UNSEEN
    places = np.arange(whole.n_events) - np.repeat(whole.offsets[:-1], whole.lengths) + 1
    targets = test.target_items()
    ids, sessions = (pl.Series(values).cast(pl.String) for values in (test.vocabulary.ids, test.session_ids))
    target = pl.when(pl.Series(targets) >= 0).then(ids.gather(np.maximum(targets, 0)))
    return pl.select(
        sessions.gather(test.event_sessions()).alias(SESSION),
        pl.Series(PLACE, places[rows][test.input_rows() + 1]),
        pl.Series(_EVENT, np.arange(test.n_targets)),
        target.alias(_TARGET),
    )


def _foreign(lists: pl.DataFrame, whole: Sessions) -> tuple[str, ...]:
    """Return the events of the lists that are no clicks of `whole`."""
    lengths = {SESSION: pl.Series(whole.session_ids).cast(pl.String), "length": whole.lengths}
    events = lists.select(SESSION, PLACE).unique(maintain_order=True)
    found = events.join(pl.DataFrame(lengths), on=SESSION, how="left", maintain_order="left")
    found = found.filter(pl.col("length").is_null() | (pl.col(PLACE) > pl.col("length")))
    return tuple(f"{session}:{place}" for session, place in found.select(SESSION, PLACE).iter_rows())


def _by_event(counts: pl.DataFrame, name: str, n_events: int) -> Int64Array:
    filled = np.zeros(n_events, dtype=np.int64)
    filled[counts[_EVENT].to_numpy()] = counts[name].to_numpy()
    return filled


def _no_event(predictions: Predictions, events: pl.DataFrame) -> DataError:
    """Return the error of a file without any list for a test event: its ids are probably others."""
    first = predictions.lists.row(0, named=True)
    ours = f", for example {events[SESSION][0]}:{events[PLACE][0]}" if events.height else ""
    return DataError(
        f"{predictions.path}: no list is for an event of the test; its first is for {first[SESSION]}:{first[PLACE]}",
        f"name the events as the test does, SESSION:POSITION{ours}; a position is the place of the click to be "
        "predicted in its session, the second click is 2",
    )


def _require_items_once(predictions: Predictions, lists: pl.DataFrame) -> None:
    """Raise `DataError` where an item is twice in the list of an event."""
    twice = lists.filter(pl.struct(_EVENT, ITEM).is_duplicated())
    if twice.height:
        row = twice.row(0, named=True)
        raise DataError(
            f"{predictions.path}: the item {row[ITEM]!r} is twice in the list of {row[SESSION]}:{row[PLACE]} "
            f"({twice[_EVENT].n_unique():,} lists have such items)",
            "give one list an event; are these the lists of several models, or of several batches?",
        )


def warn_of_predictions(name: str, found: PredictedRanks, cutoff: int) -> None:
    """Warn of what the lists lack, and of what the test and the training data lack; `cutoff` is the largest."""
    events, short = len(found.lengths), int(((found.lengths > 0) & (found.lengths < cutoff)).sum())
    if found.missing:
        warn(
            "predictions-missing",
            f"{name}: {found.missing:,} of {events:,} test events have no list; they count as misses",
            "write a list for every click of a test session but its first",
        )
    if found.foreign:
        warn(
            "predictions-of-other-events",
            f"{name}: lists for events that the test does not hold, {len(found.foreign):,} of them, such as "
            f"{found.foreign[0]}, are passed over",
            "predict the test sessions that split wrote, with the position of the click to be predicted",
        )
    if found.unknown:
        warn(
            "predictions-of-unknown-items",
            f"{name}: items that are not in the training data, {len(found.unknown):,} of them, such as "
            f"{found.unknown[0]}, take places that no target can have",
            "fit the tool on the training part that split wrote, and write the ids that stand there",
        )
    if found.longest < cutoff:
        warn(
            "predictions-short",
            f"{name}: the longest list has {found.longest:,} items, so metrics at larger cutoffs are not known and are "
            "left out",
            f"write lists of {cutoff:,} items, or set evaluate.cutoffs to at most {found.longest:,}",
        )
    elif short:
        warn(
            "predictions-short",
            f"{name}: {short:,} of {events - found.missing:,} lists have fewer than {cutoff:,} items; targets outside "
            "of them count as misses",
            f"write lists of {cutoff:,} items, if the tool can rank so many",
        )
