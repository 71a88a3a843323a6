"""VSTAN: STAN's decays and V-SkNN's weights of votes in one."""

from typing import ClassVar

from pydantic import Field

from gru4rec_cli.models.base import FALLBACK
from gru4rec_cli.models.indexes.neighbour_model import NeighbourModel, NeighbourSettings
from gru4rec_cli.models.indexes.neighbours import (
    NeighbourIndex,
    Voting,
    rarity_weights,
)
from gru4rec_cli.models.indexes.weights import MICROSECONDS_PER_DAY, SMALLEST_DECAY, exponential


class Settings(NeighbourSettings):
    """The neighbourhood, its four decays, and the weight of rarity."""

    sample_size: int = Field(
        5000,
        ge=1,
        description="number of most recent training sessions with a shared item that are compared",
    )
    lambda_spw: float = Field(
        1.02,
        ge=SMALLEST_DECAY,
        description="λ1, clicks: a click of the session weighs exp(-age / λ1) in the similarity",
    )
    lambda_snh: float = Field(
        5.0, ge=SMALLEST_DECAY, description="λ2, days: a training session weighs exp(-days before the last one / λ2)"
    )
    lambda_inh: float = Field(
        2.05,
        ge=SMALLEST_DECAY,
        description="λ3, clicks: a neighbour's item weighs exp(-distance to the shared item / λ3)",
    )
    lambda_ipw: float = Field(
        1.02,
        ge=SMALLEST_DECAY,
        description="clicks: a neighbour's vote weighs exp(-age of the last click that it shares / λ)",
    )
    lambda_idf: float = Field(
        5.0, ge=0, description="λ: votes are multiplied by 1 + λ log(sessions / sessions with the item)"
    )


class Model(NeighbourModel[Settings]):
    """VSTAN: score_j = STAN's sum, each term times exp(-a(i*) / λ_ipw), and the whole times (1 + λ_idf idf_j).

    i* is the item that was clicked last in the session so far, of those that it shares with the neighbour; a(i*) the
    clicks since; idf_j = log(sessions / sessions with j). Distances count from i° as in STAN, the shared item that
    stands last in the neighbour. VSTAN of Ludewig, Mauro, Latifi & Jannach (UMUAI 2021, *Empirical analysis of
    session-based recommendation algorithms*), as in their session-rec. For the rest see `stan`.
    """

    description: ClassVar[str] = (
        "STAN, with votes that fall with the age of the shared click and rise with the rarity of the item; "
        + FALLBACK
        + "."
    )

    def voting(self, index: NeighbourIndex) -> Voting:
        return Voting(
            self.settings.k,
            self.settings.sample_size,
            cosine=True,
            click_weights=exponential(self.settings.lambda_spw),
            click_decay=self.settings.lambda_spw,
            session_decay=self.settings.lambda_snh * MICROSECONDS_PER_DAY,
            vote_decay=self.settings.lambda_ipw,
            distance_weights=exponential(self.settings.lambda_inh),
            item_weights=rarity_weights(index, len(self.order), self.settings.lambda_idf),
        )
