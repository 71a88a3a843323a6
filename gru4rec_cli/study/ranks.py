"""The ranks and lists of every fit, made once: taken over while model, data and code are the same."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from gru4rec_cli.base import names as names
from gru4rec_cli.base.arrays import Int64Array
from gru4rec_cli.base.errors import CheckError
from gru4rec_cli.base.files import MANIFEST, hash_file, hash_table, read_json, write_json
from gru4rec_cli.base.machine import device
from gru4rec_cli.base.measuring import measured
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.data.users import users_of_part
from gru4rec_cli.evaluation.ranking import ScoreError, TargetRanks, rank_targets
from gru4rec_cli.evaluation.scores import Block
from gru4rec_cli.study.costs import ranking_costs
from gru4rec_cli.study.ledger import record_use
from gru4rec_cli.study.stage import StageWork

_KEYS = "rank_keys.json"  # what each fit's ranks were made from


class Ranker:
    """Ranks the test events by one fit after the other, writing ranks and lists into the stage."""

    def __init__(self, work: StageWork, test: Sessions) -> None:
        self._work, self._test = work, test
        self._events = _event_columns(test, users_of_part(work.inputs["split"], "test", test.session_ids))
        self._longest = min(test.n_items, max(work.config.evaluate.cutoffs))
        self._keys: dict[str, str] = {}
        self._costs: dict[str, Any] = {}
        self._hashes = _hashes(work.previous)
        self._previous = _names_by_key(work.previous) if self._is_whole(_KEYS) else {}
        self._previous_costs = ranking_costs(work.previous) if work.previous else {}
        self._is_recorded = False
        for folder in (names.RANKS_FOLDER, names.LISTS_FOLDER, names.COSTS):
            (work.folder / folder).mkdir()

    def rank(self, fit: str, key: str, score: Callable[[], Iterator[Block]]) -> TargetRanks:
        """Return the ranks and lists of a fit.

        `key` says what they follow from. `score` is called unless the stage, as it last was, holds them whole and with
        lists that are long enough. Raises `CheckError` where the scores are wrong.
        """
        self._keys[fit] = key
        found = self._taken_over(fit, key)
        if found is None:
            self.record_use()
            try:
                with measured() as cost:
                    found = rank_targets(
                        score(),
                        self._test,
                        longest=self._longest,
                        progress=self._work.progress,
                        description=f"ranking by {fit}",
                    )
            except ScoreError as error:
                raise CheckError(f"{fit}: {error}") from error
            self._costs[fit] = {"events": self._test.n_targets, "cost": cost.as_dict(), "device": device()}
            supports = {names.GREATER_SUPPORT: found.greater_support, names.EQUAL_SUPPORT: found.equal_support}
            self.write_ranks(fit, {names.GREATER: found.greater, names.EQUAL: found.equal, **supports})
        self._write_lists(fit, found.lists)
        return found

    def record_use(self) -> None:
        """Write into the ledger of the run, once, that the test is ranked; before it is, so that no kill hides it."""
        if not self._is_recorded:
            test = hash_table(self._work.inputs["split"] / names.TEST_FILE)
            record_use(self._work.folder.parent, test, self._work.config)
            self._is_recorded = True

    def write_ranks(self, fit: str, counts: Mapping[str, Int64Array]) -> None:
        """Write the counts from which the rank of every event follows, each (n_targets,), by column."""
        table = _rank_table(counts, self._test, self._events)
        table.write_parquet(self._path(names.RANKS_FOLDER, fit), compression="zstd")

    def write_keys(self) -> None:
        """Write down what every fit's ranks were made from, for the next time, and what ranking took."""
        write_json(self._work.folder / _KEYS, self._keys)
        write_json(self._work.folder / names.COSTS / names.RANKING_FILE, self._costs)

    def _taken_over(self, fit: str, key: str) -> TargetRanks | None:
        previous, name = self._work.previous, self._previous.get(key)
        if previous is None or name is None:
            return None
        files = [f"{folder}/{name}.parquet" for folder in (names.RANKS_FOLDER, names.LISTS_FOLDER)]
        if not all(self._is_whole(file) for file in files):
            return None
        ranks, lists = (previous / file for file in files)
        listed = pl.read_parquet(lists)
        if listed.columns != [*(column.name for column in self._events), names.ITEMS]:
            return None  # written by an earlier version
        items = self._indices(listed[names.ITEMS])
        if items.shape[1] < self._longest:
            return None
        shutil.copy(ranks, self._path(names.RANKS_FOLDER, fit))
        if name in self._previous_costs:
            self._costs[fit] = self._previous_costs[name]
        table = pl.read_parquet(ranks)
        return TargetRanks(
            greater=table[names.GREATER].to_numpy(),
            equal=table[names.EQUAL].to_numpy(),
            greater_support=table[names.GREATER_SUPPORT].to_numpy(),
            equal_support=table[names.EQUAL_SUPPORT].to_numpy(),
            lists=items[:, : self._longest],
        )

    def _is_whole(self, file: str) -> bool:
        """Return whether a file of the stage, as it last was, has the bytes that its manifest says."""
        path = self._work.previous / file if self._work.previous else None
        return path is not None and path.is_file() and hash_file(path) == self._hashes.get(file)

    def _write_lists(self, fit: str, lists: npt.NDArray[np.int32]) -> None:
        """Write the items of every list by their ids, with the event that each list is for."""
        ids = pl.Series(self._test.vocabulary.ids).gather(lists.ravel())
        items = ids.reshape(lists.shape).alias(names.ITEMS)
        table = pl.DataFrame([*self._events, items])
        table.write_parquet(self._path(names.LISTS_FOLDER, fit), compression="zstd")

    def _indices(self, items: pl.Series) -> npt.NDArray[np.int32]:
        """Return lists of item ids as indices into the vocabulary."""
        width = items.dtype.shape[0] if isinstance(items.dtype, pl.Array) else 0
        places = {names.ITEM: self._test.vocabulary.ids, "index": np.arange(self._test.n_items, dtype=np.int32)}
        flat = items.explode().to_frame(names.ITEM)
        found = flat.join(pl.DataFrame(places), on=names.ITEM, how="left", maintain_order="left")["index"]
        return found.to_numpy().reshape(-1, width)

    def _path(self, folder: str, fit: str) -> Path:
        return self._work.folder / folder / f"{fit}.parquet"


