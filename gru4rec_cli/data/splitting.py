"""A log of events divided by time into training, validation and test sessions."""

import math
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, Literal

import narwhals as nw
import polars as pl

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.names import ITEM, SESSION, SUPPORT, TIME
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.base.warnings import warn
from gru4rec_cli.data import cleaning
from gru4rec_cli.data.cleaning import summary_of, without
from gru4rec_cli.data.engine import ROW, Choice, Engine, PolarsEngine, Table, lazy, native
from gru4rec_cli.data.removals import (
    AFTER_CUT,
    EVENTS,
    OLD,
    OLD_END,
    ON_CUT,
    SHORT,
    STRADDLES,
    UNSEEN,
    Tally,
    main_removal,
    require_events,
)
from gru4rec_cli.data.split_settings import DivisionRule, SplitSettings, moment_of
from gru4rec_cli.data.times import MICROSECONDS_PER_DAY, iso
from gru4rec_cli.data.users import PART
from gru4rec_cli.data.windows import STEP, named, take_window

SHORTEST_SESSION = 2  # events: one click to know, one to predict

_NAMED = 3  # session ids that a warning names
_START, _END, _FIRST = "start", "end", "first"
_GIVEN_STEPS = {"train": "cleaning", "valid": "valid", "test": "test"}
_APART = {
    False: "do data.train and data.test belong together?",
    True: "do the parts that data.columns.part names belong together?",
}


@dataclass(frozen=True)
class Split:
    """The parts of a split, each SESSION, ITEM, TIME with rows in visiting order."""

    train: pl.DataFrame
    valid: pl.DataFrame | None
    test: pl.DataFrame  # empty with test: 0
    items: pl.DataFrame  # ITEM, SUPPORT (training events) in order of first appearance in training
    statistics: dict[str, Any]  # ready for JSON, keys in a stable order


@dataclass(frozen=True)
class Division:
    """The parts of a split as tables of the engine; `engine.visiting_order` turns them into those of `Split`."""

    parts: dict[str, Table]  # train; valid and test where they are taken or given
    statistics: dict[str, Any]
    whole_training: Table | None = None  # the training part before split.recent, where its items are all known


def split_log(events: pl.DataFrame, settings: SplitSettings, progress: Progress = SILENT) -> Split:
    """Clean a log and divide it, as `divide_log` says."""
    engine, logs = PolarsEngine(settings.equal_starts), [events]
    del events  # one log less in memory, if the caller keeps none
    return _finished(divide_log(engine, engine.events(logs).pop(), settings, progress), engine)


def split_given(
    train_events: pl.DataFrame, test_events: pl.DataFrame, settings: SplitSettings, progress: Progress = SILENT
) -> Split:
    """Clean events that are already divided into training and test, as `divide_given` says."""
    logs = [native(log) for log in given_logs(lazy(train_events), lazy(test_events))]
    engine = PolarsEngine(settings.equal_starts)
    train, test = engine.events(logs)
    return _finished(divide_given(engine, {"train": train, "test": test}, settings, progress), engine)


def split_by_part(events: pl.DataFrame, where: str, settings: SplitSettings, progress: Progress = SILENT) -> Split:
    """Clean a log whose column PART says what is training, validation and test, as `divide_given` says.

    Session ids that occur in several parts stay as they are, and are warned of: each part has a session of this id.

    Raises:
        DataError: `where` (a name for messages) has no training or no test events; and as `divide_given`.
    """
    found = events[PART].unique().to_list()
    parts = [part for part in ("train", "valid", "test") if part in found]
    for part in ("train", "test"):
        if part not in parts:
            message = f"{where}: no row is of part {part!r}; the parts found are {', '.join(map(repr, parts))}"
            raise DataError(message, "data.columns.part names the column; its values are train, valid and test")
    shared = events.group_by(SESSION).agg(pl.col(PART).n_unique()).filter(pl.col(PART) > 1)[SESSION]
    _warn_of_shared(
        shared,
        f"have rows in several parts of {where}",
        "give all rows of a session the same part, or leave out by: column and let split divide the log",
    )
    logs = [events.filter(pl.col(PART) == part).drop(PART) for part in parts]
    del events
    engine = PolarsEngine(settings.equal_starts)
    tables = dict(zip(parts, engine.events(logs), strict=True))
    return _finished(divide_given(engine, tables, settings, progress), engine)


