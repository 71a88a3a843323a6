"""What training already knows of a test part that was given: clicks of its time, and copies of its sessions."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl

from gru4rec_cli.base.arrays import Int64Array
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.base.warnings import warn
from gru4rec_cli.data.times import iso

BY_TIME = 0.95  # pairs of sessions of which the test's starts later: from here on, the test is later than training
EXCHANGED = 0.05  # up to here, it is earlier
LONG = 5  # clicks from which the same items in the same order are a copy, whatever the times

_HASH = "hash"
_EXACT, _ITEMS = "items and times", "items"
_MEANING = "metrics are then too high for every model that remembers its training sessions"


def find_leaks(
    train: pl.DataFrame, test: pl.DataFrame, *, timed: bool = True, name: Callable[[Any], Any] = str
) -> dict[str, Any]:
    """Return what a training part knows of a test part, ready for JSON.

    Args:
        train: SESSION, ITEM, TIME in visiting order; the same for `test`.
        timed: times are moments; otherwise row numbers, of each file its own, and nothing about times is looked at.
        name: gives the id of a session in an example, where SESSION has codes.

    Returns:
        `later`: the share of pairs of a training and a test session in which the test session starts later (one half
        where they start together): 1 for a division by time, about .5 for a random one, 0 for exchanged parts; None
        without times. `late_events`, `late_sessions`: training events at or after the first test event, and the
        sessions that have some. `train_events`: all of them. `copies`: test sessions that are in training under
        another id, by items and times and, for long sessions, by items alone; see `_copies`.
    """
    leaks: dict[str, Any] = {"timed": timed, "later": None, "late_events": None, "late_sessions": None}
    leaks["train_events"] = train.height
    if timed:
        first = int(test[TIME].min())  # type: ignore[arg-type]
        late = train.filter(pl.col(TIME) >= first)
        leaks |= {"first_test_event": iso(first), "later": _later(train, test)}
        leaks |= {"late_events": late.height, "late_sessions": late[SESSION].n_unique()}
    kinds = {_EXACT: ([ITEM, TIME], 2)} if timed else {}
    kinds |= {_ITEMS: ([ITEM], LONG)}
    leaks["copies"] = {kind: _copies(train, test, *rule) for kind, rule in kinds.items()}
    for found in leaks["copies"].values():
        found["example"] = found["example"] and [str(name(session)) for session in found["example"]]
    return leaks


def _later(train: pl.DataFrame, test: pl.DataFrame) -> float:
    """The share of pairs of sessions in which the test's starts later (Mann & Whitney's U over the number of pairs)."""
    starts = [np.sort(part[TIME].to_numpy()[_first_rows(part)]) for part in (train, test)]
    before = np.searchsorted(starts[0], starts[1], side="left").sum()
    together = np.searchsorted(starts[0], starts[1], side="right").sum() - before
    return float((before + together / 2) / (len(starts[0]) * len(starts[1])))


def _copies(train: pl.DataFrame, test: pl.DataFrame, columns: list[str], shortest: int) -> dict[str, Any]:
    """Count the test sessions of `shortest` clicks or more that a training session equals in `columns`.

    `expected` is the number that would be equal if test sessions had twins in training as often as training sessions
    have among themselves: popular items, coarse times and crawlers make twins, too. One twin is added for small parts.
    """
    known, asked = (_fingerprints(part, columns, shortest) for part in (train, test))
    counts = known.group_by(_HASH).agg(pl.len().alias("count"), pl.col(SESSION).first().alias("twin"))
    twins = int(counts.filter(pl.col("count") > 1)["count"].sum())
    equal = asked.join(counts, on=_HASH, maintain_order="left")
    return {
        "sessions": equal.height,
        "of": asked.height,
        "expected": asked.height * (twins + 1) / (known.height + 1),
        "example": [equal[SESSION][0], equal["twin"][0]] if equal.height else None,
    }


def _fingerprints(events: pl.DataFrame, columns: list[str], shortest: int) -> pl.DataFrame:
    """A 64-bit hash of what each session of at least `shortest` clicks holds in `columns`, in order."""
    firsts = _first_rows(events)
    lengths = np.diff(np.append(firsts, events.height))
    place = pl.Series("place", np.arange(events.height) - np.repeat(firsts, lengths))
    hashes = events.select(pl.struct(place, *columns).hash()).to_series().to_numpy()
    sums = np.add.reduceat(hashes, firsts)  # modulo 2^64
    return pl.DataFrame({SESSION: events[SESSION].gather(firsts), _HASH: sums}).filter(lengths >= shortest)


def _first_rows(events: pl.DataFrame) -> Int64Array:
    """The row at which each session begins."""
    begins = events.select(pl.col(SESSION).ne_missing(pl.col(SESSION).shift(1)))[SESSION]
    return np.flatnonzero(begins.to_numpy())


def kind_of_overlap(leaks: Mapping[str, Any]) -> str:
    """Return what the times say: `none`, `late` (a few events), `mixed` (not by time), `exchanged`, `unknown`."""
    if not leaks["timed"]:
        return "unknown"
    if leaks["late_events"] == 0:
        return "none"
    if leaks["later"] <= EXCHANGED:
        return "exchanged"
    return "late" if leaks["later"] >= BY_TIME else "mixed"


def copied(leaks: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the kind of copies that are more than chance explains, with its counts; None where there is none.

    That is more than twice what is expected, and three standard deviations of a Poisson variable on top.
    """
    for kind, found in leaks["copies"].items():
        if found["sessions"] > 2 * found["expected"] + 3 * math.sqrt(found["expected"]):
            return {"by": kind, **found}
    return None


def percent(part: int, whole: int) -> str:
    """Return a share in percent with one decimal; a share that would be shown as 0 is said to be smaller."""
    return f"{100 * part / whole:.1f} %" if 2_000 * part >= whole else "less than 0.1 %"


def warn_of_leaks(leaks: Mapping[str, Any]) -> None:
    """Warn of every leak that was found."""
    kind, late, events = kind_of_overlap(leaks), leaks["late_events"], leaks["train_events"]
    what = ""
    if kind in ("late", "mixed"):
        share = f"{late:,} of {events:,} training events ({percent(late, events)})"
        what = f"{share} are at or after the first test event ({leaks['first_test_event']})"
    if kind == "late":
        warn("train-after-test", what, "cut the training file at the first test event, or give the log as data.source")
    if kind == "mixed":
        message = (
            f"the given files are not divided by time: a test session starts later than a training session in only "
            f"{100 * leaks['later']:.0f} % of all pairs (random: 50 %), and {what}; models have seen the clicks of the "
            "test's time, which no model in use can"
        )
        warn("test-not-later", message, "give the whole log as data.source and let split divide it by time")
    if kind == "exchanged":
        message = (
            f"the test is earlier than training: its first event is at {leaks['first_test_event']}, and a test session "
            f"starts later than a training session in only {100 * leaks['later']:.0f} % of all pairs"
        )
        warn("train-and-test-exchanged", message, "exchange data.train and data.test, if they are the wrong way round")
    found = copied(leaks)
    if found is not None:
        first, second = found["example"]
        message = (
            f"{found['sessions']:,} test sessions are in training, too, with the same {found['by']} but another id, "
            f"such as {first!r} and {second!r} ({found['expected']:.0f} expected by chance); {_MEANING}"
        )
        warn("test-in-train", message, "remove these sessions from the training file")
