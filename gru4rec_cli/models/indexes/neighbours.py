"""What neighbourhood models look up and weigh: an index of training sessions, and the weights of their votes.

The index holds, for every item, the most recent training sessions with it, most recent first, as in VMIS-kNN
(Kersbergen et al., *Serenade*, SIGMOD 2022). The `sample_size` most recent sessions that share an item with a history
are then found by reading at most `sample_size` entries for each of its items, and fewer once enough recent ones are
known.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gru4rec_cli.base.arrays import BoolArray, Float64Array, Int32Array, Int64Array

_NO_WEIGHTS = np.zeros(0)


class NeighbourIndex(NamedTuple):
    """Training sessions by recency (0 is the oldest; by the time of their last click), and by item."""

    offsets: Int64Array  # (sessions + 1,)
    items: Int32Array  # (entries,) the distinct items of each session, by their last click
    positions: Int32Array  # (entries,) position of that click in the session, from 0
    end_times: Int64Array  # (sessions,) time of the last click, microseconds
    item_offsets: Int64Array  # (V + 1,)
    item_sessions: Int32Array  # the most recent sessions with each item, most recent first

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "NeighbourIndex":
        """Return the index among the named arrays of a fitted model."""
        return cls(*(arrays[name] for name in cls._fields))


class Voting(NamedTuple):
    """Settings of how a neighbourhood model chooses its neighbours and weighs their votes.

    With s the history, n a training session, a(i) the age of item i in s (0: the last click), i* the most recent item
    of s that n holds:

    similarity(s, n) = Σ_{i ∈ s ∩ n} w(a(i)) · |n|^(-1/2 if `cosine` else 0) · `session_weights`[n];
    score_j = `item_weights`[j] · Σ_{n among the k most similar, j ∈ n} similarity(s, n) · `vote_weights`[a(i*)]
    · `distance_weights`[|position_n(j) - position_n(i*)|].

    w(a) = `click_weights`[a], or, where `click_power` > 0, (position / |s|)^click_power. Factors that are the same for
    all n, such as the norm of s, are left out: similarities are shares of the largest one. Empty arrays are factors of
    1; beyond its end, an array's last weight is used.
    """

    k: int  # most similar sessions that vote
    sample_size: int  # most recent sessions among which they are chosen
    cosine: bool = False
    click_weights: Float64Array = _NO_WEIGHTS
    click_power: float = 0.0
    session_weights: Float64Array = _NO_WEIGHTS  # (sessions,)
    vote_weights: Float64Array = _NO_WEIGHTS
    distance_weights: Float64Array = _NO_WEIGHTS
    item_weights: Float64Array = _NO_WEIGHTS  # (V,)


class Workspace(NamedTuple):
    """Arrays that one thread scores in. All but the shared ones are zero between two histories."""

    similarities: Float64Array  # (sessions,)
    shared_items: Int32Array  # (sessions,) the most recent item that history and session share
    shared_ages: Int32Array  # (sessions,) the age of that item's click
    in_history: BoolArray  # (V,)
    scores: Float64Array  # (V,)

    @classmethod
    def new(cls, n_sessions: int, n_items: int) -> "Workspace":
        """Return the arrays for so many sessions and items."""
        shared = np.zeros(n_sessions, dtype=np.int32), np.zeros(n_sessions, dtype=np.int32)
        return cls(np.zeros(n_sessions), *shared, np.zeros(n_items, dtype=np.bool_), np.zeros(n_items))


def inverse_frequency(index: NeighbourIndex, n_items: int) -> Float64Array:
    """Return idf_j = log(sessions / sessions that hold j), (V,)."""
    holding = np.bincount(index.items, minlength=n_items)
    idf: Float64Array = np.log(len(index.end_times) / np.maximum(holding, 1))
    return idf


def recency_weights(index: NeighbourIndex, days: float) -> Float64Array:
    """Return exp(-(T - t_n) / λ) of every training session n, T the last one's time, λ in days, (sessions,).

    Garg et al. (SIGIR 2019) count from the time of the history's session instead of T; that multiplies all
    weights by the same number, which changes no ranking.
    """
    weights: Float64Array = np.exp((index.end_times - index.end_times[-1]) / (86_400_000_000 * days))
    return weights