def _finished(division: Division, engine: PolarsEngine) -> Split:
    frames = {part: engine.visiting_order(division.parts.pop(part)) for part in [*division.parts]}
    whole, test = division.whole_training, frames.get("test", frames["train"].clear())
    items = item_table(frames["train"], None if whole is None else engine.visiting_order(whole))
    return Split(frames["train"], frames.get("valid"), test, items, division.statistics)


def divide_log(engine: Engine, events: Table, settings: SplitSettings, progress: Progress = SILENT) -> Division:
    """Clean a log and divide it by the start time of its sessions.

    With `ratio`, the cut is the start of the first session beyond the first floor((1 - test) * n) ones in
    order of start; with `days`, it is `test` days before the last event, or before `end`. Sessions that start at the
    cut or later are test sessions. The validation part is then taken from what remains, in the same way; its days may
    also be counted back from the cut. With `test: 0` there is no test part, and everything is training.

    With `window`, all this is done to the sessions that start in it, as if there were no others.

    Raises:
        DataError: a part ends up empty, or the log has only one session or one item.
        ValueError: the settings are those of a log with a column of parts.
    """
    if settings.by == "column":
        raise ValueError("by: column: this log has no column of parts; give by: ratio, days or time")
    with named(settings.window), progress.task("clean and split", total=2, unit="steps") as task:
        cleaned, given, steps, facts = _windowed(engine, events, settings)
        del events
        cleaning.apply_rules(cleaned, settings)
        _require_log(cleaned)
        task.advance()
        if not settings.has_test:
            whole = _whole_training(cleaned, settings)
            _keep_recent(cleaned, settings)
            _require_log(cleaned)
            division = _finish(_Draft("log", given, None, [*steps, cleaned], cleaned, whole), None, settings)
            return Division(division.parts, division.statistics | facts, whole)
        cut = _find_cut(cleaned, settings.test, settings.by, None if settings.end is None else moment_of(settings.end))
        before, test = _divide(cleaned, cut, settings, "test cut")
        whole = _whole_training(before, settings)
        _keep_recent(before, settings)
        _require_before(before, cut, "test", settings)
        draft = _Draft("log", given, cut, [*steps, cleaned, before], before, whole)
        division = _finish(draft, Tally("test", test, engine), settings)
        task.advance()
    return Division(division.parts, division.statistics | facts, whole)


def divide_given(
    engine: Engine, given_parts: dict[str, Table], settings: SplitSettings, progress: Progress = SILENT
) -> Division:
    """Clean events that are already divided into `train`, `test` and maybe `valid`.

    Training events go through all rules of cleaning; test events and those of `valid` through the rules about
    duplicates, repeats, overlong sessions, unseen items and, last, short sessions. Without `valid`, `by` and `valid` of
    the settings tell how a validation part is taken from training; `test` of the settings is not used.

    Raises:
        DataError: a part ends up empty, or training has one session or item.
    """
    with progress.task("clean", total=2, unit="steps") as task:
        tallies = {part: Tally(_GIVEN_STEPS[part], given_parts[part], engine) for part in [*given_parts]}
        given = {part: _summary(tally) for part, tally in tallies.items()}
        cleaned, valid, test = tallies["train"], tallies.get("valid"), tallies["test"]
        cleaning.apply_rules(cleaned, settings)
        whole = _whole_training(cleaned, settings)
        _keep_recent(cleaned, settings)
        _require_log(cleaned)
        task.advance()
        for later in (valid, test):
            if later is not None:
                cleaning.remove_repetitions(later, settings)
                cleaning.limit_lengths(later, settings)
        draft = _Draft("given", given, None, [cleaned], cleaned, whole, valid)
        division = _finish(draft, test, settings)
        task.advance()
    return division


@dataclass(frozen=True)
class _Draft:
    """A split whose validation part is still in the training part."""

    source: Literal["log", "given"]
    given: dict[str, Any]  # summaries of the input
    test_cut: int | None  # microseconds; None where the files were given split
    tallies: list[Tally]  # of the steps so far
    train: Tally
    whole: Table | None  # the training part before split.recent, where its items are all known
    valid: Tally | None = None  # the validation part, where it was given


