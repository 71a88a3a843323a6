"""Tables of the data: what was read, what was made of it, what was removed."""

from collections.abc import Mapping
from typing import Any

from gru4rec_cli.reporting.tables import MISSING, Table, missing_note


def data_table(statistics: Mapping[str, Any]) -> Table:
    """Size, session lengths and time span of what was read and of every part made of it."""
    found = [(f"read: {name}", summary) for name, summary in (statistics.get("input") or {}).items()]
    found += [(name, summary) for name, summary in (statistics.get("parts") or {}).items() if summary is not None]
    lengths = ("mean_session_length", "median_session_length", "max_session_length")
    rows = tuple(
        (
            part,
            *(_amount(summary, key) for key in ("sessions", "events", "items", *lengths)),
            *(str(summary.get(key) or MISSING)[:16].replace("T", " ") for key in ("first_time", "last_time")),
        )
        for part, summary in found
    )
    columns = ("Part", "Sessions", "Events", "Items", "Mean length", "Median", "Max", "First", "Last")
    notes = (
        "Length: clicks in a session. First and last: times of clicks, UTC.",
        *_split_notes(statistics),
        *(f"{key}: not available." for key in ("input", "parts") if not statistics.get(key)),
        *missing_note(rows),
    )
    return Table(
        "Size of the data", columns, rows, numeric=frozenset(range(1, 7)), optional=frozenset({5, 6, 7, 8}), notes=notes
    )


def removals_table(statistics: Mapping[str, Any]) -> Table:
    """What cleaning and splitting took away, in the order in which it happened, and why."""
    removals = statistics.get("removals")
    rows = tuple(
        (
            str(removal.get("step", MISSING)),
            str(removal.get("reason", MISSING)),
            *(_amount(removal, key) for key in ("events", "sessions", "items")),
        )
        for removal in removals or ()
    )
    about = "Sessions and items count where none of their events is left."
    notes = (
        ["Nothing was removed."] if removals == [] else ["Removals: not available."] if removals is None else [about]
    )
    columns = ("Step", "Reason", "Events", "Sessions", "Items")
    return Table(
        "Removed from the data", columns, rows, numeric=frozenset({2, 3, 4}), notes=(*notes, *missing_note(rows))
    )


def _split_notes(statistics: Mapping[str, Any]) -> list[str]:
    """Where the parts begin, what training does not know of them, and whether time separates them."""
    notes = []
    for part, cut in (statistics.get("cuts") or {"test": {}}).items():
        if cut is not None:
            notes.append(f"The {part} part begins at {cut.get('time', 'a time that is not available')}.")
    for part, unseen in (statistics.get("unseen") or {}).items():
        if unseen is not None:
            fate = "kept as misses" if unseen.get("kept_as_misses") else "dropped"
            amounts = f"{_amount(unseen, 'events')} events of {_amount(unseen, 'items')} items"
            notes.append(f"Not in training: {amounts} of the {part} part, {fate}.")
    overlap = statistics.get("overlap") or {}
    late = _amount(overlap, "train_events_at_or_after_first_test_event")
    return [*notes, f"Training events at or after the first test event: {late}."]


def _amount(summary: Mapping[str, Any], key: str) -> str:
    value = summary.get(key)
    return MISSING if value is None else f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
