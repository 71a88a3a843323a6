"""Counts of what each rule removes from an event table, such that before − removed = after."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import narwhals as nw

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.names import ITEM, SESSION
from gru4rec_cli.data.engine import Choice, Engine, Table, native

EVENTS = "events"  # column of counts

BAD = "bad row"
OTHER = "other event type"
NO_ID = "missing id"
BRIEF = "looked at too briefly"
DUPLICATE = "exact duplicate"
REPEAT = "immediate repeat"
SHORT = "session too short"
RARE = "item too rare"
PAIRED = "row number of a dropped row"
LONG = "session too long"
STRADDLES = "session straddles the cut"
AFTER_CUT = "event at or after the cut"
ON_CUT = "session starts at the cut"
OLD = "session too old"
OLD_END = "end of the oldest session"
UNSEEN = "item not in training"

KEYS = {
    DUPLICATE: "split.drop_duplicates",
    REPEAT: "split.drop_repeats",
    SHORT: "split.min_session_length",
    RARE: "split.min_item_support",
    PAIRED: "data.shared_row_numbers",
    LONG: "split.max_session_length",
    STRADDLES: "split.straddle",
    AFTER_CUT: "split.straddle",
    ON_CUT: "split.on_cut",
    OLD: "split.recent",
    OLD_END: "split.recent",
    UNSEEN: "split.unseen",
}


class Counts(NamedTuple):
    """Numbers of events, sessions and items of an event table, or the numbers that a rule removed."""

    events: int
    sessions: int
    items: int


NONE = Counts(0, 0, 0)


@dataclass(frozen=True)
class Removal:
    """Numbers that one rule removed in one step; a session or item counts if none of its events is left.

    `sessions` or `items` is None where it is not known: sessions that are made later, or ids that several files share.
    """

    step: str
    reason: str
    events: int
    sessions: int | None
    items: int | None


class Tally:
    """The events of one step, the length of every session and support of every item, and what each rule removed."""

    def __init__(self, step: str, events: Table, engine: Engine) -> None:
        """Compute `events` and count them."""
        self.step, self.engine = step, engine
        self._removed: dict[str, Counts] = {}
        self._hold(engine.compute(events))
        self.before = self.after

    def apply(self, reason: str, rule: "Rule") -> bool:
        """Apply a rule to the events. Returns true if it removed any."""
        before, choice = self.after, rule(self)
        if choice is not None:
            self._hold(self.engine.chosen(self.take(), choice))
        removed = Counts(*(b - a for b, a in zip(before, self.after, strict=True)))
        earlier = self._removed.get(reason, NONE)
        self._removed[reason] = Counts(*(e + r for e, r in zip(earlier, removed, strict=True)))
        return removed.events > 0

    def take(self) -> Table:
        """Return the events and drop the reference to them; the counts stay."""
        events = self.events
        del self.events, self.lengths, self.supports
        return events

    @property
    def removals(self) -> list[Removal]:
        """One removal for each rule in order of first use, rounds of the same rule added up."""
        return [Removal(self.step, reason, *counts) for reason, counts in self._removed.items()]

    def summary(self) -> dict[str, Any]:
        """Return the step's counts before and after, ready for JSON."""
        return {"step": self.step, "before": self.before._asdict(), "after": self.after._asdict()}

    def _hold(self, events: Table) -> None:
        self.events = events
        self.lengths = self.engine.compute(events.group_by(SESSION).agg(nw.len().alias(EVENTS)))
        self.supports = self.engine.compute(events.group_by(ITEM).agg(nw.len().alias(EVENTS)))
        sums = native(self.lengths.select(nw.col(EVENTS).sum(), nw.len().alias("sessions")))
        items = native(self.supports.select(nw.len()))
        self.after = Counts(int(sums[EVENTS][0] or 0), int(sums["sessions"][0]), int(items.item()))


Rule = Callable[[Tally], Choice | None]  # the events that stay; None: all


def require_events(tally: Tally, what: str, hint: str) -> None:
    """Raise `DataError`, naming the rule that removed most, if no event is left in `tally`."""
    if tally.after.events:
        return
    if not tally.before.events:
        raise DataError(f"{what} is empty: every session is on the other side of the cut", hint)
    advice = [f"look at {KEYS[_main(tally).reason]}", *([hint] if hint else [])]
    if _main(tally).reason == SHORT:
        advice.append("check that data.columns.session names the column of session ids")
    raise DataError(
        f"{what} is empty: nothing is left of {tally.before.events} events{main_removal(tally)}", "; ".join(advice)
    )


def main_removal(tally: Tally) -> str:
    """Return a clause that names the rule that removed most, empty where no rule removed anything."""
    if tally.after.events == tally.before.events:
        return ""
    return f"; most ({_main(tally).events} events) went as {_main(tally).reason!r} ({KEYS[_main(tally).reason]})"


def _main(tally: Tally) -> Removal:
    return max(tally.removals, key=lambda removal: removal.events)
