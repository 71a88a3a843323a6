"""What must hold for every model; a new file in `models/` is tested on arrival."""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from gru4rec_cli.base.settings import ModelSettings
from gru4rec_cli.data.sessions import UNSEEN, Sessions
from gru4rec_cli.evaluation import scores as score_blocks
from gru4rec_cli.evaluation.metrics import metric_values, ranks
from gru4rec_cli.evaluation.ranking import TargetRanks, rank_targets
from gru4rec_cli.evaluation.scores import CandidateBlock
from gru4rec_cli.models import registry
from gru4rec_cli.models.base import FitContext, Recommender
from tests.fetched import skip_unless_fetched
from tests.worlds import chain, random_sessions, sessions_of

# Settings that make a kind small and quick; a kind without an entry is tested with its defaults.
SMALL: dict[str, dict[str, Any]] = {
    "gru4rec": {"layers": [16], "epochs": 2, "batch_size": 8, "n_sample": 8, "dropout_p_hidden": 0.0},
    "official": {"layers": [16], "epochs": 2, "batch_size": 8, "n_sample": 8, "dropout_p_hidden": 0.0},
    "sasrec": {"hidden_size": 16, "heads": 2, "length": 6, "epochs": 2, "batch_size": 8, "n_sample": 8},
}
# A kind can be several models in one: each of these is tested like a kind, as `kind:variant`.
VARIANTS: dict[str, dict[str, Any]] = {
    "gru4rec:one-hot": {"embedding": "none", "layers": [12, 16]},
    "gru4rec:separate": {"embedding": 6, "loss": "bpr-max", "learning_rate": 0.05},
    "markov:second-order": {"order": 2},
}
MODELS = [*registry.kinds(), *VARIANTS]
LONG_ENOUGH: dict[str, dict[str, Any]] = {
    "gru4rec": {"epochs": 20},
    "official": {"epochs": 20},
    "sasrec": {"epochs": 10},
}  # to learn the chain completely
SEQUENTIAL = [kind for kind in MODELS if registry.model_class(kind.split(":")[0]).sequential]
IN_ONE_FILE = [kind for kind in registry.kinds() if kind not in SMALL]  # the baselines
RANDOM = [kind for kind in registry.kinds() if registry.model_class(kind).random]

every_kind = pytest.mark.parametrize("kind", MODELS)


def fitted(kind: str, train: Sessions, **changes: Any) -> Recommender:
    skip_unless_fetched(kind)
    model = registry.model_class(kind.split(":")[0])(settings_of(kind, **changes))
    model.fit(train, FitContext(seed=7))
    return model


def settings_of(kind: str, **changes: Any) -> ModelSettings:
    base = kind.split(":")[0]
    given = SMALL.get(base, {}) | VARIANTS.get(kind, {}) | changes
    return registry.settings_class(base).model_validate_json(json.dumps(given))


def ranked(model: Recommender, sessions: Sessions) -> TargetRanks:
    return rank_targets(model.score(sessions), sessions)


def recall_at_1(model: Recommender, sessions: Sessions) -> float:
    found = ranked(model, sessions)
    return float(metric_values(ranks(found.greater, found.equal, "conservative"), "recall", 1).mean())


def all_scores(model: Recommender, sessions: Sessions) -> npt.NDArray[np.floating]:
    return np.concatenate([block.dense() for block in model.score(sessions)])


def test_kinds_are_found_by_their_files():
    assert {"gru4rec", "markov", "official", "popularity"} <= set(registry.kinds())
    assert not {"base", "registry", "indexes"} & set(registry.kinds())


@every_kind
def test_a_model_says_what_it_is(kind: str):
    model = registry.model_class(kind.split(":")[0])
    assert model.description.endswith(".")
    assert isinstance(model.random, bool)
    assert isinstance(model.sequential, bool)


@every_kind
def test_metrics_do_not_depend_on_the_order_of_test_sessions(kind: str):
    train, test = random_sessions(40, 300, seed=1), random_sessions(40, 90, seed=2)
    model = fitted(kind, train)
    order = np.random.default_rng(0).permutation(test.n_sessions)
    shuffled = test.select(order)
    straight, other = ranked(model, test), ranked(model, shuffled)
    by_session = dict(zip(_keys(test), _pairs(straight), strict=True))
    assert [by_session[key] for key in _keys(shuffled)] == _pairs(other)


