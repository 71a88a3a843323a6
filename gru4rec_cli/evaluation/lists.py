"""Beyond accuracy: what the top lists recommend, whatever the targets."""

from dataclasses import dataclass

import numpy as np

from gru4rec_cli.base.arrays import BoolArray, Float64Array, Int32Array, Int64Array
from gru4rec_cli.data.sessions import Sessions

ItemLists = Int32Array  # (n_targets, longest) item indices, best first

COVERAGE = "coverage"
LIST_METRICS = ("popularity_rank", "repeats")  # means over events, unlike coverage


@dataclass(frozen=True)
class ListSummary:
    """A summary of a model's lists: `coverage` (cutoffs,), and for every session the sums over its events of each
    of LIST_METRICS at each cutoff, `sums` (metrics, cutoffs, n_sessions)."""

    coverage: Float64Array
    sums: Float64Array


def summarise_lists(lists: ItemLists, sessions: Sessions, cutoffs: tuple[int, ...]) -> ListSummary:
    """Return coverage, popularity and repeats of the lists of every event, cut at each of `cutoffs`.

    A cutoff beyond the number of items means a list of all items.
    """
    session = sessions.event_sessions()
    places = popularity_places(sessions.vocabulary.supports)
    seen = repeated(lists, sessions.items, sessions.input_rows(), sessions.event_positions())
    sums = np.empty((len(LIST_METRICS), len(cutoffs), sessions.n_sessions))
    for index, k in enumerate(cutoffs):
        top = lists[:, :k]
        sums[0, index] = np.bincount(session, places[top].mean(axis=1), minlength=sessions.n_sessions)
        sums[1, index] = np.bincount(session, seen[:, :k].mean(axis=1), minlength=sessions.n_sessions)
    return ListSummary(np.array([coverage(lists[:, :k], sessions.n_items) for k in cutoffs]), sums)


def coverage(lists: ItemLists, n_items: int) -> float:
    """Return the share of all items that are in at least one list (catalogue coverage; Ge et al., RecSys 2010)."""
    recommended = np.zeros(n_items, dtype=bool)
    recommended[lists.ravel()] = True
    return float(recommended.mean())


def popularity_places(supports: Int64Array) -> Float64Array:
    """Return each item's place by training popularity as a share, (V,): 1 / V is the most popular item, 1 the least.

    Equally popular items share the mean of their places.
    """
    _, which, counts = np.unique(supports, return_inverse=True, return_counts=True)
    last = len(supports) - (np.cumsum(counts) - counts)  # of each distinct support, fewest events first
    return ((last - (counts - 1) / 2) / len(supports))[which].astype(np.float64)


def repeated(lists: ItemLists, clicks: Int32Array, inputs: Int64Array, positions: Int64Array) -> BoolArray:
    """Return which places of the lists hold an item that the session clicked before the event, (events, longest).

    The history of an event are the last `positions` (events,) of the `clicks` up to row `inputs` (events,). One pass
    for every distance back in the history, over the events whose history is that long.
    """
    found = np.zeros(lists.shape, dtype=bool)
    events = np.arange(len(lists))
    for back in range(int(positions.max(initial=0))):
        events = events[positions[events] > back]
        found[events] |= lists[events] == clicks[inputs[events] - back][:, None]
    return found
