"""Published splits, by counts and by the order of their clicks: which one two parts are, or nearly are."""

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from gru4rec_cli.base.names import ITEM, SESSION

_NEAR = 0.02  # relative difference up to which each of the counts is near
_NEAR_ORDER = 0.05  # the same for the order, in a split with near counts; shuffled sessions differ by 10 % and more


class Counts(NamedTuple):
    """Events to predict in training and test, and the items of training."""

    train_targets: int
    test_targets: int
    items: int | None = None  # None: not known. SR-GNN's paper prints 16,766 for 1/64, and the file has 16,373


class Order(NamedTuple):
    """Statistics of a split that other ids leave as they are, and another order of clicks within sessions changes."""

    train_pairs: int  # different pairs of an item and the next one
    train_firsts: int  # different items that begin a session; sessions that are reversed have the same pairs
    test_pairs: int
    test_firsts: int


class KnownSplit(NamedTuple):
    """A split that papers share, with the counts of Wu et al. (AAAI 2019), whose clicks are events to predict."""

    name: str
    counts: Counts
    order: Order | None = None  # as measured on the file; None: not known


KNOWN = (
    KnownSplit(
        "the Diginetica split of the SR-GNN line",
        Counts(719_470, 60_858, 43_097),
        Order(487_995, 31_543, 52_472, 8_016),  # of the file that CCIIPLab/GCE-GNN has
    ),
    KnownSplit("Yoochoose 1/64 of the SR-GNN line (the last 1/64 of the training prefixes)", Counts(369_859, 55_898)),
    KnownSplit("Yoochoose 1/4 of the SR-GNN line (the last 1/4 of the training prefixes)", Counts(5_917_745, 55_898)),
)


def counts_of(train: pl.DataFrame, test: pl.DataFrame) -> Counts:
    """Return the counts of a split by which it is known; both parts have SESSION and ITEM."""
    targets = [part.height - part[SESSION].n_unique() for part in (train, test)]
    return Counts(targets[0], targets[1], train[ITEM].n_unique())


def order_of(train: pl.DataFrame, test: pl.DataFrame) -> Order:
    """Return the statistics of order of a split; both parts have SESSION and ITEM, by session, in order of clicks."""
    return Order(*_pairs_and_firsts(train), *_pairs_and_firsts(test))


def _pairs_and_firsts(events: pl.DataFrame) -> tuple[int, int]:
    before = pl.col(ITEM).shift(1).alias("before")
    first = pl.col(SESSION).ne_missing(pl.col(SESSION).shift(1)).alias("first")
    clicks = events.select(before, ITEM, first)
    pairs = clicks.filter(~pl.col("first")).select("before", ITEM)
    return pairs.n_unique(), clicks.filter("first")[ITEM].n_unique()


def name_of_split(train: pl.DataFrame, test: pl.DataFrame, known: Sequence[KnownSplit] = KNOWN) -> str:
    """Return which published split these parts are, or nearly are and what differs, or that it is none of them.

    Both parts have SESSION and ITEM, by session, in order of clicks.
    """
    counts = counts_of(train, test)
    for split in known:
        if not _differences(counts, split.counts):
            return _name_by_order(split, counts, train, test)
    for split in known:
        if all(_is_near(ours, theirs, _NEAR) for ours, theirs in zip(counts, split.counts, strict=True)):
            differing = _differences(counts, split.counts)
            if split.order is not None and not _is_near_order(order_of(train, test), split.order):
                differing.append("and the order of clicks in sessions differs")
            return f"nearly {split.name}: {', '.join(differing)}"
    return f"none of those that are known ({_said(counts)})"


def _name_by_order(split: KnownSplit, counts: Counts, train: pl.DataFrame, test: pl.DataFrame) -> str:
    """Return how a split is named whose counts are those of a known one."""
    if split.order is None:
        return f"{split.name}, by its counts ({_said(counts)})"
    order = order_of(train, test)
    if order == split.order:
        return f"{split.name}, by its counts and the order of its clicks ({_said(counts)})"
    differing = "; ".join(
        f"{part} has {ours:,} different {what} in place of {theirs:,}"
        for (part, what), ours, theirs in zip(_ORDER_NAMES, order, split.order, strict=True)
        if ours != theirs
    )
    return f"{split.name} by its counts ({_said(counts)}), but the order of clicks in sessions differs: {differing}"


def _differences(ours: Counts, theirs: Counts) -> list[str]:
    return [
        f"{count:,} {name} in place of {other:,}"
        for name, count, other in zip(_NAMES, ours, theirs, strict=True)
        if other is not None and count != other
    ]


def _is_near(ours: int | None, theirs: int | None, tolerance: float) -> bool:
    return ours is None or theirs is None or abs(ours - theirs) <= tolerance * theirs


def _is_near_order(ours: Order, theirs: Order) -> bool:
    return all(_is_near(one, other, _NEAR_ORDER) for one, other in zip(ours, theirs, strict=True))


_NAMES = ("training targets", "test targets", "items")
_ORDER_NAMES = (
    ("training", "pairs of consecutive items"), ("training", "first items of sessions"),
    ("the test", "pairs of consecutive items"), ("the test", "first items of sessions"),
)  # fmt: skip


def _said(counts: Counts) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in zip(_NAMES, counts, strict=True))