def _keys(sessions: Sessions) -> list[tuple[int, int]]:
    owners = sessions.session_ids[sessions.event_sessions()]
    return list(zip(owners.tolist(), sessions.event_positions().tolist(), strict=True))


def _pairs(found: TargetRanks) -> list[tuple[int, int]]:
    return list(zip(found.greater.tolist(), found.equal.tolist(), strict=True))


@every_kind
def test_metrics_do_not_depend_on_how_events_are_batched(kind: str, monkeypatch: pytest.MonkeyPatch):
    train, test = random_sessions(40, 300, seed=1), random_sessions(40, 90, seed=2)
    model = fitted(kind, train)
    whole = ranked(model, test)
    monkeypatch.setattr(score_blocks, "SCORE_BLOCK_BYTES", 1)  # the smallest blocks there are
    assert _pairs(ranked(model, test)) == _pairs(whole)
    alone = [ranked(model, test.select(np.array([session]))) for session in range(test.n_sessions)]
    assert [pair for found in alone for pair in _pairs(found)] == _pairs(whole)


@every_kind
def test_scores_cover_every_event_and_item_in_float32_blocks(kind: str):
    train, test = random_sessions(40, 300, seed=1), random_sessions(40, 90, seed=2)
    blocks = list(fitted(kind, train).score(test))
    for block in blocks:
        scores = block.lists.scores if isinstance(block, CandidateBlock) else block.dense()
        assert scores.dtype == np.float32
    assert [block.start for block in blocks] == np.cumsum([0, *(len(block) for block in blocks[:-1])]).tolist()
    assert np.concatenate([block.dense() for block in blocks]).shape == (test.n_targets, 40)


@every_kind
def test_candidates_stand_once_and_above_nothing(kind: str):
    train, test = random_sessions(40, 300, seed=1), random_sessions(40, 90, seed=2)
    for block in fitted(kind, train).score(test):
        if isinstance(block, CandidateBlock):
            assert (block.lists.scores > 0).all()
            for row in set(block.rows.tolist()) - {-1}:
                items = block.lists.items[block.lists.offsets[row] : block.lists.offsets[row + 1]].tolist()
                assert len(items) == len(set(items))


@every_kind
def test_recommend_gives_the_top_of_the_scores_that_are_ranked(kind: str):
    train, test = random_sessions(40, 300, seed=1), random_sessions(40, 20, seed=2)
    model = fitted(kind, train)
    scores = all_scores(model, test)
    event = 0
    for session in range(test.n_sessions):
        clicks = test.items[test.offsets[session] : test.offsets[session + 1]].tolist()
        for length in range(1, len(clicks)):
            items, best = model.recommend(clicks[:length], 5)
            assert scores[event, items].tolist() == np.sort(scores[event])[::-1][:5].tolist()
            assert scores[event, items].astype(np.float32).tolist() == best.tolist()
            event += 1


@every_kind
def test_only_the_clicks_before_an_event_are_looked_at(kind: str):
    train = random_sessions(40, 300, seed=1)
    model = fitted(kind, train)
    one = all_scores(model, sessions_of([[3, 5, 7, 9]], 40))
    other = all_scores(model, sessions_of([[3, 5, 7, 30]], 40))
    assert one.tolist() == other.tolist()


@every_kind
def test_recall_and_mrr_grow_with_the_cutoff_and_mrr_ndcg_recall_are_in_order(kind: str):
    train, test = random_sessions(40, 300, seed=1), random_sessions(40, 90, seed=2)
    found = ranked(fitted(kind, train), test)
    rank = ranks(found.greater, found.equal, "conservative")
    means = {name: [metric_values(rank, name, k).mean() for k in range(1, 42)] for name in ("recall", "mrr", "ndcg")}
    assert (np.diff(means["recall"]) >= 0).all()
    assert (np.diff(means["mrr"]) >= 0).all()
    assert all(m <= n <= r for m, n, r in zip(means["mrr"], means["ndcg"], means["recall"], strict=True))
    assert means["recall"][-1] == 1.0


