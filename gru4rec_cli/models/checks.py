"""Checks that hold for every model. Tests call them, those of this package and those of a plugin.

Each check takes a kind and settings that make it small and quick, and raises AssertionError with what does not hold:

    @pytest.mark.parametrize("check", CHECKS)
    def test_my_model(check):
        check("my_kind", {"epochs": 2})
"""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from gru4rec_cli.base.arrays import FloatingArray
from gru4rec_cli.base.settings import ModelSettings
from gru4rec_cli.data.sessions import UNSEEN, Sessions, Vocabulary
from gru4rec_cli.evaluation import scores as score_blocks
from gru4rec_cli.evaluation.metrics import metric_values, ranks
from gru4rec_cli.evaluation.ranking import TargetRanks, rank_targets
from gru4rec_cli.evaluation.scores import CandidateBlock
from gru4rec_cli.models import registry
from gru4rec_cli.models.base import FitContext, Recommender

Values = Mapping[str, Any]  # settings as in the configuration, without `kind`
Check = Callable[[str, Values], None]


def sessions_of(clicks: Sequence[Sequence[int]], n_items: int | None = None) -> Sessions:
    """Return sessions of the given item indices, one second between clicks, sessions numbered from 1."""
    items = np.concatenate([np.asarray(session, dtype=np.int32) for session in clicks])
    offsets = np.concatenate([[0], np.cumsum([len(session) for session in clicks])]).astype(np.int64)
    size = n_items if n_items is not None else int(items.max()) + 1
    times = np.arange(len(items), dtype=np.int64) * 1_000_000
    return Sessions(items, offsets, times, np.arange(1, len(clicks) + 1), Vocabulary.of(np.arange(size) * 10 + 5))


def chain(n_items: int = 8, n_sessions: int = 200, length: int = 5, seed: int = 0) -> Sessions:
    """Return sessions in which every item is followed by the next one on a circle."""
    starts = np.random.default_rng(seed).integers(0, n_items, n_sessions)
    return sessions_of([[(start + step) % n_items for step in range(length)] for start in starts], n_items)


def random_sessions(n_items: int, n_sessions: int, seed: int, longest: int = 9) -> Sessions:
    """Return sessions of uniformly random items, of 2 to `longest` clicks."""
    rng = np.random.default_rng(seed)
    return sessions_of(
        [rng.integers(0, n_items, rng.integers(2, longest + 1)).tolist() for _ in range(n_sessions)], n_items
    )


def settings_of(kind: str, values: Values) -> ModelSettings:
    """Return the settings of a kind; `values` are given as in the configuration."""
    return registry.settings_class(kind).model_validate_json(json.dumps(dict(values)))


def fitted(kind: str, values: Values, train: Sessions, seed: int = 7) -> Recommender:
    """Return a model of a kind, fitted."""
    model = registry.model_class(kind)(settings_of(kind, values))
    model.fit(train, FitContext(seed=seed))
    return model


def all_scores(model: Recommender, sessions: Sessions) -> FloatingArray:
    """Return the scores of all items for every event, (n_targets, V)."""
    return np.concatenate([block.dense() for block in model.score(sessions)])


def recall_at_1(model: Recommender, sessions: Sessions) -> float:
    """Return the mean Recall@1, where ties count against the model."""
    counts = rank_targets(model.score(sessions), sessions)
    return float(metric_values(ranks(counts.greater, counts.equal, "conservative"), "recall", 1).mean())


def _train() -> Sessions:
    return random_sessions(40, 300, seed=1)


def _test() -> Sessions:
    return random_sessions(40, 90, seed=2)


def _pairs(counts: TargetRanks) -> list[tuple[int, int]]:
    return list(zip(counts.greater.tolist(), counts.equal.tolist(), strict=True))


def _ranked(model: Recommender, sessions: Sessions) -> list[tuple[int, int]]:
    """Return for every event how many items score above the target, and how many the same."""
    return _pairs(rank_targets(model.score(sessions), sessions))


def check_it_describes_itself(kind: str, settings: Values) -> None:
    """Check that the model says what it does, whether it is random, and whether it is sequential."""
    model = registry.model_class(kind)
    assert str(getattr(model, "description", "")).endswith("."), (
        "`description` is a sentence that ends with a full stop"
    )
    for name in ("random", "sequential"):
        assert isinstance(getattr(model, name, None), bool), f"`{name}` is True or False"


