"""A test of whether the order of clicks matters: a Markov chain predicts transitions as they are, and reversed."""

from typing import Any

import polars as pl

from gru4rec_cli.base.names import ITEM, SESSION, TIME

TRAINING = 0.8  # of the sessions, those that start first
CUTOFF = 20

_FROM, _TO = "from", "to"


def order_signal(ordered: pl.DataFrame) -> dict[str, Any]:
    """Fit a first-order Markov chain on the first 80 % of the sessions (by start), and test it on the others.

    The same chain predicts the transitions of the later sessions twice: as they are (from a click to the next one) and
    reversed (from the next one to the click). Transitions of an item to itself are left out: they have no direction.
    If both directions give similar values, order adds nothing to the fact that items occur together.

    The chain is smoothed as by Witten & Bell (1991): an item gets as many pseudo-transitions, distributed by
    popularity, as it has different followers.

    Args:
        ordered: SESSION, ITEM, TIME by session, then time.

    Returns:
        Over all transitions, `forward` and `reversed`: `recall`, the share whose target is among the CUTOFF items that
        most often followed the source in training (or among fewer), and `gain`, the mean log likelihood less that of
        popularity alone, in nats.
    """
    starts = ordered.group_by(SESSION).agg(pl.col(TIME).min()).sort(TIME, SESSION)
    late = starts[int(TRAINING * starts.height) :].select(SESSION)
    training = ordered.join(late, on=SESSION, how="anti", maintain_order="left")
    fitted = _transitions(training).group_by(_FROM, _TO).agg(pl.len().alias("count"))
    tested = _transitions(ordered.join(late, on=SESSION, how="semi", maintain_order="left"))
    unknown: dict[str, Any] = {"recall": None, "gain": None}
    found: dict[str, Any] = {"transitions": tested.height, "cutoff": CUTOFF}
    if tested.is_empty() or fitted.is_empty():
        return {**found, "forward": unknown, "reversed": unknown}
    popularity = training.group_by(ITEM).agg(pl.len().alias("events"))
    backward = tested.select(pl.col(_TO).alias(_FROM), pl.col(_FROM).alias(_TO))
    return {
        **found,
        "forward": _predicted(fitted, popularity, tested),
        "reversed": _predicted(fitted, popularity, backward),
    }


def _transitions(ordered: pl.DataFrame) -> pl.DataFrame:
    """From each event to the next of its session, where the item changes."""
    follows = (pl.col(SESSION) == pl.col(SESSION).shift(-1)) & (pl.col(ITEM) != pl.col(ITEM).shift(-1))
    pairs = ordered.select(pl.col(ITEM).alias(_FROM), pl.col(ITEM).shift(-1).alias(_TO), follows.alias("follows"))
    return pairs.filter("follows").drop("follows")


def _predicted(fitted: pl.DataFrame, popularity: pl.DataFrame, tested: pl.DataFrame) -> dict[str, float | None]:
    """`recall` and `gain` of the chain on transitions."""
    place = pl.struct(-pl.col("count").cast(pl.Int64), _TO).rank("ordinal").over(_FROM).alias("place")
    chain = fitted.with_columns(place, pl.col("count").sum().over(_FROM).alias("total"))
    totals = chain.group_by(_FROM).agg(pl.col("total").first(), pl.len().alias("followers"))
    events, items = int(popularity["events"].sum()), popularity.height
    rows = (
        tested.group_by(_FROM, _TO)
        .agg(pl.len().alias("times"))
        .join(chain.select(_FROM, _TO, "count", "place"), on=[_FROM, _TO], how="left")
        .join(totals, on=_FROM, how="left")
        .join(popularity.rename({ITEM: _TO}), on=_TO, how="left")
        .with_columns(pl.col("count", "total", "events").fill_null(0), pl.col("followers").fill_null(1))
        .sort(_FROM, _TO)  # sums of floats must not depend on threads
    )
    popular = (pl.col("events") + 1) / (events + items + 1)
    likely = (pl.col("count") + pl.col("followers") * popular) / (pl.col("total") + pl.col("followers"))
    weight = pl.col("times") / pl.col("times").sum()
    hit = pl.col("place").is_not_null() & (pl.col("place") <= CUTOFF)
    recall, gain = rows.select(
        (hit * pl.col("times")).sum() / pl.col("times").sum(), ((likely / popular).log() * weight).sum().alias("gain")
    ).row(0)
    return {"recall": recall, "gain": gain}
