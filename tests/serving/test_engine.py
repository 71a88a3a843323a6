"""A warm session gives what a replay of its clicks gives, and what `evaluate` ranks: bit for bit, for every kind."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gru4rec_cli.data.sessions import Sessions, Vocabulary
from gru4rec_cli.evaluation.ranking import best_items, rank_targets, tiles
from gru4rec_cli.models import registry
from gru4rec_cli.models.base import FitContext
from gru4rec_cli.models.fitted import FittedModel
from gru4rec_cli.models.neural.model import NeuralModel
from gru4rec_cli.serving.engine import Answer, Engine, Request, Served, TooLong
from gru4rec_cli.serving.sessions import SessionStore
from tests.models.small import GRADIENT, SMALL_GRADIENT
from tests.worlds import random_sessions

N_ITEMS = 50
GRU = {"epochs": 1, "batch_size": 8, "n_sample": 8, "layers": [16]}
KINDS: dict[str, dict[str, Any]] = {
    **{kind: {} for kind in registry.kinds() if kind != "official"},
    **dict.fromkeys(GRADIENT, SMALL_GRADIENT | {"epochs": 1}),
    "gru4rec": GRU,
}
GRU_KINDS = [GRU, GRU | {"layers": [12, 8], "embedding": "none"}, GRU | {"layers": [8, 16], "embedding": 12}]


def fitted(kind: str, given: dict[str, Any], seed: int = 3) -> FittedModel:
    chosen = registry.settings_of(kind, given)
    model = registry.model_class(kind)(chosen)
    model.fit(random_sessions(N_ITEMS, 60, seed=1), FitContext(seed=seed))
    return FittedModel(kind, chosen, seed, model, np.arange(N_ITEMS) * 10 + 5)


def engine_of(model: FittedModel, version: str = "one", **limits: Any) -> Engine:
    limits = {"max_states": 100, "max_clicks": 100} | limits
    return Engine(Served(model, version), SessionStore(1000.0, limits.pop("most", 1000)), **limits)


def answered(engine: Engine, *requests: Request) -> list[Answer]:
    answers = engine.answer(requests)
    assert all(isinstance(answer, Answer) for answer in answers), answers
    return answers  # type: ignore[return-value]


def clicks_of(sessions: Sessions) -> list[list[int]]:
    """The items' ids of every session, as `fitted` numbers them; unknown items have another one."""
    bounds = zip(sessions.offsets[:-1], sessions.offsets[1:], strict=True)
    return [[int(item) * 10 + 5 if item >= 0 else 7 for item in sessions.items[a:b]] for a, b in bounds]


@pytest.mark.parametrize("kind", KINDS)
def test_live_sessions_get_the_lists_and_scores_that_evaluate_ranks(kind: str):
    """Sessions take turns, in batches of several sizes; only four states are kept, so that some are made anew."""
    model = fitted(kind, KINDS[kind])
    test = random_sessions(N_ITEMS, 12, seed=2)
    items = test.items.copy()
    items[::7] = -1  # unknown
    test = replace(test, items=items, vocabulary=Vocabulary.of(model.ids))
    lists = rank_targets(model.score(test), test, longest=9).lists
    scores = np.concatenate([tile.dense() for tile in tiles(model.score(test))]).astype(np.float32)
    if isinstance(model.model, NeuralModel):
        model.model.prepare_for_requests()
    engine = engine_of(model, max_states=4)
    sessions, expected = clicks_of(test), np.concatenate([[0], np.cumsum(test.lengths - 1)])
    for position in range(int(test.lengths.max()) - 1):
        live = [number for number, clicks in enumerate(sessions) if position < len(clicks) - 1]
        for size, start in ((5, 0), (1, 5), (len(live), 6)):
            batch = live[start : start + size]
            requests = [Request((sessions[number][position],), 9, f"s{number}") for number in batch]
            for number, answer in zip(batch, answered(engine, *requests), strict=True):
                event = expected[number] + position
                assert answer.items == model.ids[lists[event]].tolist()
                assert answer.scores == scores[event, lists[event]].tolist()
                assert answer.clicks == position + 1
    alone = [Request(tuple(clicks[:-1]), 9) for clicks in sessions]
    last = [expected[number + 1] - 1 for number in range(len(sessions))]
    assert [a.items for a in answered(engine, *alone)] == model.ids[lists[last]].tolist()


@pytest.mark.parametrize("given", GRU_KINDS, ids=["one layer", "one-hot, two layers", "separate, two layers"])
def test_states_that_are_advanced_click_by_click_are_those_of_one_pass(given: dict[str, Any]):
    model = fitted("gru4rec", given)
    engine = engine_of(model)
    test = random_sessions(N_ITEMS, 5, seed=4)
    whole = np.concatenate([tile.dense() for tile in tiles(model.model.score(test))])
    best = best_items(next(iter(model.model.score(test))), 4)
    event = 0
    for number, clicks in enumerate(clicks_of(test)):
        for click in clicks[:-1]:
            (answer,) = answered(engine, Request((click,), 4, f"s{number}"))
            assert answer.items == model.ids[best[event]].tolist()
            assert answer.scores == whole[event, best[event]].tolist()
            event += 1
    assert len(engine.states) == test.n_sessions


