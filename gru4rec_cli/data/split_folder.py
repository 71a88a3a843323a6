"""The folder that `split` leaves behind: written, and proven afterwards from what the files say."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import polars as pl

from gru4rec_cli.columns import (
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
from gru4rec_cli.data.cleaning import summarise
from gru4rec_cli.data.events import read_event_table, write_event_table, write_table
from gru4rec_cli.data.splitting import SHORTEST_SESSION, Split, SplitSettings, item_table
from gru4rec_cli.errors import CheckError, StageError

_FILES = {"train": TRAIN_FILE, "valid": VALID_FILE, "test": TEST_FILE}
_REDO = "run split again with --force; if this comes back it is a bug here"


def write_split(split: Split, folder: Path) -> None:
    """Write the parts, the item table and the statistics into a folder that exists; equal splits give equal bytes."""
    for part, frame in (("train", split.train), ("valid", split.valid), ("test", split.test)):
        if frame is not None:
            write_event_table(frame, folder / _FILES[part])
    write_table(split.items, folder / ITEMS_FILE)
    text = json.dumps(split.statistics, indent=2, ensure_ascii=False)
    (folder / STATISTICS_FILE).write_text(text + "\n", encoding="utf-8")


def verify_split(folder: Path, settings: SplitSettings) -> list[str]:
    """Read a written split again and prove what it promises.

    Returns:
        The statements that were proven, in words.

    Raises:
        CheckError: a statement does not hold.
        StageError: a file is missing or damaged.
    """
    statistics = _read_statistics(folder / STATISTICS_FILE)
    parts = {p: read_event_table(folder / f) for p, f in _FILES.items() if statistics["parts"][p] is not None}
    proof = _Proof(folder)
    _prove_counts(proof, parts, statistics)
    _prove_order(proof, parts)
    _prove_lengths(proof, parts, statistics, settings)
    _prove_window(proof, parts, statistics)
    _prove_cuts(proof, parts, statistics, settings)
    _prove_items(proof, parts, settings)
    return proof.statements


class _Proof:
    """Statements that held so far; the first that does not ends the proof."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.statements: list[str] = []

    def show(self, statement: str, holds: bool) -> None:
        if not holds:
            raise CheckError(f"{self.folder}: it does not hold that {statement}", _REDO)
        self.statements.append(statement)


def _prove_counts(proof: _Proof, parts: dict[str, pl.DataFrame], statistics: dict[str, Any]) -> None:
    for name, reading in statistics.get("reading", {}).items():
        gone = sum(removal["events"] for removal in reading["removals"])
        holds = reading["rows"] - gone == statistics["input"][name]["events"]
        proof.show(f"all rows read as {name} are in the input or counted as left out", holds)
    for part, events in parts.items():
        proof.show(f"{part} holds what the statistics say", summarise(events) == statistics["parts"][part])
    for step in statistics["steps"]:
        removals = [r for r in statistics["removals"] if r["step"] == step["step"]]
        proof.show(
            f"the counts of step {step['step']!r} add up",
            all(step["before"][n] - sum(r[n] for r in removals) == step["after"][n] for n in step["before"]),
        )
    for count in ("events", "sessions"):
        given = sum(summary[count] for summary in statistics["input"].values())
        removed = sum(removal[count] for removal in statistics["removals"])
        kept = sum(summary[count] for summary in statistics["parts"].values() if summary)
        proof.show(f"all {count} of the input are in one part or counted as removed", given - removed == kept)
    for (one, left), (other, right) in combinations(parts.items(), 2):
        shared = left.select(SESSION).unique().join(right.select(SESSION).unique(), on=SESSION, how="semi")
        proof.show(f"no session is in both {one} and {other}", shared.is_empty())