@every_kind
def test_a_saved_and_loaded_model_gives_the_same_ranks(kind: str, tmp_path: Path):
    train, test = random_sessions(40, 300, seed=1), random_sessions(40, 90, seed=2)
    model = fitted(kind, train)
    registry.save_model(tmp_path, kind.split(":")[0], settings_of(kind), 7, model)
    assert _pairs(ranked(registry.load_model(tmp_path), test)) == _pairs(ranked(model, test))
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".pkl", ".pt", ".npy")]


@pytest.mark.parametrize("kind", SEQUENTIAL)
def test_a_deterministic_chain_is_learnt_completely(kind: str):
    model = fitted(kind, chain(seed=0), **LONG_ENOUGH.get(kind.split(":")[0], {}))
    assert recall_at_1(model, chain(n_sessions=40, seed=1)) == 1.0


def test_popularity_cannot_learn_the_chain():
    assert recall_at_1(fitted("popularity", chain(seed=0)), chain(n_sessions=40, seed=1)) < 0.5


@every_kind
def test_unseen_clicks_are_passed_over(kind: str):
    model = fitted(kind, random_sessions(40, 300, seed=1))
    with_unseen = all_scores(model, sessions_of([[3, UNSEEN, 5, UNSEEN, 7, 1]], 40))
    without = all_scores(model, sessions_of([[3, 5, 7, 1]], 40))
    assert with_unseen[[0, 2, 4]].tolist() == without.tolist()
    assert with_unseen[1].tolist() == with_unseen[0].tolist()


@every_kind
def test_a_history_of_unseen_clicks_alone_still_ranks_every_item(kind: str):
    model = fitted(kind, random_sessions(40, 300, seed=1))
    scores = all_scores(model, sessions_of([[UNSEEN, 5]], 40))
    assert np.isfinite(scores).all()
    assert scores.shape == (1, 40)


@every_kind
def test_same_seed_same_model(kind: str):
    train, test = random_sessions(40, 100, seed=1), random_sessions(40, 30, seed=2)
    one, two = (all_scores(fitted(kind, train), test) for _ in range(2))
    assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("kind", RANDOM)
def test_a_random_model_depends_on_its_seed(kind: str):
    skip_unless_fetched(kind)
    train, test = random_sessions(40, 100, seed=1), random_sessions(40, 30, seed=2)
    scores = []
    for seed in (7, 8):
        model = registry.model_class(kind)(settings_of(kind))
        model.fit(train, FitContext(seed=seed))
        scores.append(all_scores(model, test).tolist())
    assert scores[0] != scores[1]


@pytest.mark.parametrize("kind", [kind for kind in registry.kinds() if kind not in RANDOM])
def test_any_other_model_does_not(kind: str):
    train, test = random_sessions(40, 100, seed=1), random_sessions(40, 30, seed=2)
    scores = []
    for seed in (7, 8):
        model = registry.model_class(kind)(settings_of(kind))
        model.fit(train, FitContext(seed=seed))
        scores.append(all_scores(model, test).tolist())
    assert scores[0] == scores[1]


def own_fields(kind: str) -> dict[str, Any]:
    """`FIELDS` of the kind's own test: for each of its settings another value, or what else to set, and that."""
    fields: dict[str, Any] = importlib.import_module(f"tests.models.test_{kind}").FIELDS
    return fields


@pytest.mark.parametrize("kind", IN_ONE_FILE)
def test_every_setting_of_a_baseline_changes_its_scores(kind: str):
    fields = own_fields(kind)
    assert set(fields) == set(registry.settings_class(kind).model_fields)
    train, test = random_sessions(40, 300, seed=1), random_sessions(40, 30, seed=2)
    for field, change in fields.items():
        both, value = change if isinstance(change, tuple) else ({}, change)
        scores = [all_scores(fitted(kind, train, **both, **more), test).tolist() for more in ({}, {field: value})]
        assert scores[0] != scores[1], field


@every_kind
def test_an_empty_history_is_refused(kind: str):
    with pytest.raises(ValueError, match="history is empty"):
        fitted(kind, random_sessions(40, 50, seed=1)).recommend([], 5)
