"""What the neighbourhood models share: their settings, and a model in which similar training sessions vote."""

from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import ClassVar, Generic, TypeVar

import numpy as np
from pydantic import Field

from gru4rec_cli.base.settings import ModelSettings
from gru4rec_cli.base.threads import in_threads
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.scores import CandidateBlock, ItemOrder
from gru4rec_cli.models.base import ArrayModel, FitContext, FitReport, check_training, check_vocabulary
from gru4rec_cli.models.indexes.histories import Histories
from gru4rec_cli.models.indexes.neighbours import NeighbourIndex, Voting, Workspace

_EVENTS_AT_ONCE = 1024  # that a thread takes at a time


class NeighbourSettings(ModelSettings):
    """Who votes."""

    k: int = Field(100, ge=1, description="number of most similar training sessions that vote")
    sample_size: int = Field(
        1000,
        ge=1,
        description="number of most recent training sessions with a shared item that are compared",
    )


AnyNeighbourSettings = TypeVar("AnyNeighbourSettings", bound=NeighbourSettings)


class NeighbourModel(ArrayModel[AnyNeighbourSettings], Generic[AnyNeighbourSettings]):
    """A model in which the training sessions that are most similar to the session so far vote for their items."""

    random: ClassVar[bool] = False
    sequential: ClassVar[bool] = False

    @abstractmethod
    def voting(self, index: NeighbourIndex) -> Voting:
        """Return how neighbours are chosen, and what their votes weigh."""

    def fit(self, train: Sessions, context: FitContext = FitContext()) -> FitReport:
        check_training(train)
        index = build_index(train, min(self.settings.sample_size, train.n_sessions))
        self.arrays = {"levels": ItemOrder.by(train.supports()).levels, **index._asdict()}
        return FitReport(facts={"sessions": len(index.end_times), "indexed_clicks": len(index.item_sessions)})

    def score(self, sessions: Sessions) -> Iterator[CandidateBlock]:
        check_vocabulary(sessions, len(self.order))
        yield from in_threads(self._score, Histories.of(sessions).blocks(_EVENTS_AT_ONCE))

    def _score(self, block: tuple[int, Histories]) -> CandidateBlock:
        from gru4rec_cli.models.indexes.neighbour_loops import score_by_neighbours

        start, histories = block
        index, voting = self._index_and_voting
        workspace = self._workspaces.pop() if self._workspaces else Workspace.new(len(index.end_times), len(self.order))
        lists = score_by_neighbours(histories, index, voting, workspace)
        self._workspaces.append(workspace)
        return CandidateBlock.of(start, lists, self.order)

    @cached_property
    def _index_and_voting(self) -> tuple[NeighbourIndex, Voting]:
        index = NeighbourIndex.of(self.arrays)
        voting, n_sessions = self.voting(index), len(index.end_times)
        return index, voting._replace(k=min(voting.k, n_sessions), sample_size=min(voting.sample_size, n_sessions))

    @cached_property
    def _workspaces(self) -> list[Workspace]:
        """Those that no thread uses now."""
        return []


def build_index(train: Sessions, sample_size: int) -> NeighbourIndex:
    """Return the index over `train`, with at most `sample_size` sessions an item. Time and memory grow with the
    events."""
    from gru4rec_cli.models.indexes.history_loops import is_latest
    from gru4rec_cli.models.indexes.neighbour_loops import recent_sessions

    order = np.argsort(train.times[train.offsets[1:] - 1], kind="stable")
    by_time = train.select(order)
    rows = np.flatnonzero(is_latest(by_time.items, by_time.offsets, by_time.n_items))
    offsets = np.searchsorted(rows, by_time.offsets)
    sessions = np.repeat(np.arange(by_time.n_sessions), np.diff(offsets))
    positions = (rows - by_time.offsets[sessions]).astype(np.int32)
    items = by_time.items[rows]
    by_item = recent_sessions(items, sessions, np.bincount(items, minlength=train.n_items), sample_size)
    return NeighbourIndex(offsets, items, positions, by_time.times[by_time.offsets[1:] - 1], *by_item)