@settings(max_examples=25, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("kind", ["gru4rec", "vsknn"])
def test_nothing_leaks_from_one_session_into_another(kind: str, data: st.DataObject):
    """Whatever comes between and beside them, whatever is forgotten or evicted, and with whatever wishes."""
    model = _MODELS.setdefault(kind, fitted(kind, KINDS[kind]))
    engine = engine_of(model, max_states=data.draw(st.integers(1, 4)), most=data.draw(st.integers(2, 6)))
    clicks: dict[str, list[int]] = {}
    item = st.sampled_from([*range(5, 505, 10), 7])
    wishes: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
        {"exclude_seen": st.booleans(), "exclude": st.lists(item, max_size=3).map(tuple)},
        optional={"candidates": st.lists(item, min_size=1, max_size=8).map(tuple)},
    )
    for _ in range(data.draw(st.integers(1, 8))):
        if data.draw(st.integers(0, 6)) == 0:
            engine.use(Served(model, "another"))
        batch = [
            Request((data.draw(item),), data.draw(st.integers(1, 6)), data.draw(st.sampled_from("abcd")), **wished)
            for wished in data.draw(st.lists(wishes, min_size=1, max_size=6))
        ]
        if data.draw(st.booleans()):
            forgotten = data.draw(st.sampled_from("abcd"))
            engine.sessions.forget(forgotten)
            clicks.pop(forgotten, None)
        for request, answer in zip(batch, answered(engine, *batch), strict=True):
            assert request.session is not None
            history = clicks.setdefault(request.session, [])
            history.append(int(request.items[0]))
            if answer.clicks == 1:  # it was evicted
                del history[:-1]
            assert answer.clicks == len(history)
            (cold,) = answered(engine_of(model), replace(request, items=tuple(history), session=None))
            assert (answer.items, answer.scores) == (cold.items, cold.scores)


_MODELS: dict[str, FittedModel] = {}


def test_wishes_are_of_one_request_alone():
    engine = engine_of(fitted("popularity", {}))
    all_items = answered(engine, Request((5,), 50))[0].items
    first, second, third = all_items[:3]
    answers = answered(
        engine,
        Request((5,), 2),
        Request((5,), 2, exclude=(first,)),
        Request((second,), 2, exclude_seen=True),
        Request((5,), 3, candidates=(third, first, 7)),
        Request((5,), 1),
    )
    assert [answer.items for answer in answers] == [
        [first, second],
        [second, third],
        [first, third],
        [first, third],
        [first],
    ]


def test_another_model_reads_the_clicks_anew():
    one, two = fitted("gru4rec", GRU, seed=1), fitted("gru4rec", GRU, seed=2)
    engine = engine_of(one)
    answered(engine, Request((5,), 3, "s"), Request((15,), 3, "s"))
    engine.use(Served(two, "two"))
    (after,) = answered(engine, Request((25,), 3, "s"))
    (cold,) = answered(engine_of(two, "two"), Request((5, 15, 25), 3))
    assert after == replace(cold, unknown=[])
    assert after.version == "two"


def test_clicks_that_only_the_next_model_knows_count_from_then_on():
    known = fitted("markov", {})
    fewer = replace(known, ids=np.where(known.ids == 15, 1, known.ids))
    engine = engine_of(fewer)
    (before,) = answered(engine, Request((15,), 3, "s"))
    assert before.unknown == [15]
    engine.use(Served(known, "two"))
    (after,) = answered(engine, Request((7,), 3, "s"))
    assert after.items == known.recommend([15], 3)[0].tolist()


def test_a_session_that_is_too_long_is_refused_and_stays_as_it_is():
    engine = engine_of(fitted("gru4rec", GRU), max_clicks=2)
    answers = engine.answer(
        [Request((5,), 1, "s"), Request((15,), 1, "s"), Request((25,), 1, "s"), Request((5,), 1, "t")]
    )
    assert [type(answer) for answer in answers] == [Answer, Answer, TooLong, Answer]
    kept = engine.sessions.get("s")
    assert kept is not None
    assert kept.clicks == [5, 15]


def test_a_batch_that_fails_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    model = fitted("gru4rec", GRU)
    engine = engine_of(model)
    (before,) = answered(engine, Request((5,), 3, "s"))
    with monkeypatch.context() as patch:
        patch.setattr(model.model, "score_states", lambda states: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            engine.answer([Request((15,), 3, "s")])
    (after,) = answered(engine, Request((15,), 3, "s"))
    assert after.clicks == 2
    assert after.scores == answered(engine, Request((5, 15), 3))[0].scores
    assert before.clicks == 1


def test_numbers_may_be_given_as_text_and_other_texts_are_unknown():
    engine = engine_of(fitted("markov", {}))
    (number,) = answered(engine, Request((5,), 3))
    (text,) = answered(engine, Request(("5",), 3))
    assert text == number
    assert answered(engine, Request(("5.0", "05", "+5", "٥", "x"), 3))[0].unknown == ["5.0", "05", "+5", "٥", "x"]
