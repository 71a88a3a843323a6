"""V-SkNN: session neighbours, with late clicks of the session counting more."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.indexes.neighbours import Neighbourhood, NeighbourIndex, Voting, build_index, inverse_frequency
from gru4rec_cli.indexes.weights import Weighting, weights_by_age, weights_by_step
from gru4rec_cli.models.base import FALLBACK, ArrayModel, FitReport, ModelSettings
from gru4rec_cli.progress import SILENT, Progress
from gru4rec_cli.scores import CandidateBlock, ItemOrder


class Settings(ModelSettings):
    """The neighbourhood, and what the age of a click costs."""

    k: int = Field(100, ge=1, description="most similar training sessions that vote")
    sample_size: int = Field(
        1000, ge=1, description="most recent training sessions that share an item, among which they are looked for"
    )
    weighting: Weighting = Field(
        "div", description="weight of the session's clicks in the similarity, by age; div: position / length"
    )
    weighting_score: Weighting = Field(
        "div", description="weight of a neighbour's vote by the steps to the last click that it shares; div: 1 / steps"
    )
    idf_weighting: float = Field(
        0.0, ge=0, description="λ: votes are multiplied by 1 + λ log(sessions / sessions with the item)"
    )


class Model(ArrayModel[Settings]):
    """score_j = Σ over the k nearest training sessions n that hold j of similarity(s, n) · v(n) · (1 + λ idf_j).

    similarity(s, n) = Σ_{i ∈ s ∩ n} w_i, the product of the session's weights with the set n: w is 1 for the last click
    and falls towards the first (`weighting`); v(n) falls with the steps from the last click back to the latest one that
    n holds (`weighting_score`). V-SKNN of Ludewig & Jannach (UMUAI 2018), with the votes and idf of Ludewig et al.
    (UMUAI 2021, *Empirical analysis of session-based recommendation algorithms*). Equally similar: the more recent.
    """

    description: ClassVar[str] = (
        "Items of the most similar recent training sessions; late clicks of the session count more; " + FALLBACK + "."
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
        index = NeighbourIndex.of(self.arrays)
        decay, power = weights_by_age(self.settings.weighting)
        voting = Voting(
            self.settings.k,
            self.settings.sample_size,
            decay=decay,
            power=power,
            vote=weights_by_step(self.settings.weighting_score),
            item_factor=1.0 + self.settings.idf_weighting * inverse_frequency(index, len(self.order)),
        )
        return Neighbourhood(index, voting, self.order)
