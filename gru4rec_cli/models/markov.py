"""First-order Markov chain: items by how often they came right after the last click."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from gru4rec_cli.data.sessions import Sessions, last_known_items
from gru4rec_cli.models.base import (
    FALLBACK,
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
    """A first-order chain has nothing to set."""


class Model:
    """score_j = number of times j directly followed the last click + popularity of j, scaled into (0, 1).

    The second term orders the items that never followed it, and those that did equally often: most counts are small,
    and under the conservative tie rule a chain that left them tied would be a weaker baseline than it has to be.
    """

    description: ClassVar[str] = (
        f"Items by how often they directly followed the last click in training, equal counts by popularity; {FALLBACK}."
    )

    def __init__(self, settings: Settings, seed: int) -> None:
        self.offsets = np.zeros(1, dtype=np.int64)  # (V + 1,) row of each last item in the two below
        self.successors = np.zeros(0, dtype=np.int32)  # (n_pairs,)
        self.counts = np.zeros(0, dtype=np.float32)  # (n_pairs,)
        self.fallback: FloatArray = np.zeros(0, dtype=np.float32)  # (V,)

    def fit(
        self,
        train: Sessions,
        valid: Sessions | None = None,
        *,
        progress: Progress = SILENT,
        checkpoints: Path | None = None,
    ) -> FitReport:
        n_items = train.n_items
        rows = train.input_rows()
        keys = train.items[rows].astype(np.int64) * n_items + train.items[rows + 1]
        keys.sort()
        firsts = np.flatnonzero(np.diff(keys, prepend=-1))
        pairs = keys[firsts]
        self.successors = (pairs % n_items).astype(np.int32)
        self.counts = np.diff(firsts, append=len(keys)).astype(np.float32)
        self.offsets = np.searchsorted(pairs, np.arange(n_items + 1) * n_items)
        self.fallback = popularity_fallback(train.supports())
        return FitReport(facts={"transitions": len(pairs)})

    def score(self, sessions: Sessions) -> Iterator[ScoreBlock]:
        last = last_known_items(sessions)
        n_items = len(self.fallback)
        for start, stop in block_ranges(len(last), n_items):
            scores = np.repeat(self.fallback[None, :], stop - start, axis=0)  # (events, V)
            for row, item in enumerate(last[start:stop]):
                if item >= 0:
                    entries = slice(self.offsets[item], self.offsets[item + 1])
                    scores[row, self.successors[entries]] += self.counts[entries]
            yield ScoreBlock(start, scores)

    def recommend(self, history: Sequence[int], k: int) -> tuple[npt.NDArray[np.int64], FloatArray]:
        return recommend_by_score(self, history, k, len(self.fallback))

    def save(self, folder: Path) -> None:
        arrays: dict[str, npt.NDArray[Any]] = {
            "offsets": self.offsets,
            "successors": self.successors,
            "counts": self.counts,
            "fallback": self.fallback,
        }
        save_arrays(folder / "markov.safetensors", arrays)

    @classmethod
    def load(cls, folder: Path, settings: Settings, seed: int) -> Self:
        model = cls(settings, seed)
        arrays = load_arrays(folder / "markov.safetensors")
        model.offsets, model.successors = arrays["offsets"], arrays["successors"]
        model.counts, model.fallback = arrays["counts"], arrays["fallback"]
        return model
