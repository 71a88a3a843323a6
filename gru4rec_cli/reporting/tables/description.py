"""Tables of a description of clicks."""

from collections.abc import Iterator, Mapping
from typing import Any

from gru4rec_cli.reporting.tables import Table
from gru4rec_cli.reporting.text.words import ENGLISH as WORDS

_NONE = "–"


def description_tables(description: Mapping[str, Any]) -> list[Table]:
    """Return what there is, quantiles, and the signal in the order of clicks."""
    pairs = tuple(_facts(description))
    facts = Table("Clicks", ("what", "value"), pairs, numeric=frozenset({1}))
    return [facts, _quantile_table(description), _signal_table(description["order_signal"])]


def _facts(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from _read(found["reading"])
    yield from ((name, WORDS.count(found[name])) for name in ("events", "sessions", "items"))
    yield "first click", found["first_time"]
    yield "last click", found["last_time"]
    yield "days", WORDS.fixed(found["days"], 1)
    times, unit = found["times"], found["time_unit"]
    yield "times", f"{times['guess']}; whole {times['resolution']}" + (f"; read as {unit}" if unit else "")
    yield "mean session length", WORDS.fixed(found["mean_session_length"], 2)
    yield "sessions of one click", WORDS.percent(found["session_lengths"]["share_of_one_event"])
    support, repeats = found["item_support"], found["repeats"]
    yield "items with fewer than 5 clicks", WORDS.percent(support["share_of_items_below_5"])
    yield "clicks on the top 1 % of items", WORDS.percent(support["share_of_events_on_top_percent"])
    yield "clicks that repeat the one before", _share(repeats["share_immediate"])
    yield "clicks on an earlier item of the session", _share(repeats["share_earlier_in_session"])
    yield "exact duplicates", WORDS.count(repeats["exact_duplicates"])
    equal, order = found["equal_times"], found["out_of_order"]
    yield (
        "clicks at the time of the one before",
        f"{WORDS.count(equal['events'])} in {WORDS.count(equal['sessions'])} sessions",
    )
    yield "rows out of order in their session", WORDS.count(order["in_their_session"]) if order else "not known"
    yield "rows out of order in the file", WORDS.count(order["in_the_file"]) if order else "not known"
    yield from _drift(found["drift"])


def _read(reading: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for facts in reading:
        yield "rows read", WORDS.count(facts["rows"])
        for removal in facts["removals"]:
            yield f"left out: {removal['reason']}", WORDS.count(removal["events"])
        for bad in facts["bad_rows"]:
            first = f", first in {bad['first']}" if bad["first"] else ""
            yield f"bad: {bad['reason']}", f"{WORDS.count(bad['rows'])}{first}"


def _drift(days: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    later = days[1:]
    yield "days with clicks", WORDS.count(len(days))
    new = _weighted(later, "share_on_new_items")
    yield "clicks on items new that day, after the first", _share(new)
    alike = [day["to_previous_day"] for day in later]
    yield (
        "popularity alike to the day before (mean cosine)",
        WORDS.fixed(sum(alike) / len(alike), 3) if alike else _NONE,
    )
    yield "popularity of the last day alike to the first", WORDS.fixed(later[-1]["to_first_day"], 3) if later else _NONE


def _weighted(days: list[dict[str, Any]], key: str) -> float | None:
    events = sum(day["events"] for day in days)
    return sum(day[key] * day["events"] for day in days) / events if events else None


def _quantile_table(found: Mapping[str, Any]) -> Table:
    lengths, support = found["session_lengths"]["quantiles"], found["item_support"]["quantiles"]
    rows = tuple(
        (name, *(WORDS.rounded(value) for value in quantiles.values()))
        for name, quantiles in (("clicks of a session", lengths), ("clicks on an item", support))
    )
    heads = [f"{100 * float(q):g} %" for q in lengths]
    return Table("Quantiles", ("of", *heads), rows, numeric=frozenset(range(1, 1 + len(heads))))


def _signal_table(signal: Mapping[str, Any]) -> Table:
    rows = tuple(
        (
            direction,
            *(
                _NONE if signal[direction][key] is None else WORDS.fixed(signal[direction][key], 3)
                for key in ("recall", "gain")
            ),
        )
        for direction in ("forward", "reversed")
    )
    tried = WORDS.count(signal["transitions"])
    notes = (
        f"A Markov chain fitted on the first 80 % of the sessions, tested on {tried} transitions of the others, as",
        "they are and reversed. Gain: mean log likelihood above popularity, in nats. Alike: order does not matter.",
    )
    return Table(
        "Order of clicks",
        ("transitions", f"recall@{signal['cutoff']}", "gain"),
        rows,
        numeric=frozenset({1, 2}),
        notes=notes,
    )


def _share(value: float | None) -> str:
    return _NONE if value is None else WORDS.percent(value)
