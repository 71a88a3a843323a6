"""S-kNN: the items of the training sessions that are most like the session so far."""

from typing import ClassVar

from gru4rec_cli.models.base import FALLBACK
from gru4rec_cli.models.indexes.neighbour_model import NeighbourModel, NeighbourSettings
from gru4rec_cli.models.indexes.neighbours import NeighbourIndex, Voting


class Settings(NeighbourSettings):
    """The neighbourhood."""


class Model(NeighbourModel[Settings]):
    """Session neighbours: score_j = Σ over the k nearest training sessions n that hold j of similarity(s, n).

    similarity(s, n) = |s ∩ n| / sqrt(|s| |n|), the cosine of the sets of items, among the `sample_size` most recent
    sessions that share an item with the session so far, s (Jannach & Ludewig, RecSys 2017; Ludewig & Jannach,
    UMUAI 2018). Sessions that are equally similar: the more recent.
    """

    description: ClassVar[str] = (
        f"Items of the most similar recent training sessions, by the cosine of the sets of items; {FALLBACK}."
    )

    def voting(self, index: NeighbourIndex) -> Voting:
        return Voting(self.settings.k, self.settings.sample_size, cosine=True)
