"""V-SkNN: session neighbours, with late clicks of the session counting more."""

from typing import ClassVar

from pydantic import Field

from gru4rec_cli.models.base import FALLBACK
from gru4rec_cli.models.indexes.neighbour_model import NeighbourModel, NeighbourSettings
from gru4rec_cli.models.indexes.neighbours import NeighbourIndex, Voting, rarity_weights
from gru4rec_cli.models.indexes.weights import Weighting, weights_by_age, weights_by_step


class Settings(NeighbourSettings):
    """The neighbourhood, and what the age of a click costs."""

    weighting: Weighting = Field(
        "div", description="weight of the session's clicks in the similarity, by age; div: position / length"
    )
    weighting_score: Weighting = Field(
        "div", description="weight of a neighbour's vote by the steps to the last click that it shares; div: 1 / steps"
    )
    idf_weighting: float = Field(
        0.0, ge=0, description="λ: votes are multiplied by 1 + λ log(sessions / sessions with the item)"
    )


class Model(NeighbourModel[Settings]):
    """V-SkNN.

    score_j = Σ over the k nearest training sessions n that hold j of similarity(s, n) · v(n) · (1 + λ idf_j).

    similarity(s, n) = Σ_{i ∈ s ∩ n} w_i, the product of the session's weights with the set n: w is 1 for the last click
    and falls towards the first (`weighting`); v(n) falls with the steps from the last click back to the latest one that
    n holds (`weighting_score`). V-SKNN of Ludewig & Jannach (UMUAI 2018), with the votes and idf of Ludewig et al.
    (UMUAI 2021, *Empirical analysis of session-based recommendation algorithms*). Equally similar, in exact arithmetic:
    the more recent.
    """

    description: ClassVar[str] = (
        "Items of the most similar recent training sessions; late clicks of the session count more; " + FALLBACK + "."
    )

    def voting(self, index: NeighbourIndex) -> Voting:
        weights, power = weights_by_age(self.settings.weighting)
        return Voting(
            self.settings.k,
            self.settings.sample_size,
            click_weights=weights,
            click_power=power,
            vote_weights=weights_by_step(self.settings.weighting_score),
            item_weights=rarity_weights(index, len(self.order), self.settings.idf_weighting),
        )