def _hashes(previous: Path | None) -> dict[str, str]:
    """Return the hashes in a stage's manifest; without a manifest none, so that nothing is taken over."""
    path = previous / MANIFEST if previous else None
    manifest: dict[str, Any] = read_json(path) if path and path.is_file() else {}
    hashes: dict[str, str] = manifest.get("outputs", {})
    return hashes


def _names_by_key(previous: Path | None) -> dict[str, str]:
    """Return the fits that a finished stage holds, by what their ranks were made from."""
    path = previous / _KEYS if previous else None
    keys: dict[str, str] = read_json(path) if path and path.exists() else {}
    return {key: name for name, key in keys.items()}


def _rank_table(counts: Mapping[str, Int64Array], test: Sessions, events: list[pl.Series]) -> pl.DataFrame:
    targets = pl.Series(test.target_items()).to_frame("index")
    ids = pl.DataFrame({names.ITEM: test.vocabulary.ids}).with_row_index("index").cast({"index": pl.Int32})
    item = targets.join(ids, on="index", how="left", maintain_order="left")[names.ITEM]
    return pl.DataFrame([*events, item, *(pl.Series(name, values) for name, values in counts.items())])


def _event_columns(test: Sessions, users: pl.Series | None) -> list[pl.Series]:
    """Return the columns that name each event: its session's id, its user's if known, and its position there."""
    sessions = test.event_sessions()
    session, position = pl.Series(names.SESSION, test.session_ids[sessions]), test.event_positions()
    known = [] if users is None else [users.gather(sessions)]
    return [session, *known, pl.Series(names.POSITION, position)]