def check_ranks_do_not_depend_on_the_order_of_sessions(kind: str, settings: Values) -> None:
    """Check that every event of shuffled sessions has the same rank."""
    test, model = _test(), fitted(kind, settings, _train())
    shuffled = test.select(np.random.default_rng(0).permutation(test.n_sessions))

    def by_event(sessions: Sessions) -> dict[tuple[int, int], tuple[int, int]]:
        owners = sessions.session_ids[sessions.event_sessions()].tolist()
        keys = zip(owners, sessions.event_positions().tolist(), strict=True)
        return dict(zip(keys, _ranked(model, sessions), strict=True))

    assert by_event(shuffled) == by_event(test), "ranks change with the order of the test sessions"


def check_ranks_do_not_depend_on_batches(kind: str, settings: Values) -> None:
    """Check that ranks are the same in the smallest blocks, and for every session alone."""
    test, model = _test(), fitted(kind, settings, _train())
    together = _ranked(model, test)
    with patch.object(score_blocks, "SCORE_BLOCK_BYTES", 1):  # the smallest blocks there are
        assert _ranked(model, test) == together, "ranks change with the size of the blocks of scores"
    alone = [_ranked(model, test.select(np.array([session]))) for session in range(test.n_sessions)]
    assert [pair for pairs in alone for pair in pairs] == together, "ranks change where a session is ranked alone"


def check_scores_cover_every_event_and_item(kind: str, settings: Values) -> None:
    """Check that consecutive blocks of float32 scores cover all events, and each all items."""
    test = _test()
    blocks = list(fitted(kind, settings, _train()).score(test))
    for block in blocks:
        scores = block.lists.scores if isinstance(block, CandidateBlock) else block.dense()
        assert scores.dtype == np.float32, f"scores are {scores.dtype}, not float32"
    starts = np.cumsum([0, *(len(block) for block in blocks[:-1])]).tolist()
    assert [block.start for block in blocks] == starts, "blocks do not follow each other"
    shape = np.concatenate([block.dense() for block in blocks]).shape
    assert shape == (test.n_targets, 40), f"scores are {shape}, not (events, items)"


def check_candidates_are_distinct_and_above_zero(kind: str, settings: Values) -> None:
    """Check candidate blocks: every score is above 0, and no list holds an item twice."""
    for block in fitted(kind, settings, _train()).score(_test()):
        if isinstance(block, CandidateBlock):
            assert (block.lists.scores > 0).all(), "a candidate has a score of 0 or below"
            for row in set(block.rows.tolist()) - {-1}:
                items = block.lists.items[block.lists.offsets[row] : block.lists.offsets[row + 1]].tolist()
                assert len(items) == len(set(items)), "a list of candidates holds an item twice"


def check_recommend_gives_the_top_of_the_scores(kind: str, settings: Values) -> None:
    """Check that `recommend` gives the best of the scores that are ranked, after every history."""
    test = random_sessions(40, 20, seed=2)
    model = fitted(kind, settings, _train())
    scores = all_scores(model, test)
    event = 0
    for session in range(test.n_sessions):
        clicks = test.items[test.offsets[session] : test.offsets[session + 1]].tolist()
        for length in range(1, len(clicks)):
            items, best = model.recommend(clicks[:length], 5)
            top = np.sort(scores[event])[::-1][:5].tolist()
            assert scores[event, items].tolist() == top, "recommend gives other items than those with the best scores"
            assert scores[event, items].astype(np.float32).tolist() == best.tolist(), "recommend gives other scores"
            event += 1


def check_only_earlier_clicks_are_looked_at(kind: str, settings: Values) -> None:
    """Check that another last click changes no score."""
    model = fitted(kind, settings, _train())
    one, other = (all_scores(model, sessions_of([[3, 5, 7, last]], 40)) for last in (9, 30))
    assert one.tolist() == other.tolist(), "scores change with the click that is to be predicted"


def check_metrics_grow_with_the_cutoff(kind: str, settings: Values) -> None:
    """Check that Recall and MRR grow with K, that MRR ≤ NDCG ≤ Recall, and that every item has a rank."""
    test = _test()
    counts = rank_targets(fitted(kind, settings, _train()).score(test), test)
    rank = ranks(counts.greater, counts.equal, "conservative")
    means = {name: [metric_values(rank, name, k).mean() for k in range(1, 42)] for name in ("recall", "mrr", "ndcg")}
    for name in ("recall", "mrr"):
        assert (np.diff(means[name]) >= 0).all(), f"{name} falls as the cutoff grows"
    ordered = zip(means["mrr"], means["ndcg"], means["recall"], strict=True)
    assert all(mrr <= ndcg <= recall for mrr, ndcg, recall in ordered), "not MRR ≤ NDCG ≤ Recall"
    assert means["recall"][-1] == 1.0, "a target has no rank among all items"


