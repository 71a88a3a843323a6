"""Random: every item at random, the floor under all models."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from gru4rec_cli.base.settings import ModelSettings
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.scores import ScoreBlock, block_ranges
from gru4rec_cli.models.base import ArrayModel, FitContext, FitReport, check_training, check_vocabulary
from gru4rec_cli.models.indexes.histories import Histories


class Settings(ModelSettings):
    """Random has nothing to set."""


class Model(ArrayModel[Settings]):
    """Uniform scores in [0, 1) from a hash of the seed, the history and the item.

    So the same history gets the same ranking, in whatever order or company it is asked for.
    """

    description: ClassVar[str] = "Items in a random order, another one after every history: the floor."
    random: ClassVar[bool] = True
    sequential: ClassVar[bool] = False

    def fit(self, train: Sessions, context: FitContext = FitContext()) -> FitReport:
        check_training(train)
        seed = np.array([context.seed], dtype=np.uint64)
        self.arrays = {"levels": np.zeros(train.n_items, dtype=np.int32), "seed": seed}
        return FitReport()

    def score(self, sessions: Sessions) -> Iterator[ScoreBlock]:
        check_vocabulary(sessions, len(self.order))
        from gru4rec_cli.models.indexes.history_loops import hash_histories, hash_items

        hashes = hash_histories(Histories.of(sessions), self.arrays["seed"][0])
        for start, stop in block_ranges(len(hashes), sessions.n_items):
            yield ScoreBlock(start, hash_items(hashes[start:stop], sessions.n_items))
