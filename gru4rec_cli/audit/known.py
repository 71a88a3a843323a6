"""Published splits, by their counts: which one a training and a test part are, or nearly are."""

from typing import NamedTuple

import polars as pl

from gru4rec_cli.base.names import ITEM, SESSION

_NEAR = 0.02  # relative difference up to which each of the counts is near


class Counts(NamedTuple):
    """Events to predict in training and test, and the items of training."""

    train_targets: int
    test_targets: int
    items: int | None = None  # None: not known. SR-GNN's paper prints 16,766 for 1/64, and the file has 16,373


class KnownSplit(NamedTuple):
    """A split that papers share, with the counts of Wu et al. (AAAI 2019), whose clicks are events to predict."""

    name: str
    counts: Counts


KNOWN = (
    KnownSplit("the Diginetica split of the SR-GNN line", Counts(719_470, 60_858, 43_097)),
    KnownSplit("Yoochoose 1/64 of the SR-GNN line (the last 1/64 of the training prefixes)", Counts(369_859, 55_898)),
    KnownSplit("Yoochoose 1/4 of the SR-GNN line (the last 1/4 of the training prefixes)", Counts(5_917_745, 55_898)),
)


def counts_of(train: pl.DataFrame, test: pl.DataFrame) -> Counts:
    """Return the counts of a split by which it is known; both parts have SESSION and ITEM."""
    targets = [part.height - part[SESSION].n_unique() for part in (train, test)]
    return Counts(targets[0], targets[1], train[ITEM].n_unique())


def name_of_split(train: pl.DataFrame, test: pl.DataFrame) -> str:
    """Return which published split these parts are, or nearly are and what differs, or that it is none of them."""
    counts = counts_of(train, test)
    differences = {known.name: _differences(counts, known.counts) for known in KNOWN}
    for name, differing in differences.items():
        if not differing:
            return f"{name}, by its counts ({_said(counts)})"
    for known in KNOWN:
        if all(_is_near(ours, theirs) for ours, theirs in zip(counts, known.counts, strict=True)):
            return f"nearly {known.name}: {', '.join(differences[known.name])}"
    return f"none of those that are known ({_said(counts)})"


def _differences(ours: Counts, theirs: Counts) -> list[str]:
    return [
        f"{count:,} {name} in place of {other:,}"
        for name, count, other in zip(_NAMES, ours, theirs, strict=True)
        if other is not None and count != other
    ]


def _is_near(ours: int | None, theirs: int | None) -> bool:
    return ours is None or theirs is None or abs(ours - theirs) <= _NEAR * theirs


_NAMES = ("training targets", "test targets", "items")


def _said(counts: Counts) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in zip(_NAMES, counts, strict=True))