def check_a_loaded_model_gives_the_same_ranks(kind: str, settings: Values) -> None:
    """Check that a saved model can be loaded and ranks as before, and that nothing is pickled."""
    test, model = _test(), fitted(kind, settings, _train())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        registry.save_model(folder, kind, settings_of(kind, settings), 7, model, test.vocabulary.ids)
        loaded = registry.load_model(folder)
        assert _ranked(loaded.model, test) == _ranked(model, test), "a loaded model ranks otherwise"
        ids, scores = loaded.recommend([35], 40)  # the item of index 3
        items, expected = model.recommend([3], 40)
        assert ids.tolist() == (items * 10 + 5).tolist(), "a loaded model recommends other items"
        assert scores.tolist() == expected.tolist(), "a loaded model recommends with other scores"
        pickles = [path.name for path in folder.iterdir() if path.suffix in (".pkl", ".pt", ".npy")]
        assert not pickles, f"saved as {pickles}, which may hold pickles; use safetensors"


def check_a_sequential_model_learns_a_chain(kind: str, settings: Values) -> None:
    """Check that a model that calls itself sequential learns which item follows which, completely."""
    if registry.model_class(kind).sequential:
        recall = recall_at_1(fitted(kind, settings, chain(seed=0)), chain(n_sessions=40, seed=1))
        assert recall == 1.0, f"Recall@1 on a deterministic chain is {recall:.3f}, not 1"


def check_sessions_of_one_click_teach_no_transition(kind: str, settings: Values) -> None:
    """Check that a sequential model learns a chain also where sessions of one click stand in between."""
    if registry.model_class(kind).sequential:
        whole, rng = chain(seed=0), np.random.default_rng(3)
        walks = [whole.items[start : start + 5].tolist() for start in whole.offsets[:-1]]
        train = sessions_of([walk for pair in walks for walk in (pair, [int(rng.integers(0, 8))])], 8)
        recall = recall_at_1(fitted(kind, settings, train), chain(n_sessions=40, seed=1))
        assert recall == 1.0, f"with sessions of one click, Recall@1 on a deterministic chain is {recall:.3f}, not 1"


def check_unseen_clicks_are_passed_over(kind: str, settings: Values) -> None:
    """Check that clicks on items that training did not hold change nothing."""
    model = fitted(kind, settings, _train())
    with_unseen = all_scores(model, sessions_of([[3, UNSEEN, 5, UNSEEN, 7, 1]], 40))
    without = all_scores(model, sessions_of([[3, 5, 7, 1]], 40))
    assert with_unseen[[0, 2, 4]].tolist() == without.tolist(), "an UNSEEN click before the last one changes scores"
    assert with_unseen[1].tolist() == with_unseen[0].tolist(), "an UNSEEN last click changes scores"


def check_a_history_of_unseen_clicks_ranks_every_item(kind: str, settings: Values) -> None:
    """Check that scores are finite where training held no click of the history."""
    scores = all_scores(fitted(kind, settings, _train()), sessions_of([[UNSEEN, 5]], 40))
    assert scores.shape == (1, 40), f"scores after UNSEEN clicks alone are {scores.shape}, not (1, items)"
    assert np.isfinite(scores).all(), "scores after UNSEEN clicks alone are not finite"


def check_the_same_seed_gives_the_same_model(kind: str, settings: Values) -> None:
    """Check that two fits with one seed have the same scores, byte for byte."""
    train, test = random_sessions(40, 100, seed=1), random_sessions(40, 30, seed=2)
    one, two = (all_scores(fitted(kind, settings, train), test) for _ in range(2))
    assert one.tobytes() == two.tobytes(), "two fits with the same seed differ"


