"""The counting baselines again, slow and obvious: dictionaries, no index, no sampling by early stopping."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.models import registry

Scores = dict[int, float]


def as_lists(sessions: Sessions) -> list[list[int]]:
    """The clicks of every session."""
    bounds = sessions.offsets.tolist()
    return [sessions.items[start:stop].tolist() for start, stop in pairwise(bounds)]


def fit_and_score(kind: str, train: Sessions, history: Sequence[int], **settings: object) -> Scores:
    """What the model scores after a history: its candidates alone, or every item where it has no others."""
    fitted = registry.model_class(kind)(registry.settings_class(kind)(**settings))
    fitted.fit(train)
    items, scores = fitted.recommend(history, train.n_items)
    return {int(item): float(score) for item, score in zip(items, scores, strict=True) if score > 0}


def rules(train: Sessions, weight: Callable[[int, int], float]) -> dict[int, Scores]:
    """Σ of weight(x, y) over the positions x ≠ y of every session, by the items clicked there."""
    found: dict[int, Scores] = defaultdict(lambda: defaultdict(float))
    for clicks in as_lists(train):
        for x, one in enumerate(clicks):
            for y, other in enumerate(clicks):
                if x != y and weight(x, y):
                    found[one][other] += weight(x, y)
    return found


def neighbours(
    train: Sessions,
    history: Sequence[int],
    *,
    k: int,
    sample_size: int,
    click: Callable[[int, int], float],
    cosine: bool = False,
    recency: Callable[[float], float] = lambda days: 1.0,
    vote: Callable[[int], float] = lambda age: 1.0,
    reach: Callable[[int], float] = lambda distance: 1.0,
    rarity: Callable[[float], float] = lambda idf: 1.0,
) -> Scores:
    """The scores of a neighbourhood. `click(age, length)` weighs the clicks of the history, age 0 is the last."""
    ends = train.times[train.offsets[1:] - 1]
    order = sorted(range(train.n_sessions), key=lambda session: (ends[session], session))
    past = [as_lists(train)[session] for session in order]
    age = {item: len(history) - 1 - place for place, item in enumerate(history)}
    sharing = [n for n in range(len(past)) if set(past[n]) & set(history)]
    similarity = {}
    for n in sharing[-sample_size:]:
        together = sum(click(age[item], len(history)) for item in set(past[n]) & set(history))
        norm = math.sqrt(len(set(past[n]))) if cosine else 1.0
        days = (ends[order[-1]] - ends[order[n]]) / 86_400e6
        similarity[n] = together / norm * recency(days)
    nearest = sorted((n for n in similarity if similarity[n] > 0), key=lambda n: (-round(similarity[n], 12), -n))[:k]
    holding = {item: sum(item in clicks for clicks in past) for clicks in past for item in clicks}
    scores: Scores = defaultdict(float)
    for n in nearest:
        shared = min((item for item in set(past[n]) & set(history)), key=lambda item: age[item])
        place = {item: position for position, item in enumerate(past[n])}
        last_shared_place = max(place[item] for item in place if item in age)
        for item in set(past[n]):
            near = reach(abs(place[item] - last_shared_place))
            scores[item] += similarity[n] * vote(age[shared]) * near * rarity(math.log(len(past) / holding[item]))
    return scores


def assert_proportional(found: Scores, expected: Scores) -> None:
    """The same items with the same scores up to a common factor, which no ranking depends on."""
    assert set(found) == set(expected)
    if not expected:
        return
    items = sorted(expected)
    one, other = (np.array([scores[item] for item in items]) for scores in (found, expected))
    np.testing.assert_allclose(one / one.max(), other / other.max(), rtol=1e-5, atol=1e-12)


def with_times(sessions: Sessions, seconds: npt.NDArray[np.int64]) -> Sessions:
    """The same sessions at other times."""
    return Sessions(sessions.items, sessions.offsets, seconds * 1_000_000, sessions.session_ids, sessions.vocabulary)
