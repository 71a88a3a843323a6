"""What the session-based neighbourhood models share: the index, and how it is used. No kind of its own."""

from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import ClassVar, Generic, TypeVar

from pydantic import Field

from gru4rec_cli.base.settings import ModelSettings
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.scores import CandidateBlock, ItemOrder
from gru4rec_cli.models.base import ArrayModel, FitContext, FitReport
from gru4rec_cli.models.indexes.neighbours import Neighbourhood, NeighbourIndex, Voting, build_index


class NeighbourSettings(ModelSettings):
    """Who votes."""

    k: int = Field(100, ge=1, description="most similar training sessions that vote")
    sample_size: int = Field(
        1000, ge=1, description="most recent training sessions that share an item, among which they are looked for"
    )


AnyNeighbourSettings = TypeVar("AnyNeighbourSettings", bound=NeighbourSettings)


class NeighbourModel(ArrayModel[AnyNeighbourSettings], Generic[AnyNeighbourSettings]):
    """A model in which the training sessions that are most like the session so far vote for their items."""

    random: ClassVar[bool] = False
    sequential: ClassVar[bool] = False

    @abstractmethod
    def voting(self, index: NeighbourIndex) -> Voting:
        """How similar sessions are found, and what their votes count."""

    def fit(self, train: Sessions, context: FitContext = FitContext()) -> FitReport:
        index = build_index(train, self.settings.sample_size)
        self.arrays = {"levels": ItemOrder.by(train.supports()).levels, **vars(index)}
        return FitReport(facts={"sessions": len(index.ends), "indexed_clicks": len(index.item_sessions)})

    @cached_property
    def _neighbourhood(self) -> Neighbourhood:
        index = NeighbourIndex.of(self.arrays)
        return Neighbourhood(index, self.voting(index), self.order)

    def score(self, sessions: Sessions) -> Iterator[CandidateBlock]:
        yield from self._neighbourhood.blocks(sessions)