def _whole_training(training: Tally, settings: SplitSettings) -> Table | None:
    """The training part before split.recent, if its items are all known."""
    return training.events if settings.recent and settings.recent.items == "all" else None


def _finish(draft: _Draft, test: Tally | None, settings: SplitSettings) -> Division:
    """Take the validation part off, settle unseen items and short sessions in the later parts, sum up."""
    train, tallies, valid_cut, engine = draft.train, draft.tallies, None, draft.train.engine
    shortest_given = SHORTEST_SESSION if draft.source == "log" else settings.min_session_length
    later: dict[str, tuple[Tally, int]] = {} if test is None else {"test": (test, shortest_given)}
    if draft.valid is not None:
        later = {"valid": (draft.valid, shortest_given), **later}
    elif settings.valid is not None:
        end = draft.test_cut if settings.valid_end == "cut" else None
        valid_cut = _find_cut(draft.train, settings.valid, settings.by, end)
        train, after = _divide(draft.train, valid_cut, settings, "validation cut")
        _require_before(train, valid_cut, "valid", settings)
        tallies = [*tallies, train]
        later = {"valid": (Tally("validation", after, engine), SHORTEST_SESSION), **later}
    unseen: dict[str, Any] = {"valid": None, "test": None}
    known = engine.compute((train.supports if draft.whole is None else draft.whole).select(ITEM).unique())
    parts = {"train": train}
    for part, (tally, shortest) in later.items():
        unseen[part] = _settle(tally, known, shortest, settings)
        chosen_here = draft.source == "log" or (part == "valid" and draft.valid is None)
        hint = _move_cut(part, settings, "earlier") if chosen_here else _APART[settings.by == "column"]
        require_events(tally, f"the {tally.step} part", hint)
        parts[part] = tally
        tallies = [*tallies, tally]
    statistics = {
        "source": draft.source,
        "settings": settings.model_dump(mode="json"),
        "input": draft.given,
        "cuts": {"valid": _cut_fact(valid_cut), "test": _cut_fact(draft.test_cut)},
        "steps": [tally.summary() for tally in tallies],
        "removals": [asdict(removal) for tally in tallies for removal in tally.removals],
        "unseen": unseen,
        "overlap": _overlap(train.events, parts["test"].events) if "test" in parts else None,
        "parts": {part: _summary(parts[part]) if part in parts else None for part in ("train", "valid", "test")},
    }
    return Division({part: tally.events for part, tally in parts.items()}, statistics, draft.whole)


