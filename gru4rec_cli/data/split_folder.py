"""The folder that `split` writes, and the checks of it, made on the written files."""

import json
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import polars as pl

from gru4rec_cli.base.errors import CheckError, StageError
from gru4rec_cli.base.names import (
    ITEM,
    ITEMS_FILE,
    SESSION,
    STATISTICS_FILE,
    SUPPORT,
    TEST_FILE,
    TIME,
    TRAIN_FILE,
    VALID_FILE,
)
from gru4rec_cli.data.cleaning import summary_of
from gru4rec_cli.data.distributions import length_counts, support_curve
from gru4rec_cli.data.engine import lazy
from gru4rec_cli.data.events import parquet_files, read_event_table, write_event_table, write_table
from gru4rec_cli.data.removals import EVENTS
from gru4rec_cli.data.split_settings import SplitSettings
from gru4rec_cli.data.splitting import SHORTEST_SESSION, Split, item_table
from gru4rec_cli.data.users import PART, USER, USERS_FILE

PART_FILES = {"train": TRAIN_FILE, "valid": VALID_FILE, "test": TEST_FILE}
_START, _END = "start", "end"
_REDO = "run split again with --force; if this comes back it is a bug here"


def write_split(split: Split, folder: Path) -> None:
    """Write the parts, the item table and the statistics into a folder that exists; equal splits give equal bytes."""
    for part, frame in (("train", split.train), ("valid", split.valid), ("test", split.test)):
        if frame is not None and split.statistics["parts"][part] is not None:
            write_event_table(frame, folder / PART_FILES[part])
    write_table(split.items, folder / ITEMS_FILE)
    write_statistics(split.statistics, folder)


def write_statistics(statistics: dict[str, Any], folder: Path) -> None:
    """Write the statistics of a split beside its parts, with what a report shows of the distributions in these."""
    lengths = {
        part: length_counts(
            pl.scan_parquet(parquet_files(folder / file))
            .group_by(SESSION)
            .len("length")
            .collect(engine="streaming")["length"]
        )
        for part, file in PART_FILES.items()
        if statistics["parts"][part] is not None
    }
    supports = pl.read_parquet(folder / ITEMS_FILE)[SUPPORT].to_numpy()
    counted = {"session_lengths": lengths, "item_support": support_curve(supports)}
    text = json.dumps({**statistics, **counted}, indent=2, ensure_ascii=False)
    (folder / STATISTICS_FILE).write_text(text + "\n", encoding="utf-8")


def verify_split(folder: Path, settings: SplitSettings) -> list[str]:
    """Read a written split again and check that it is a correct split.

    Returns:
        The statements that hold, in words.

    Raises:
        CheckError: a statement does not hold.
        StageError: a file is missing or damaged.
    """
    statistics = _read_statistics(folder / STATISTICS_FILE)
    proof, parts = _Proof(folder), dict[str, _Part]()
    for part, file in PART_FILES.items():
        if statistics["parts"][part] is not None:
            parts[part] = _Part.of(proof, part, read_event_table(folder / file), settings)
    _prove_counts(proof, parts, statistics)
    _prove_lengths(proof, parts, statistics, settings)
    _prove_window(proof, parts, statistics)
    _prove_cuts(proof, parts, statistics, settings)
    _prove_leaks(proof, parts, statistics)
    _prove_items(proof, parts, settings)
    _prove_users(proof, parts)
    return proof.statements


