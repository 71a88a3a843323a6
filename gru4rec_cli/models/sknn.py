"""S-kNN: the items of the training sessions that are most like the session so far."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.indexes.neighbours import Neighbourhood, NeighbourIndex, Voting, build_index
from gru4rec_cli.models.base import FALLBACK, ArrayModel, FitReport, ModelSettings
from gru4rec_cli.progress import SILENT, Progress
from gru4rec_cli.scores import CandidateBlock, ItemOrder


class Settings(ModelSettings):
    """The neighbourhood."""

    k: int = Field(100, ge=1, description="most similar training sessions that vote")
    sample_size: int = Field(
        1000, ge=1, description="most recent training sessions that share an item, among which they are looked for"
    )


class Model(ArrayModel[Settings]):
    """score_j = Σ over the k nearest training sessions n that hold j of similarity(s, n).

    similarity(s, n) = |s ∩ n| / sqrt(|s| |n|), the cosine of the sets of items, among the `sample_size` most recent
    sessions that share an item with the session so far, s (Jannach & Ludewig, RecSys 2017; Ludewig & Jannach,
    UMUAI 2018). Sessions that are equally similar: the more recent.
    """

    description: ClassVar[str] = (
        f"Items of the most similar recent training sessions, by the cosine of the sets of items; {FALLBACK}."
    )
    random: ClassVar[bool] = False
    sequential: ClassVar[bool] = False

    def fit(
        self,
        train: Sessions,
        valid: Sessions | None = None,
        *,
        progress: Progress = SILENT,
        checkpoints: Path | None = None,
    ) -> FitReport:
        index = build_index(train, self.settings.sample_size)
        self.arrays = {"levels": ItemOrder.by(train.supports()).levels, **vars(index)}
        return FitReport(facts={"sessions": len(index.ends), "indexed_clicks": len(index.item_sessions)})

    def score(self, sessions: Sessions) -> Iterator[CandidateBlock]:
        yield from self._neighbourhood.blocks(sessions)

    @cached_property
    def _neighbourhood(self) -> Neighbourhood:
        voting = Voting(self.settings.k, self.settings.sample_size, cosine=True)
        return Neighbourhood(NeighbourIndex.of(self.arrays), voting, self.order)
