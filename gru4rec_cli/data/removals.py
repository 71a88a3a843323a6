"""What each rule removes from an event table, counted so that before − removed = after."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import narwhals as nw

from gru4rec_cli.columns import ITEM, SESSION
from gru4rec_cli.errors import DataError

Table = nw.LazyFrame[Any]  # SESSION, ITEM, TIME and the ROW that cleaning gives

BAD = "bad row"
OTHER = "other event type"
BRIEF = "looked at too briefly"
DUPLICATE = "exact duplicate"
REPEAT = "immediate repeat"
SHORT = "session too short"
RARE = "item too rare"
LONG = "session too long"
STRADDLES = "session straddles the cut"
AFTER_CUT = "event at or after the cut"
OLD = "session too old"
UNSEEN = "item not in training"

KEYS = {
    DUPLICATE: "split.drop_duplicates",
    REPEAT: "split.drop_repeats",
    SHORT: "split.min_session_length",
    RARE: "split.min_item_support",
    LONG: "split.max_session_length",
    STRADDLES: "split.straddle",
    AFTER_CUT: "split.straddle",
    OLD: "split.recent",
    UNSEEN: "split.unseen",
}


class Counts(NamedTuple):
    """How much an event table holds, or how much less it holds after a rule."""

    events: int
    sessions: int
    items: int


@dataclass(frozen=True)
class Removal:
    """What one rule took away in one step; sessions and items count where none of their events is left."""

    step: str
    reason: str
    events: int
    sessions: int
    items: int


class Tally:
    """An event table on its way through the rules of one step."""

    def __init__(self, step: str, events: Table) -> None:
        self.step = step
        self.events = _materialised(events)
        self.before = self.after = _count(self.events)
        self._removed: dict[str, Counts] = {}

    def apply(self, reason: str, rule: Callable[[Table], Table]) -> bool:
        """Put the events through a rule that only removes rows; tell whether it removed any."""
        events = _materialised(rule(self.events))
        after = _count(events)
        removed = Counts(*(b - a for b, a in zip(self.after, after, strict=True)))
        earlier = self._removed.get(reason, Counts(0, 0, 0))
        self._removed[reason] = Counts(*(e + r for e, r in zip(earlier, removed, strict=True)))
        self.events, self.after = events, after
        return removed.events > 0

    @property
    def removals(self) -> list[Removal]:
        """One row for each rule in order of first use, rounds of the same rule added up."""
        return [Removal(self.step, reason, *counts) for reason, counts in self._removed.items()]

    def summary(self) -> dict[str, Any]:
        """The step's counts before and after, ready for JSON."""
        return {"step": self.step, "before": self.before._asdict(), "after": self.after._asdict()}


def require_events(tally: Tally, what: str, hint: str) -> None:
    """Raise `DataError`, naming the rule that removed most, if no event is left in `tally`."""
    if tally.after.events:
        return
    if not tally.before.events:
        raise DataError(f"{what} is empty: every session lies on the other side of the cut", hint)
    advice = [f"look at {KEYS[_main(tally).reason]}", *([hint] if hint else [])]
    if _main(tally).reason == SHORT:
        advice.append("check that data.columns.session names the column of session ids")
    raise DataError(
        f"{what} is empty: nothing is left of {tally.before.events} events{main_removal(tally)}", "; ".join(advice)
    )


def main_removal(tally: Tally) -> str:
    """A clause that names the rule that removed most, empty where no rule removed anything."""
    if tally.after.events == tally.before.events:
        return ""
    return f"; most ({_main(tally).events} events) went as {_main(tally).reason!r} ({KEYS[_main(tally).reason]})"


def _main(tally: Tally) -> Removal:
    return max(tally.removals, key=lambda removal: removal.events)


def _materialised(events: Table) -> Table:
    return events.collect().lazy()


def _count(events: Table) -> Counts:
    counts = events.select(
        events=nw.len(), sessions=nw.col(SESSION).n_unique(), items=nw.col(ITEM).n_unique()
    ).collect()
    return Counts(*(int(value) for value in counts.row(0)))
