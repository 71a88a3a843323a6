"""A fitted model with the ids of its items: what a model's folder holds, and what a program recommends with."""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from pathlib import Path

import numpy as np
import polars as pl

from gru4rec_cli.base.arrays import AnyArray, Float32Array, Int64Array
from gru4rec_cli.base.errors import StageError
from gru4rec_cli.base.names import ITEM, ITEMS_FILE
from gru4rec_cli.base.settings import ModelSettings
from gru4rec_cli.data.sessions import UNSEEN, Sessions
from gru4rec_cli.evaluation.recommending import Choice
from gru4rec_cli.evaluation.scores import Block
from gru4rec_cli.models.base import Recommender, recommend_by_score

_AGAIN = "fit the model again, or import it again"
_NAMED = 3  # unknown ids that an error names


@dataclass(frozen=True)
class FittedModel:
    """A fitted model and its vocabulary. `model` works on item indices; everything here takes and gives item ids."""

    kind: str
    settings: ModelSettings
    seed: int
    model: Recommender
    ids: AnyArray  # (V,) int64, or str objects: the item ids by index

    def recommend(
        self,
        history: Iterable[Hashable],
        k: int = 20,
        *,
        exclude_seen: bool = False,
        candidates: Iterable[Hashable] | None = None,
        exclude: Iterable[Hashable] = (),
    ) -> tuple[AnyArray, Float32Array]:
        """Return the ids of the `k` best items after clicks on `history`, best first, and their scores, (k,) each.

        `history` are item ids in the order of the clicks, of the type that the training data had: whole numbers or
        text. Clicks on items that the training data did not hold are passed over, as in `evaluate`. If there are fewer
        than `k` items, all of them are returned.

        Items of the history are not left out, as in `evaluate`, unless `exclude_seen` is true. With `candidates`, only
        these items may be recommended; those of `exclude` may not. Ids that the model does not know are passed over.

        Raises:
            ValueError: the history is empty, none of its items is known, or `k` is not a whole number from 1 on.
        """
        if isinstance(history, str | bytes):
            raise ValueError(f"the history is the text {history!r}; give a list of item ids")
        clicks = list(history)
        indices = [self.index(click) for click in clicks]
        if clicks and all(index == UNSEEN for index in indices):
            raise ValueError(self._nothing_known(clicks))
        choice = self.choice(candidates, exclude, exclude_seen=exclude_seen)
        if choice.allowed is None and choice.seen:
            items, scores = self.model.recommend(indices, k)
        else:
            items, scores = recommend_by_score(self.model, indices, k, len(self.ids), choice)
        return self.ids[items], scores

    def choice(
        self, candidates: Iterable[Hashable] | None = None, exclude: Iterable[Hashable] = (), *, exclude_seen: bool
    ) -> Choice:
        """Return which items may be recommended: the known ones of `candidates`, or all for None, but those of
        `exclude`."""
        excluded = self.indices(exclude)
        if candidates is None and not len(excluded):
            return Choice(seen=not exclude_seen)
        allowed = np.full(len(self.ids), candidates is None)
        if candidates is not None:
            allowed[self.indices(candidates)] = True
        allowed[excluded] = False
        return Choice(allowed, seen=not exclude_seen)

    def indices(self, items: Iterable[Hashable]) -> Int64Array:
        """Return the indices of those of some item ids that the training data held."""
        found: Int64Array = np.array([self.index(item) for item in items], dtype=np.int64)
        known: Int64Array = found[found != UNSEEN]
        return known

    def index(self, item: Hashable) -> int:
        """Return the index of an item id, or UNSEEN if the training data did not hold it."""
        is_id = isinstance(item, str | Integral) and not isinstance(item, bool)  # as keys, True and 1.0 are 1
        return self._indices.get(item, UNSEEN) if is_id else UNSEEN

    def score(self, sessions: Sessions) -> Iterator[Block]:
        """Return the scores of every event of `sessions`; see `Recommender`.

        Raises:
            StageError: the sessions number other items, or the same ones otherwise.
        """
        if not np.array_equal(sessions.vocabulary.ids, self.ids):
            raise StageError(
                f"the model {self.kind} was fitted on another item table ({len(self.ids)} items) than that of these "
                f"sessions ({sessions.n_items} items), so its item indices mean other items",
                "fit it again: `run` does so if the split is newer",
            )
        return self.model.score(sessions)

    @cached_property
    def id_list(self) -> list[int | str]:
        """The item ids by index, as Python's own numbers or texts."""
        ids: list[int | str] = self.ids.tolist()
        return ids

    @cached_property
    def _indices(self) -> dict[Hashable, int]:
        return {item: index for index, item in enumerate(self.id_list)}

    def _nothing_known(self, clicks: list[Hashable]) -> str:
        shown = ", ".join(repr(click) for click in clicks[:_NAMED]) + (", …" if len(clicks) > _NAMED else "")
        known = self.ids[:1].tolist()
        return (
            f"the model knows no item of the history ({shown}); at least one must be among the {len(self.ids)} items "
            f"of the training data, whose ids are like {known[0]!r}"
        )


def write_ids(folder: Path, ids: AnyArray) -> None:
    """Write the item ids, in index order, into a model's folder."""
    pl.DataFrame({ITEM: pl.Series(ids.tolist())}).write_parquet(folder / ITEMS_FILE)


def read_ids(folder: Path) -> AnyArray:
    """Return the item ids in a model's folder, (V,).

    Raises:
        StageError: it holds none, or they cannot be read.
    """
    path = folder / ITEMS_FILE
    if not path.is_file():
        raise StageError(f"{folder} holds no {ITEMS_FILE}, the ids of the model's items", _AGAIN)
    return read_id_table(path)


def read_id_table(path: Path) -> AnyArray:
    """Return the item ids of an item table in index order, (V,): int64, or str objects.

    Raises:
        StageError: it cannot be read, or holds something else.
    """
    try:
        column = pl.read_parquet(path, columns=[ITEM])[ITEM]
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise StageError(f"{path} is damaged: {reason}", _AGAIN) from error
    if column.dtype not in (pl.Int64, pl.String) or column.has_nulls() or not column.is_unique().all():
        raise StageError(f"{path} is damaged: its column {ITEM} does not hold one id for each item", _AGAIN)
    ids: AnyArray = column.to_numpy()
    return ids
