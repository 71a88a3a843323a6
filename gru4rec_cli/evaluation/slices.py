"""Parts of the events that are evaluated on their own: by position, by session length, by popularity of the target."""

from typing import Any

import numpy as np

from gru4rec_cli.base.arrays import BoolArray, Int64Array
from gru4rec_cli.data.sessions import Sessions

WHOLE = "all"
_POSITIONS = {"1": (1, 1), "2": (2, 2), "3-5": (3, 5), "6+": (6, None)}  # clicks before the event
_LENGTHS = {"2": (2, 2), "3-5": (3, 5), "6-10": (6, 10), "11+": (11, None)}  # clicks of the whole session
TARGETS = ("head", "torso", "tail")


def event_slices(sessions: Sessions) -> dict[str, BoolArray]:
    """Return which events belong to each slice, (n_targets,) each; `all` first. Slices without events are there,
    too."""
    positions = sessions.event_positions()
    lengths = sessions.lengths[sessions.event_sessions()]
    groups = target_groups(sessions.vocabulary.supports)
    targets = sessions.target_items()
    found = {WHOLE: np.ones(sessions.n_targets, dtype=bool)}
    found |= {f"position={name}": _between(positions, *ends) for name, ends in _POSITIONS.items()}
    found |= {f"length={name}": _between(lengths, *ends) for name, ends in _LENGTHS.items()}
    for group, name in enumerate(TARGETS):
        found[f"target={name}"] = (targets >= 0) & (groups[np.maximum(targets, 0)] == group)
    return found


def target_groups(supports: Int64Array) -> Int64Array:
    """Return 0 (head), 1 (torso) or 2 (tail) for every item, (V,): the third of all training events in which it begins.

    Items stand in the order of their training events, most first, and an item begins where those with more events than
    it end; so equally popular items are in one group, and an item over a border is in the group before it.
    """
    distinct, which, counts = np.unique(supports, return_inverse=True, return_counts=True)
    events = distinct * counts
    above = events.sum() - np.cumsum(events)  # training events of all more popular items, for each distinct support
    groups: Int64Array = 3 * above // max(1, events.sum())
    return groups[which]


def target_facts(supports: Int64Array) -> dict[str, dict[str, Any]]:
    """Return the items of each group of targets, and their share of the training events."""
    groups = target_groups(supports)
    return {
        name: {
            "items": int((groups == group).sum()),
            "events_share": float(supports[groups == group].sum() / max(1, supports.sum())),
        }
        for group, name in enumerate(TARGETS)
    }


def _between(values: Int64Array, lowest: int, highest: int | None) -> BoolArray:
    found: BoolArray = (values >= lowest) & (values <= (values if highest is None else highest))
    return found
