"""Tables of the data: what was read, the parts made of it, and what was removed."""

from collections.abc import Mapping
from typing import Any

from gru4rec_cli.base.names import STATISTICS_FILE
from gru4rec_cli.reporting.tables import Cell, Table
from gru4rec_cli.reporting.tables.cells import missing_note
from gru4rec_cli.reporting.text.division import division_notes, division_sentence
from gru4rec_cli.reporting.text.words import ENGLISH, Words

_SOURCE = f"split/{STATISTICS_FILE}"
_NOT_COUNTED = "–"
_LENGTHS = ("mean_session_length", "median_session_length", "max_session_length")


UNSEEN_FATES = {"drop": "dropped", "miss": "kept_as_misses", "keep": "kept_unranked"}


def data_table(statistics: Mapping[str, Any], words: Words = ENGLISH) -> Table:
    """Return size, session lengths and time span of what was read and of every part made of it."""
    found = [
        (words("read_part", name=words.phrase(name)), summary, f"input.{name}")
        for name, summary in (statistics.get("input") or {}).items()
    ]
    found += [
        (words.phrase(name), summary, f"parts.{name}")
        for name, summary in (statistics.get("parts") or {}).items()
        if summary is not None
    ]
    rows = tuple(
        (
            part,
            *(_amount(summary, key, words, place) for key in ("sessions", "events", "items", "prefixes", *_LENGTHS)),
            *(str(summary.get(key) or words("missing"))[:16].replace("T", " ") for key in ("first_time", "last_time")),
        )
        for part, summary, place in found
    )
    columns = (
        "part",
        "sessions_column",
        "events_column",
        "items_column",
        "prefixes_column",
        "mean_length",
        "median",
        "max",
    )
    notes = (
        words("length_note"),
        words("moments_note"),
        words("prefixes_note"),
        *_split_notes(statistics, words),
        *(words("key_not_available", key=words.label(key)) for key in ("input", "parts") if not statistics.get(key)),
        *missing_note(rows, words),
    )
    return Table(
        words("data_title"),
        tuple(words(column) for column in (*columns, "first", "last")),
        rows,
        numeric=frozenset(range(1, 8)),
        optional=frozenset({6, 7, 8, 9}),
        optional_notes=frozenset({words("moments_note")}),
        notes=notes,
        source=_SOURCE,
    )


def removals_table(statistics: Mapping[str, Any], words: Words = ENGLISH) -> Table:
    """Return what cleaning and splitting took away, in the order in which it happened, and why.

    Without rows, nothing was removed, or it is not known: a note says which.
    """
    removals = statistics.get("removals")
    found = [
        (removal, f"reading.{part}.removals[{place}]")
        for part, reading in (statistics.get("reading") or {}).items()
        for place, removal in enumerate(reading.get("removals", ()))
    ]
    found += [(removal, f"removals[{place}]") for place, removal in enumerate(removals or ())]
    if all(removal.get("events") == 0 for removal, _ in found):
        found = []
    rows = tuple(
        (
            words.phrase(removal.get("step", words("missing"))),
            words.phrase(removal.get("reason", words("missing"))),
            *(_lost(removal, key, words, place) for key in ("events", "sessions", "items")),
        )
        for removal, place in found
    )
    about = "removals_missing" if removals is None else "removals_note" if rows else "nothing_removed"
    notes = [words(about), *missing_note(rows, words)]
    notes += [words("not_counted_note")] if any(_NOT_COUNTED in row for row in rows) else []
    columns = ("step", "reason", "events_column", "sessions_column", "items_column")
    return Table(
        words("removals_title"),
        tuple(words(column) for column in columns),
        rows,
        numeric=frozenset({2, 3, 4}),
        notes=tuple(notes),
        source=_SOURCE,
    )


def _split_notes(statistics: Mapping[str, Any], words: Words) -> list[str]:
    """Return where the parts begin, what training does not know of them, and whether time separates them."""
    notes = []
    preset = statistics.get("preset")
    if preset:
        told = {
            "name": preset["name"],
            "verdict": words.phrase(preset["verdict"]),
            "told": words.phrase(preset["told"]),
        }
        notes.append(words("preset_note", **told))
    window, chosen = statistics.get("window"), (statistics.get("settings") or {}).get("window")
    if window and chosen:
        notes.append(words("window_note", **chosen, start=window["start"], end=window["end"]))
    for part, cut in (statistics.get("cuts") or {"test": {}}).items():
        if cut is not None:
            notes.append(words("part_begins", part=words.phrase(part), time=cut.get("time", words("no_time"))))
    for part, unseen in (statistics.get("unseen") or {}).items():
        if unseen is not None:
            fate = words(UNSEEN_FATES[unseen.get("rule", "drop")])
            events, items = (_amount(unseen, key, words) for key in ("events", "items"))
            notes.append(words("unseen_note", events=events, items=items, part=words.phrase(part), fate=fate))
    notes += division_notes(statistics, words)
    leaks = statistics.get("leaks")
    if leaks and not leaks["timed"]:
        return [*notes, division_sentence(statistics, words).plain()]
    if (statistics.get("parts") or {}).get("test", ()) is None:
        return [*notes, words("no_test_note")]
    overlap = leaks or statistics.get("overlap") or {}
    late = _amount(overlap, "late_events" if leaks else "train_events_at_or_after_first_test_event", words)
    return [*notes, words("late_note", late=late)]


def _lost(removal: Mapping[str, Any], key: str, words: Words, place: str) -> str:
    """A number that was removed; null where it means nothing, because sessions are made later."""
    return _NOT_COUNTED if key in removal and removal[key] is None else _amount(removal, key, words, place)


def _amount(summary: Mapping[str, Any], key: str, words: Words, place: str = "") -> str:
    value = summary.get(key)
    if value is None:
        return words("missing")
    text = words.count(value) if isinstance(value, int) else words.fixed(value, 2)
    return Cell(text, value=float(value), source=f"{_SOURCE} › {place}.{key}")