def item_table(train: pl.DataFrame, whole: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return ITEM and SUPPORT (number of events) in order of first appearance.

    With `whole`, the items are those of this table, in its order; their support is still that in `train`, maybe 0.
    """
    rows = train.lazy().select(ITEM).with_row_index(_FIRST)
    items = rows.group_by(ITEM).agg(pl.len().cast(pl.Int64).alias(SUPPORT), pl.col(_FIRST).min())
    table = items.sort(_FIRST).select(ITEM, SUPPORT).collect(engine="streaming")
    if whole is None:
        return table
    every = item_table(whole).select(ITEM)
    return every.join(table, on=ITEM, how="left", maintain_order="left").with_columns(pl.col(SUPPORT).fill_null(0))


def _windowed(
    engine: Engine, events: Table, settings: SplitSettings
) -> tuple[Tally, dict[str, Any], list[Tally], dict[str, Any]]:
    """The sessions of the window; the summary of the input; the step that selected them, and its facts."""
    if settings.window is None:
        log = Tally("cleaning", events, engine)
        return log, {"log": _summary(log)}, [], {}
    log = Tally(STEP, events, engine)
    given = {"log": _summary(log)}
    window = take_window(log, settings.window)
    return Tally("cleaning", log.take(), engine), given, [log], {"window": window.as_facts()}


def _summary(tally: Tally) -> dict[str, Any]:
    """The summary of a tally's events, as by `summarise`."""
    return summary_of(tally.events, tally.lengths, tally.after.items)


def _divide(whole: Tally, cut: int, settings: SplitSettings, step: str) -> tuple[Tally, Table]:
    """What starts before the cut, straddling sessions dealt with; what starts at or after it.

    `whole` is let go.
    """
    engine = whole.engine
    spans = whole.events.group_by(SESSION).agg(nw.col(TIME).min().alias(_START), nw.col(TIME).max().alias(_END))
    first_of_later = _END if settings.straddle == "test" else _START
    later = spans.filter(nw.col(first_of_later) >= cut)
    if settings.on_cut == "drop":
        later = later.filter(nw.col(_START) != cut)
    later = engine.compute(later)
    on_cut = engine.compute(spans.filter(nw.col(_START) == cut)) if settings.on_cut == "drop" else None
    over = engine.compute(spans.filter(nw.col(_START) < cut, nw.col(_END) >= cut))
    del spans
    after = engine.compute(engine.within(whole.events, later, SESSION))
    earlier = engine.without(whole.events, later, SESSION)
    before = Tally(step, engine.chosen(whole.take(), earlier), engine)
    if on_cut is not None:
        before.apply(ON_CUT, lambda tally: without(tally, on_cut, SESSION))
    if settings.straddle == "drop":
        before.apply(STRADDLES, lambda tally: without(tally, over, SESSION))
    elif settings.straddle == "truncate":
        before.apply(AFTER_CUT, lambda tally: engine.choice(tally.events, nw.col(TIME) < cut))
        before.apply(SHORT, cleaning.long_enough(SHORTEST_SESSION))
    return before, after


def _keep_recent(training: Tally, settings: SplitSettings) -> None:
    """Leave the last sessions of the training part, if only those are wanted and there are any."""
    recent = settings.recent
    if recent is None or not training.after.events:
        return
    if recent.prefixes is not None:
        _keep_prefixes(training, Fraction(str(recent.prefixes)), settings)
        return
    by_share = recent.share is not None
    cut = _find_cut(training, str(recent.share if by_share else recent.days), "ratio" if by_share else "days")
    starts = training.events.group_by(SESSION).agg(nw.col(TIME).min())
    training.apply(OLD, lambda tally: without(tally, starts.filter(nw.col(TIME) < cut), SESSION))


def _keep_prefixes(training: Tally, share: Fraction, settings: SplitSettings) -> None:
    """Leave the last prefixes, a session's longest prefix first (SR-GNN's datasets/preprocess.py).

    The oldest session that is left keeps its shortest prefixes only, and so only its first events.
    """
    columns = [nw.col(TIME).min().alias(_START), nw.col(ROW).min().alias(_FIRST), nw.len().alias(EVENTS)]
    found = native(training.events.group_by(SESSION).agg(*columns))
    ordered = found.sort(_START, _FIRST if settings.equal_starts == "file" else SESSION, descending=True)
    prefixes = ordered[EVENTS].cast(pl.Int64) - 1
    wanted = math.floor(share * int(prefixes.sum()))
    place = int((prefixes.cum_sum() < wanted).sum())  # of the oldest session that is left
    length = 1 + wanted - int(prefixes[:place].sum())
    start, first, oldest = ordered.select(_START, _FIRST, SESSION).row(place)
    starts, key = (
        training.events.group_by(SESSION).agg(*columns),
        _FIRST if settings.equal_starts == "file" else SESSION,
    )
    at_start = (nw.col(_START) == start) & (nw.col(key) < (first if key == _FIRST else oldest))
    training.apply(OLD, lambda tally: without(tally, starts.filter((nw.col(_START) < start) | at_start), SESSION))
    counted = nw.col(ROW).cum_count().over(SESSION, order_by=[TIME, ROW])

    def first_events(tally: Tally) -> Choice | None:
        return without(tally, tally.events.filter(nw.col(SESSION) == oldest).filter(counted > length), ROW)

    training.apply(OLD_END, first_events)


def _find_cut(log: Tally, amount: float | str, by: DivisionRule, end: int | None = None) -> int:
    """The first moment, in microseconds, of the later part; days are counted back from `end`, or the last event."""
    if by == "time":
        return moment_of(amount)
    exact = Fraction(str(amount))
    if by == "days":
        last = native(log.events.select(nw.col(TIME).max())).item() if end is None else end
        return int(last) - round(exact * MICROSECONDS_PER_DAY)
    starts = native(log.events.group_by(SESSION).agg(nw.col(TIME).min()).select(TIME))[TIME].sort()
    return int(starts[math.floor((1 - exact) * len(starts))])


def _settle(tally: Tally, known: Table, shortest: int, settings: SplitSettings) -> dict[str, Any]:
    """Drop events and sessions that cannot be evaluated; return the counts of events on items that training lacks."""
    unseen = tally.engine.compute(tally.supports.join(known, on=ITEM, how="anti"))
    on_unseen = Tally("", tally.engine.within(tally.events, unseen, ITEM), tally.engine)
    if settings.unseen == "drop":
        tally.apply(UNSEEN, lambda tally: without(tally, unseen, ITEM))
    tally.apply(SHORT, cleaning.long_enough(shortest))
    facts = {**on_unseen.before._asdict(), "rule": settings.unseen}
    if settings.unseen == "keep":
        ranked = Tally(tally.step, tally.events, tally.engine)
        ranked.apply(UNSEEN, lambda tally: without(tally, unseen, ITEM))
        ranked.apply(SHORT, cleaning.long_enough(SHORTEST_SESSION))
        require_events(ranked, f"what models can be ranked by in the {tally.step} part", "move the cut")
        facts["ranked"] = ranked.after._asdict()
    return facts


def _overlap(train: Table, test: Table) -> dict[str, Any]:
    first = native(test.select(nw.col(TIME).min())).item()
    late = train.filter(nw.col(TIME) >= first)
    events, sessions = native(late.select(nw.len().alias("events"), nw.col(SESSION).n_unique().alias("sessions"))).row(
        0
    )
    return {"train_events_at_or_after_first_test_event": events, "of_sessions": int(sessions or 0)}


def _cut_fact(cut: int | None) -> dict[str, Any] | None:
    return None if cut is None else {"time": iso(cut), "microseconds": cut}


def _require_log(cleaned: Tally) -> None:
    require_events(cleaned, "the log", "")
    _require_variety(cleaned, "the log")


def _require_before(before: Tally, cut: int, key: str, settings: SplitSettings) -> None:
    what = f"the training part, before the cut at {iso(cut)},"
    require_events(before, what, _move_cut(key, settings, "later"))
    _require_variety(before, what)


def _require_variety(tally: Tally, what: str) -> None:
    for kind, before, after in (
        ("session", tally.before.sessions, tally.after.sessions),
        ("item", tally.before.items, tally.after.items),
    ):
        if after == 1:
            raise DataError(
                f"{what} is left with a single {kind} of {before}{main_removal(tally)}",
                f"at least two {kind}s are needed; does data.columns.{kind} name the right column?",
            )


def _move_cut(key: str, settings: SplitSettings, direction: Literal["earlier", "later"]) -> str:
    """Advice on how to have a cut earlier or later."""
    if settings.by == "time":
        return f"move split.{key} to an earlier time" if direction == "earlier" else f"move split.{key} to a later time"
    return f"raise split.{key}" if direction == "earlier" else f"lower split.{key}"


def given_logs(train: Table, test: Table) -> tuple[Table, Table]:
    """Return logs that are already divided, ids as text in both where one of them has ids that are not integers.

    Session ids that occur in both stay as they are, and are warned of: each part then has a session of this id.
    """
    types, others = train.collect_schema(), test.collect_schema()
    casts = [nw.col(name).cast(nw.String) for name in (SESSION, ITEM) if types[name] != others[name]]
    if casts:
        train, test = train.with_columns(*casts), test.with_columns(*casts)
    shared = native(test.select(SESSION).unique().join(train.select(SESSION).unique(), on=SESSION, how="semi"))
    _warn_of_shared(
        shared[SESSION],
        "occur in both data.train and data.test",
        "give the whole log as data.source and let split divide it, or leave these sessions out of one file",
    )
    return train, test


def _warn_of_shared(sessions: pl.Series, where: str, remedy: str) -> None:
    """Warn of session ids that given parts share, if there are any."""
    if sessions.is_empty():
        return
    examples = ", ".join(repr(session) for session in sessions.sort().head(_NAMED))
    warn(
        "session-in-train-and-test",
        f"{len(sessions):,} session ids {where}, such as {examples}; the parts are taken as they are, and each of "
        "these ids is a session of its own in each part",
        f"if they are the same sessions, training knows the beginning of what the test asks: {remedy}",
    )
