"""Popularity: every item scored by how often the training data holds it, whatever the session."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.models.base import (
    FitReport,
    ModelSettings,
    load_arrays,
    popularity_fallback,
    recommend_by_score,
    save_arrays,
)
from gru4rec_cli.progress import SILENT, Progress
from gru4rec_cli.scores import FloatArray, ScoreBlock, block_ranges


class Settings(ModelSettings):
    """Popularity has nothing to set."""


class Model:
    """score_j = support of item j (as its rank among the distinct supports, so that float32 keeps them apart)."""

    description: ClassVar[str] = "Items by their number of training events, the same after every history."

    def __init__(self, settings: Settings, seed: int) -> None:
        self.scores: FloatArray = np.zeros(0, dtype=np.float32)  # (V,)

    def fit(
        self,
        train: Sessions,
        valid: Sessions | None = None,
        *,
        progress: Progress = SILENT,
        checkpoints: Path | None = None,
    ) -> FitReport:
        self.scores = popularity_fallback(train.supports())
        return FitReport()

    def score(self, sessions: Sessions) -> Iterator[ScoreBlock]:
        for start, stop in block_ranges(sessions.n_targets, len(self.scores)):
            yield ScoreBlock(start, np.broadcast_to(self.scores, (stop - start, len(self.scores))))

    def recommend(self, history: Sequence[int], k: int) -> tuple[npt.NDArray[np.int64], FloatArray]:
        return recommend_by_score(self, history, k, len(self.scores))

    def save(self, folder: Path) -> None:
        save_arrays(folder / "popularity.safetensors", {"scores": self.scores})

    @classmethod
    def load(cls, folder: Path, settings: Settings, seed: int) -> Self:
        model = cls(settings, seed)
        model.scores = load_arrays(folder / "popularity.safetensors")["scores"]
        return model