def check_only_a_random_model_depends_on_its_seed(kind: str, settings: Values) -> None:
    """Check that another seed changes the scores if and only if the model calls itself random."""
    train, test = random_sessions(40, 100, seed=1), random_sessions(40, 30, seed=2)
    one, two = (all_scores(fitted(kind, settings, train, seed), test) for seed in (7, 8))
    differ = one.tolist() != two.tolist()
    random = registry.model_class(kind).random
    assert differ == random, (
        f"`random` is {random}, and another seed {'changes' if differ else 'does not change'} scores"
    )


def check_an_empty_history_is_refused(kind: str, settings: Values) -> None:
    """Check that `recommend` raises ValueError where there is no click to go by."""
    model = fitted(kind, settings, random_sessions(40, 50, seed=1))
    assert "history is empty" in _refusal(lambda: model.recommend([], 5)), "recommend does not refuse an empty history"


def check_requests_outside_the_range_are_refused(kind: str, settings: Values) -> None:
    """Check that `recommend` raises ValueError, which names the range, for impossible items and numbers of items."""
    model = fitted(kind, settings, random_sessions(40, 50, seed=1))
    recommend: Callable[..., Any] = model.recommend
    for item in (40, 10**6, UNSEEN - 1, -(10**6), 2**40, 1.5, True, "3", None):
        refusal = _refusal(partial(recommend, [3, item, 5], 5))
        assert "0 to 39" in refusal, f"recommend does not refuse {item!r} among 40 items by naming the range"
    for k in (0, -1, 2.5, True, "5", None):
        refusal = _refusal(partial(recommend, [3], k))
        assert "from 1 on" in refusal, f"recommend does not refuse k = {k!r} by naming the range"
    items, scores = recommend([np.int64(3)], 10**6)
    assert sorted(items.tolist()) == list(range(40)), "with a large k, recommend does not give every item once"
    assert len(scores) == 40, "recommend does not give a score for each item"


def check_sessions_of_another_vocabulary_are_refused(kind: str, settings: Values) -> None:
    """Check that `score` raises ValueError if there are more or fewer items than in training."""
    model = fitted(kind, settings, random_sessions(40, 50, seed=1))
    for n_items in (39, 41, 1000):
        sessions = sessions_of([[n_items - 1, 3, n_items - 1]], n_items)
        refusal = _refusal(partial(_score_all, model, sessions))
        assert "0 to 39" in refusal, f"score does not refuse sessions over {n_items} items by naming the range"


def check_training_needs_known_items(kind: str, settings: Values) -> None:
    """Check that `fit` raises ValueError for UNSEEN clicks, and where there are no sessions."""
    model = registry.model_class(kind)(settings_of(kind, settings))
    unseen = sessions_of([[3, UNSEEN, 5], [1, 2]], 40)
    assert "UNSEEN" in _refusal(lambda: model.fit(unseen)), "fit does not refuse UNSEEN clicks"
    nothing = unseen.select(np.zeros(0, dtype=np.int64))
    assert "no sessions" in _refusal(lambda: model.fit(nothing)), "fit does not refuse to learn from no sessions"


def check_no_sessions_have_no_scores(kind: str, settings: Values) -> None:
    """Check that `score` gives no events for no sessions, and for sessions of one click."""
    model = fitted(kind, settings, random_sessions(40, 50, seed=1))
    for sessions in (_test().select(np.zeros(0, dtype=np.int64)), sessions_of([[3], [5]], 40)):
        n_events = sum(len(block) for block in model.score(sessions))
        assert n_events == 0, f"score gives {n_events} events for sessions without any"


def _score_all(model: Recommender, sessions: Sessions) -> None:
    for _ in model.score(sessions):
        pass


def _refusal(call: Callable[[], object]) -> str:
    """Return the message of the ValueError that a call raises, or an empty text."""
    try:
        call()
    except ValueError as error:
        return str(error)
    return ""


LEARNING: tuple[Check, ...] = (check_a_sequential_model_learns_a_chain, check_sessions_of_one_click_teach_no_transition)
CHECKS: list[Check] = [value for name, value in list(globals().items()) if name.startswith("check_")]


def check_model(kind: str, settings: Values, long_enough: Values | None = None) -> None:
    """Run all checks; `long_enough` are other settings with which a sequential model learns a chain completely.

    Raises:
        AssertionError: one does not hold; the message says which, and how.
    """
    for check in CHECKS:
        values = {**settings, **(long_enough or {})} if check in LEARNING else settings
        try:
            check(kind, values)
        except AssertionError as error:
            raise AssertionError(f"{kind}: {check.__name__}: {error}") from error
