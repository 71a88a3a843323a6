"""STAN: session neighbours, weighted by the position of clicks and the age of sessions."""

from typing import ClassVar

from pydantic import Field

from gru4rec_cli.models.base import FALLBACK
from gru4rec_cli.models.indexes.neighbour_model import NeighbourModel, NeighbourSettings
from gru4rec_cli.models.indexes.neighbours import NeighbourIndex, Voting
from gru4rec_cli.models.indexes.weights import MICROSECONDS_PER_DAY, SMALLEST_DECAY, exponential


class Settings(NeighbourSettings):
    """The neighbourhood, and its three decays."""

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


class Model(NeighbourModel[Settings]):
    """STAN: score_j = Σ over the k nearest sessions n that hold j of similarity(s, n) · exp(-|p_n(j) - p_n(i°)| / λ3).

    similarity(s, n) = Σ_{i ∈ s ∩ n} exp(-a(i) / λ1) / sqrt(|s| |n|) · exp(-(t_s - t_n) / λ2); a(i): clicks since i, i°:
    the item that s shares with n and that stands last in n, p_n: position in n, t: time of the last click (Garg et al.,
    *Sequence and Time Aware Neighborhood for Session-based Recommendations*, SIGIR 2019; i° as session-rec and RecPack
    read it). Equally similar: the more recent. Weights are relative: however old, the nearest sessions vote.
    """

    description: ClassVar[str] = (
        "Items of the most similar recent training sessions, weighted by the age of clicks and sessions, and by the "
        f"distance from the shared item; {FALLBACK}."
    )

    def voting(self, index: NeighbourIndex) -> Voting:
        return Voting(
            self.settings.k,
            self.settings.sample_size,
            cosine=True,
            click_weights=exponential(self.settings.lambda_spw),
            click_decay=self.settings.lambda_spw,
            session_decay=self.settings.lambda_snh * MICROSECONDS_PER_DAY,
            distance_weights=exponential(self.settings.lambda_inh),
        )