class _Proof:
    """Statements that held so far; the first that does not ends the proof."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.statements: list[str] = []

    def show(self, statement: str, holds: bool) -> None:
        if not holds:
            raise CheckError(f"{self.folder}: this check failed: {statement}", _REDO)
        self.statements.append(statement)


@dataclass(frozen=True)
class _Part:
    """What the proof needs of a part: its sessions with EVENTS, _START and _END, its items, its summary."""

    sessions: pl.DataFrame
    items: pl.DataFrame
    summary: dict[str, Any]

    @classmethod
    def of(cls, proof: _Proof, part: str, events: pl.DataFrame, settings: SplitSettings) -> "_Part":
        """Prove the order of the events, on which all else rests, and sum them up."""
        runs = events.select(pl.col(SESSION).rle()).unnest(SESSION).rename({"len": EVENTS, "value": SESSION})
        ends = pl.col(EVENTS).cum_sum().cast(pl.Int64)
        places = runs.select((ends - pl.col(EVENTS)).alias(_START), (ends - 1).alias(_END))
        times = [events[TIME].gather(places[name]).alias(name) for name in (_START, _END)]
        earlier = events.select((pl.col(TIME) < pl.col(TIME).shift(1)).arg_true().cast(pl.Int64)).to_series()
        backwards = len(earlier) > earlier.is_in(places[_START].implode()).sum()
        sessions = runs.with_columns(times)
        proof.show(f"each session of {part} is in one piece", sessions[SESSION].n_unique() == sessions.height)
        proof.show(f"events of each {part} session are in order of time", not backwards)
        start, later = pl.col(_START), pl.col(_START).shift(-1)
        by_id = settings.equal_starts == "id"
        tie = pl.col(SESSION) < pl.col(SESSION).shift(-1) if by_id else pl.lit(value=True)
        in_order = bool(sessions.select(((start < later) | ((start == later) & tie)).all()).item())
        proof.show(f"sessions of {part} are in order of start{' and id' if by_id else ''}", in_order)
        items = item_table(events)
        return cls(sessions, items, summary_of(lazy(events), lazy(sessions), items.height))


def _prove_counts(proof: _Proof, parts: dict[str, _Part], statistics: dict[str, Any]) -> None:
    for name, reading in statistics.get("reading", {}).items():
        left_out = sum(removal["events"] for removal in reading["removals"])
        given = statistics["input"]
        read = given[name]["events"] if name in given else sum(part["events"] for part in given.values())
        holds = reading["rows"] - left_out == read
        proof.show(f"all rows read as {name} are in the input or counted as left out", holds)
    for name, part in parts.items():
        proof.show(f"{name} has the counts of the statistics", part.summary == statistics["parts"][name])
    for step in statistics["steps"]:
        removals = [r for r in statistics["removals"] if r["step"] == step["step"]]
        proof.show(
            f"the counts of step {step['step']!r} add up",
            all(step["before"][n] - sum(r[n] for r in removals) == step["after"][n] for n in step["before"]),
        )
    for count in ("events", "sessions"):
        given = sum(summary[count] for summary in statistics["input"].values())
        removed = sum(removal[count] for removal in statistics["removals"])
        in_parts = sum(summary[count] for summary in statistics["parts"].values() if summary)
        proof.show(f"all {count} of the input are in one part or counted as removed", given - removed == in_parts)
    for (one, left), (other, right) in combinations(parts.items(), 2):
        if statistics["source"] == "given" and (other == "test" or other in statistics["input"]):
            continue  # taken as it is, whatever its ids are
        shared = left.sessions.join(right.sessions, on=SESSION, how="semi")
        proof.show(f"no session is in both {one} and {other}", shared.is_empty())


def _prove_lengths(proof: _Proof, parts: dict[str, _Part], statistics: dict[str, Any], settings: SplitSettings) -> None:
    """Truncation, unseen items and a share of prefixes shorten sessions after the minimum length was applied."""
    whole = {"train": settings.straddle != "truncate" or all(cut is None for cut in statistics["cuts"].values())}
    whole["train"] &= settings.recent is None or settings.recent.prefixes is None
    whole |= {"valid": whole["train"] and settings.unseen != "drop", "test": statistics["source"] == "given"}
    whole["test"] |= settings.unseen != "drop"
    whole["valid"] |= "valid" in statistics["input"]  # it was given
    for name, part in parts.items():
        shortest = settings.min_session_length if whole[name] else SHORTEST_SESSION
        lengths = part.sessions[EVENTS]
        proof.show(f"every session of {name} has at least {shortest} events", bool((lengths >= shortest).all()))
        longest = settings.max_session_length
        if longest is not None:
            proof.show(f"no session of {name} has more than {longest} events", bool((lengths <= longest).all()))


def _prove_window(proof: _Proof, parts: dict[str, _Part], statistics: dict[str, Any]) -> None:
    """A session that starts in the window may last beyond its end, and may have lost its first events by cleaning."""
    window = statistics.get("window")
    if window is None:
        return
    for name, part in parts.items():
        begins = bool((part.sessions[_START] >= window["start_microseconds"]).all())
        proof.show(f"no {name} event is before the window's start at {window['start']}", begins)


def _prove_cuts(proof: _Proof, parts: dict[str, _Part], statistics: dict[str, Any], settings: SplitSettings) -> None:
    """Events of a session are in order of time, as was proven: what holds for its ends holds for all of them."""
    earlier = ["train"]
    for later in ("valid", "test"):
        cut = statistics["cuts"][later]
        if cut is not None:
            micros, time = cut["microseconds"], cut["time"]
            if settings.straddle == "test":
                if not _lost_unseen(statistics, later, settings):
                    ends = bool((parts[later].sessions[_END] >= micros).all())
                    proof.show(f"every {later} session ends at or after the cut at {time}", ends)
            else:
                starts = bool((parts[later].sessions[_START] >= micros).all())
                proof.show(f"no {later} event is before the cut at {time}", starts)
            begins = parts["train"].sessions[_START]
            proof.show(f"every train session starts before the cut at {time}", bool((begins < micros).all()))
            for part in earlier if settings.straddle != "train" else []:
                before = bool((parts[part].sessions[_END] < micros).all())
                proof.show(f"no {part} event is at or after the cut at {time}", before)
        if later in parts:
            earlier.append(later)


def _lost_unseen(statistics: dict[str, Any], part: str, settings: SplitSettings) -> bool:
    """Return true if events on unseen items were dropped: a session that straddles the cut may have lost its end."""
    return settings.unseen == "drop" and statistics["unseen"][part]["events"] > 0


def _prove_leaks(proof: _Proof, parts: dict[str, _Part], statistics: dict[str, Any]) -> None:
    """Files that were given split have no cut: what is proven is how far training reaches into the time of the test."""
    leaks = statistics.get("leaks")
    if leaks is None or not leaks["timed"]:
        return
    first = parts["test"].sessions[_START].min()
    known = pl.concat([part.sessions for name, part in parts.items() if name != "test"])
    late = known.filter(pl.col(_END) >= first)[SESSION].n_unique()
    statement = f"{leaks['late_sessions']} training sessions have events at or after the first test event"
    proof.show(statement, late == leaks["late_sessions"])


def _prove_items(proof: _Proof, parts: dict[str, _Part], settings: SplitSettings) -> None:
    written = _read_items(proof.folder / ITEMS_FILE)
    expected = parts["train"].items
    if settings.recent is not None and settings.recent.items == "all":
        same = written.filter(pl.col(SUPPORT) > 0).sort(ITEM).equals(expected.sort(ITEM))
        proof.show("the item table has the items of train with their support, and others without support", same)
    else:
        same = written.equals(expected)
        proof.show("the item table has the items of train with their support, in order of first appearance", same)
    if settings.unseen == "drop":
        for part in [part for part in parts if part != "train"]:
            unseen = parts[part].items.join(written, on=ITEM, how="anti")
            proof.show(f"train has every item of {part}", unseen.is_empty())


def _prove_users(proof: _Proof, parts: dict[str, _Part]) -> None:
    path = proof.folder / USERS_FILE
    if not path.exists():
        return  # the input names no users
    try:
        users = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise StageError(f"{path}: cannot be read ({str(error).partition(chr(10))[0]})", _REDO) from None
    named = [part.sessions.select(SESSION, pl.lit(name).alias(PART)) for name, part in parts.items()]
    same = users.columns == [SESSION, USER, PART] and users.select(SESSION, PART).equals(pl.concat(named))
    proof.show("the table of users has a row for each session of the parts, in their order", same)


def _read_items(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, columns=[ITEM, SUPPORT])
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise StageError(f"{path}: cannot be read ({str(error).partition(chr(10))[0]})", _REDO) from None


def _read_statistics(path: Path) -> dict[str, Any]:
    try:
        statistics: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StageError(f"{path}: cannot be read ({error})", _REDO) from None
    return statistics
