"""What a recommender is: the protocol that every file in this folder fulfils."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from gru4rec_cli.data.sessions import Sessions, Vocabulary, session_of_items
from gru4rec_cli.progress import Progress
from gru4rec_cli.scores import FloatArray, ScoreBlock
from gru4rec_cli.settings import Settings

FALLBACK = "items without a score follow below all scored ones, by training popularity"


class ModelSettings(Settings):
    """Base of the settings of every model kind."""


@dataclass(frozen=True)
class FitReport:
    """What fitting left behind besides the model: one row of named values an epoch, and facts to show."""

    curve: list[dict[str, float]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


class Recommender(Protocol):
    """Ranks all training items after any prefix of a session.

    A model file holds a `Settings` class and a `Model` class; the file's name is the model's kind.
    """

    description: ClassVar[str]  # one sentence for the report: what it does, and its fallback if it has one

    def __init__(self, settings: Any, seed: int) -> None: ...

    def fit(
        self, train: Sessions, valid: Sessions | None, *, progress: Progress, checkpoints: Path | None = None
    ) -> FitReport:
        """Learn from `train`. A model that takes long keeps its state in `checkpoints` and continues from there."""

    def score(self, sessions: Sessions) -> Iterator[ScoreBlock]:
        """Scores of every event of `sessions`, in event order, in blocks of bounded size.

        Only the clicks before an event may be looked at. UNSEEN items are passed over.
        """

    def recommend(self, history: Sequence[int], k: int) -> tuple[npt.NDArray[np.int64], FloatArray]:
        """The `k` best item indices after `history` (item indices), and their scores, best first."""

    def save(self, folder: Path) -> None:
        """Write what `load` needs into `folder`."""

    @classmethod
    def load(cls, folder: Path, settings: Any, seed: int) -> Self:
        """The model that `save` wrote."""


def popularity_fallback(supports: npt.NDArray[np.int64]) -> FloatArray:
    """Scores in (0, 1) that order items by support, equal supports equal; shape (V,).

    Distinct supports are numbered, so that float32 keeps them apart whatever their size.
    """
    distinct, order = np.unique(supports, return_inverse=True)
    return ((order + 1) / (len(distinct) + 1)).astype(np.float32)


def recommend_by_score(
    model: Recommender, history: Sequence[int], k: int, n_items: int
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """The top `k` of the scores that `model.score` gives after `history`; equal scores in index order.

    A placeholder follows the history, so that its last click is an input like those of `evaluate`.
    Raises ValueError for an empty history.
    """
    if len(history) == 0:
        raise ValueError("the history is empty; at least one click is needed to recommend from")
    vocabulary = Vocabulary(np.arange(n_items))
    session = session_of_items(np.array([*history, 0], dtype=np.int32), vocabulary)
    scores = list(model.score(session))[-1].scores[-1]
    best = np.argsort(-scores, kind="stable")[:k]
    return best, scores[best]


def save_arrays(path: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Write named arrays as safetensors."""
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)


def load_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Named arrays from safetensors."""
    return load_file(path)
