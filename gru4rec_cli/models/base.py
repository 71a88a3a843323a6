"""What a recommender is: the protocol that every file in this folder fulfils."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from gru4rec_cli.base.arrays import Float32Array, Int32Array
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.base.settings import ModelSettings
from gru4rec_cli.data.sessions import UNSEEN, LastEvents, Sessions, Vocabulary, sessions_to_continue
from gru4rec_cli.evaluation.recommending import ALL_ITEMS, Choice, recommendations
from gru4rec_cli.evaluation.scores import Block, ItemOrder

FALLBACK = "equal scores by training popularity; items without a score follow below all scored ones, by the same"


_ARRAYS = "arrays.safetensors"


AnySettings = TypeVar("AnySettings", bound=ModelSettings)


@dataclass(frozen=True)
class FitReport:
    """Results of fitting besides the model: one row of named values an epoch, and facts to show."""

    curve: list[dict[str, float]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


class FitStopped(Exception):  # noqa: N818 - no error
    """Raised by `FitContext.watch` to end a fit whose model is not wanted."""


@dataclass(frozen=True)
class FitContext:
    """Everything that fitting is given besides the training sessions."""

    valid: Sessions | None = None  # sessions on which a model may choose its epoch; never the test sessions
    progress: Progress = SILENT
    checkpoints: Path | None = None  # where a model that takes long keeps its state, and continues from
    seed: int = 42  # of everything random
    watch: Callable[[int, float], None] | None = None  # told the number and the value of every validated epoch


class Recommender(Protocol):
    """Ranks all training items after any prefix of a session.

    A model file holds a `Settings` class and a `Model` class; the file's name is the model's kind.
    """

    description: ClassVar[str]  # one sentence for the report: what it does, and its fallback if it has one
    random: ClassVar[bool]  # whether its ranks depend on the seed
    sequential: ClassVar[bool]  # whether it can learn which item comes right after the last click; tested on a chain

    def __init__(self, settings: Any) -> None: ...

    def fit(self, train: Sessions, context: FitContext = ...) -> FitReport:
        """Learn from `train`; see `FitContext` for what else it is given."""

    def score(self, sessions: Sessions) -> Iterator[Block]:
        """Scores of every event of `sessions`, in event order, in blocks of bounded size.

        Only the clicks before an event may be looked at. UNSEEN items are passed over.
        """

    def recommend(self, history: Sequence[int], k: int) -> tuple[npt.NDArray[np.int64], Float32Array]:
        """The `k` best item indices after `history` (item indices, or UNSEEN), and their scores, best first.

        Items of the history are ranked like all others. Raises ValueError for an empty history, for an index outside
        the range and for `k` below 1. For item ids see `FittedModel`.
        """

    def save(self, folder: Path) -> None:
        """Write what `load` needs into `folder`."""

    @classmethod
    def load(cls, folder: Path, settings: Any) -> Self:
        """The model that `save` wrote."""


@runtime_checkable
class Incremental(Protocol):
    """A `Recommender` that reads a session click by click: what it keeps of one are `state_size` numbers.

    A session starts with zeros. Scores are those of `score` after the same clicks, bit for bit.
    """

    @property
    def state_size(self) -> int:
        """The number of values in a state."""

    def advance(self, states: Float32Array, items: Int32Array) -> Float32Array:
        """Return the states (sessions, state_size) after one more click of each on `items` (sessions,), item indices.

        UNSEEN leaves a state as it is.
        """

    def score_states(self, states: Float32Array) -> Block:
        """Return the scores of all items for every one of the states (sessions, state_size)."""


class Scorer(Protocol):
    """The part of a `Recommender` that recommending takes."""

    def score(self, sessions: Sessions) -> Iterator[Block]: ...


class ArrayModel(ABC, Generic[AnySettings]):
    """A model whose fitted state is named arrays, `levels` (V,) among them: the order of items without a score."""

    def __init__(self, settings: AnySettings) -> None:
        self.settings = settings
        self.arrays: dict[str, npt.NDArray[Any]] = {}

    @cached_property
    def order(self) -> ItemOrder:
        """The order of items without a score, and of equal scores."""
        return ItemOrder(self.arrays["levels"])

    @abstractmethod
    def score(self, sessions: Sessions) -> Iterator[Block]:
        """As in `Recommender`."""

    @abstractmethod
    def fit(self, train: Sessions, context: FitContext = FitContext()) -> FitReport:
        """As in `Recommender`."""

    def small(self, train: Sessions) -> Self:
        """Return a model that is quickly fitted on a few sessions; see `warming.Warming`."""
        return type(self)(self.settings)

    def recommend(self, history: Sequence[int], k: int) -> tuple[npt.NDArray[np.int64], Float32Array]:
        return recommend_by_score(self, history, k, len(self.order))

    def save(self, folder: Path) -> None:
        save_arrays(folder / _ARRAYS, self.arrays)

    @classmethod
    def load(cls, folder: Path, settings: AnySettings) -> Self:
        model = cls(settings)
        model.arrays = load_arrays(folder / _ARRAYS)
        return model


def recommend_by_score(
    model: "Scorer", history: Sequence[int], k: int, n_items: int, choice: Choice = ALL_ITEMS
) -> tuple[npt.NDArray[np.int64], Float32Array]:
    """Return the top `k` of the scores that `model.score` gives after `history`; equal scores in index order.

    Raises ValueError for an empty history, for an index outside the range and for `k` below 1.
    """
    if not _is_whole(k) or k < 1:
        raise ValueError(f"k is {k!r}; it is the number of items to recommend, a whole number from 1 on")
    session = _history_session(history, n_items)
    (best,) = recommendations(model.score(session), session, int(k), choice)
    items, scores = best.items[0], best.scores[0]
    return items[items >= 0].astype(np.int64), scores[items >= 0]


def check_training(train: Sessions) -> None:
    """Check that a model can learn from these sessions.

    Raises:
        ValueError: there are none, or clicks are on items outside the vocabulary.
    """
    if train.n_sessions == 0:
        raise ValueError("there are no sessions to learn from")
    if (train.items == UNSEEN).any():
        raise ValueError("training sessions hold UNSEEN clicks; a model learns from items of its vocabulary only")


def check_vocabulary(sessions: Sessions, n_items: int) -> None:
    """Check that the items of the sessions are numbered as a model's `n_items` may be.

    Raises:
        ValueError: the vocabulary has another size.
    """
    if sessions.n_items != n_items:
        raise ValueError(
            f"the sessions have a vocabulary of {sessions.n_items} items, and the model one of {n_items}: item indices "
            f"are 0 to {n_items - 1}"
        )


def _history_session(history: Sequence[int], n_items: int) -> LastEvents:
    if len(history) == 0:
        raise ValueError("the history is empty; at least one click is needed to recommend from")
    for item in history:
        if not _is_whole(item) or not UNSEEN <= item < n_items:
            raise ValueError(
                f"the history holds {item!r}; item indices are whole numbers, 0 to {n_items - 1}, or {UNSEEN} for an "
                "item that the model does not know"
            )
    clicks = np.array(history, dtype=np.int32)
    return sessions_to_continue(clicks, np.array([len(clicks)]), Vocabulary.of(np.arange(n_items)))


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def save_arrays(path: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Write named arrays as safetensors."""
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)


def load_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Named arrays from safetensors."""
    return load_file(path)