def _prove_order(proof: _Proof, parts: dict[str, pl.DataFrame]) -> None:
    for part, events in parts.items():
        begins = (pl.col(SESSION) != pl.col(SESSION).shift(1)).fill_null(True)
        rows = events.with_columns(begins=begins, earlier=pl.col(TIME).shift(1))
        starts = rows.filter("begins").select(SESSION, TIME)
        proof.show(f"each session of {part} is in one piece", starts[SESSION].n_unique() == starts.height)
        backwards = rows.filter(~pl.col("begins") & (pl.col(TIME) < pl.col("earlier")))
        proof.show(f"events of each {part} session are in order of time", backwards.is_empty())
        proof.show(f"sessions of {part} are in order of start and id", starts.equals(starts.sort(TIME, SESSION)))


def _prove_lengths(
    proof: _Proof, parts: dict[str, pl.DataFrame], statistics: dict[str, Any], settings: SplitSettings
) -> None:
    """Truncation and unseen items shorten sessions after the minimum length was applied."""
    whole = {"train": settings.straddle != "truncate" or all(cut is None for cut in statistics["cuts"].values())}
    whole |= {"valid": whole["train"] and settings.unseen == "miss", "test": statistics["source"] == "given"}
    whole["test"] |= settings.unseen == "miss"
    for part, events in parts.items():
        shortest = settings.min_session_length if whole[part] else SHORTEST_SESSION
        lengths = events.group_by(SESSION).len()["len"]
        proof.show(f"every session of {part} has at least {shortest} events", bool((lengths >= shortest).all()))
        longest = settings.max_session_length
        if longest is not None:
            proof.show(f"no session of {part} has more than {longest} events", bool((lengths <= longest).all()))


def _prove_window(proof: _Proof, parts: dict[str, pl.DataFrame], statistics: dict[str, Any]) -> None:
    """A session that starts in the window may last beyond its end, and may have lost its first events by cleaning."""
    window = statistics.get("window")
    if window is None:
        return
    for part, events in parts.items():
        begins = bool((events[TIME] >= window["start_microseconds"]).all())
        proof.show(f"no {part} event is before the window's start at {window['start']}", begins)


def _prove_cuts(
    proof: _Proof, parts: dict[str, pl.DataFrame], statistics: dict[str, Any], settings: SplitSettings
) -> None:
    earlier = ["train"]
    for later in ("valid", "test"):
        cut = statistics["cuts"][later]
        if cut is not None:
            micros, time = cut["microseconds"], cut["time"]
            if settings.straddle == "test":
                ends = parts[later].group_by(SESSION).agg(pl.col(TIME).max())[TIME]
                proof.show(f"every {later} session ends at or after the cut at {time}", bool((ends >= micros).all()))
            else:
                starts = bool((parts[later][TIME] >= micros).all())
                proof.show(f"no {later} event is before the cut at {time}", starts)
            begins = parts["train"].group_by(SESSION).agg(pl.col(TIME).min())[TIME]
            proof.show(f"every train session starts before the cut at {time}", bool((begins < micros).all()))
            for part in earlier if settings.straddle != "train" else []:
                before = bool((parts[part][TIME] < micros).all())
                proof.show(f"no {part} event is at or after the cut at {time}", before)
        if later in parts:
            earlier.append(later)


def _prove_items(proof: _Proof, parts: dict[str, pl.DataFrame], settings: SplitSettings) -> None:
    written = _read_items(proof.folder / ITEMS_FILE)
    proof.show(
        "the item table holds the items of train with their support, in order of first appearance",
        written.equals(item_table(parts["train"])),
    )
    if settings.unseen == "drop":
        for part in [part for part in parts if part != "train"]:
            strange = parts[part].join(written, on=ITEM, how="anti")
            proof.show(f"train has every item of {part}", strange.is_empty())


def _read_items(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, columns=[ITEM, SUPPORT])
    except (pl.exceptions.PolarsError, OSError) as error:
        raise StageError(f"{path}: cannot be read ({str(error).partition(chr(10))[0]})", _REDO) from None


def _read_statistics(path: Path) -> dict[str, Any]:
    try:
        statistics: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StageError(f"{path}: cannot be read ({error})", _REDO) from None
    return statistics
