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

    With s the history, n a training session, a(i) the age of item i in s (0: the last click), i* the item of s ∩ n that
    was clicked last in s, i° the one that stands last in n, and t_n the time of the last click of n:

    similarity(s, n) = Σ_{i ∈ s ∩ n} w(a(i)) · |n|^(-1/2 if `cosine` else 0) · exp(t_n / `session_decay`);
    score_j = `item_weights`[j] · Σ_{n among the k most similar, j ∈ n} similarity(s, n) · v(a(i*))
    · `distance_weights`[|position_n(j) - position_n(i°)|].

    w(a) = `click_weights`[a], or (|s| - a)^`click_power` if this is above 0. v(a) = `vote_weights`[a], or
    exp(-a / `vote_decay`) if this is above 0. Factors that are the same for all n, such as the norm of s, are left out:
    votes are shares of the largest one. So weights may be whole numbers, and equal similarities are then exactly equal.
    Empty arrays are factors of 1; beyond its end, an array's last weight is used.
    """

    k: int  # most similar sessions that vote
    sample_size: int  # most recent sessions among which they are chosen
    cosine: bool = False
    click_weights: Float64Array = _NO_WEIGHTS
    click_power: int = 0
    click_decay: float = 0.0  # λ, if click_weights[a] = exp(-a / λ)
    session_decay: float = 0.0  # microseconds; only with `click_decay`, otherwise the factor is 1
    vote_weights: Float64Array = _NO_WEIGHTS
    vote_decay: float = 0.0
    distance_weights: Float64Array = _NO_WEIGHTS
    item_weights: Float64Array = _NO_WEIGHTS  # (V,)


class Workspace(NamedTuple):
    """Arrays that one thread scores in, with their values between two histories."""

    similarities: Float64Array  # (sessions,), -1
    shared_ages: Int32Array  # (sessions,), any: the age of the latest click that history and session share
    in_history: BoolArray  # (V,), false
    scores: Float64Array  # (V,), 0
    exponents: Float64Array  # (sessions,), any: of the sampled sessions' weights

    @classmethod
    def new(cls, n_sessions: int, n_items: int) -> "Workspace":
        """Return the arrays for so many sessions and items."""
        similarities, ages = np.full(n_sessions, -1.0), np.zeros(n_sessions, dtype=np.int32)
        in_history, scores = np.zeros(n_items, dtype=np.bool_), np.zeros(n_items)
        return cls(similarities, ages, in_history, scores, np.empty(n_sessions))


def rarity_weights(index: NeighbourIndex, n_items: int, weight: float) -> Float64Array:
    """Return 1 + λ idf_j, up to a common factor, (V,). λ is `weight`; idf_j = log(sessions / sessions that hold j)."""
    holding = np.bincount(index.items, minlength=n_items)
    idf: Float64Array = np.log(len(index.end_times) / np.maximum(holding, 1))
    return 1.0 + weight * idf if weight <= 1.0 else 1.0 / weight + idf
