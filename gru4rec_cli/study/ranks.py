"""The ranks and lists of every fit, made once: taken over while model, data and code are the same."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from gru4rec_cli.base import names as names
from gru4rec_cli.base.errors import CheckError
from gru4rec_cli.base.files import read_json, write_json
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.ranking import ScoreError, TargetRanks, rank_targets
from gru4rec_cli.evaluation.scores import Block
from gru4rec_cli.study.stage import StageWork

_KEYS = "rank_keys.json"  # what each fit's ranks were made from


class Ranker:
    """Ranks the test events by one fit after the other, writing ranks and lists into the stage."""

    def __init__(self, work: StageWork, test: Sessions) -> None:
        self._work, self._test = work, test
        self._longest = min(test.n_items, max(work.config.evaluate.cutoffs))
        self._keys: dict[str, str] = {}
        self._previous = _names_by_key(work.previous)
        for folder in (names.RANKS_FOLDER, names.LISTS_FOLDER):
            (work.folder / folder).mkdir()

    def rank(self, fit: str, key: str, score: Callable[[], Iterator[Block]]) -> TargetRanks:
        """Return the ranks and lists of a fit.

        `key` says what they follow from. `score` is called unless the stage, as it last was, holds them with lists
        that are long enough. Raises `CheckError` where the scores are wrong.
        """
        self._keys[fit] = key
        found = self._taken_over(fit, key)
        if found is None:
            try:
                found = rank_targets(
                    score(),
                    self._test,
                    longest=self._longest,
                    progress=self._work.progress,
                    description=f"ranking by {fit}",
                )
            except ScoreError as error:
                raise CheckError(f"{fit}: {error}") from error
            _rank_table(found, self._test).write_parquet(self._path(names.RANKS_FOLDER, fit), compression="zstd")
        self._write_lists(fit, found.lists)
        return found

    def write_keys(self) -> None:
        """Write down what every fit's ranks were made from, for the next time."""
        write_json(self._work.folder / _KEYS, self._keys)

    def _taken_over(self, fit: str, key: str) -> TargetRanks | None:
        previous, name = self._work.previous, self._previous.get(key)
        if previous is None or name is None:
            return None
        ranks, lists = (previous / folder / f"{name}.parquet" for folder in (names.RANKS_FOLDER, names.LISTS_FOLDER))
        items = pl.read_parquet(lists)[names.ITEMS].to_numpy()
        if items.shape[1] < self._longest:
            return None
        shutil.copy(ranks, self._path(names.RANKS_FOLDER, fit))
        table = pl.read_parquet(ranks)
        return TargetRanks(
            greater=table[names.GREATER].to_numpy(),
            equal=table[names.EQUAL].to_numpy(),
            greater_support=table[names.GREATER_SUPPORT].to_numpy(),
            equal_support=table[names.EQUAL_SUPPORT].to_numpy(),
            lists=items[:, : self._longest],
        )

    def _write_lists(self, fit: str, lists: npt.NDArray[np.int32]) -> None:
        items = pl.Series(names.ITEMS, lists, dtype=pl.Array(pl.Int32, lists.shape[1]))
        items.to_frame().write_parquet(self._path(names.LISTS_FOLDER, fit), compression="zstd")

    def _path(self, folder: str, fit: str) -> Path:
        return self._work.folder / folder / f"{fit}.parquet"


def _names_by_key(previous: Path | None) -> dict[str, str]:
    """Return the fits that a finished stage holds, by what their ranks were made from."""
    path = previous / _KEYS if previous else None
    keys: dict[str, str] = read_json(path) if path and path.exists() else {}
    return {key: name for name, key in keys.items()}


def _rank_table(found: TargetRanks, test: Sessions) -> pl.DataFrame:
    targets = pl.Series(test.target_items()).to_frame("index")
    ids = pl.DataFrame({names.ITEM: test.vocabulary.ids}).with_row_index("index").cast({"index": pl.Int32})
    return pl.DataFrame(
        {
            names.SESSION: test.session_ids[test.event_sessions()],
            names.POSITION: test.event_positions(),
            names.ITEM: targets.join(ids, on="index", how="left", maintain_order="left")[names.ITEM],
            names.GREATER: found.greater,
            names.EQUAL: found.equal,
            names.GREATER_SUPPORT: found.greater_support,
            names.EQUAL_SUPPORT: found.equal_support,
        }
    )
