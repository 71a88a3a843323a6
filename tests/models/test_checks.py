"""Every check can fail: a model with one fault does not pass it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gru4rec_cli.data.sessions import Sessions, Vocabulary, last_known_items
from gru4rec_cli.evaluation.scores import ScoreBlock
from gru4rec_cli.models import checks, markov, popularity, random, registry
from gru4rec_cli.models.base import FitContext, FitReport
from tests.worlds import sessions_of

Fault = Callable[[Any, Sessions, Any], Any]  # model, sessions, scores (n_targets, V) → faulty scores


def scoring(fault: Fault) -> type[markov.Model]:
    """A Markov chain whose scores have a fault."""

    class Faulty(markov.Model):
        def score(self, sessions: Sessions) -> Iterator[Any]:
            blocks = super().score(sessions)
            scores = np.concatenate([block.dense() for block in blocks])
            yield ScoreBlock(0, fault(self, sessions, scores))

    return Faulty


def by_event_number(model: Any, sessions: Sessions, scores: Any) -> Any:
    scores[np.arange(len(scores)), np.arange(len(scores)) % 40] += 50
    return scores


def by_next_click(model: Any, sessions: Sessions, scores: Any) -> Any:
    scores[np.arange(len(scores)), sessions.items[sessions.input_rows() + 1]] += 50
    return scores


def by_unseen(model: Any, sessions: Sessions, scores: Any) -> Any:
    scores[sessions.items[sessions.input_rows()] < 0, 3] += 50
    return scores


def no_number_after_unseen_clicks(model: Any, sessions: Sessions, scores: Any) -> Any:
    scores[last_known_items(sessions) < 0] = np.nan
    return scores


class Described(markov.Model):
    description = "no sentence"


class ZeroCandidates(markov.Model):
    def score(self, sessions: Sessions) -> Iterator[Any]:
        for block in super().score(sessions):
            block.lists.scores[:] = 0
            yield block


class OtherRecommendations(markov.Model):
    def recommend(self, history: Sequence[int], k: int) -> Any:
        items, scores = super().recommend(history, k)
        return items[::-1], scores[::-1]


class EmptyHistory(markov.Model):
    def recommend(self, history: Sequence[int], k: int) -> Any:
        return super().recommend(history or [0], k)


class AnyRequest(markov.Model):
    def recommend(self, history: Sequence[int], k: int) -> Any:
        return super().recommend([item if item in range(40) else 0 for item in history], k)


class AnyNumber(markov.Model):
    def recommend(self, history: Sequence[int], k: int) -> Any:
        return super().recommend(history, k if isinstance(k, int) and k > 0 else 1)


class AnyVocabulary(markov.Model):
    def score(self, sessions: Sessions) -> Iterator[Any]:
        few = sessions.items % len(self.order)
        yield from super().score(replace(sessions, items=few, vocabulary=Vocabulary.of(np.arange(len(self.order)))))


class AnyTraining(markov.Model):
    def fit(self, train: Sessions, context: FitContext = FitContext()) -> FitReport:
        known = replace(train, items=np.maximum(train.items, 0))
        return super().fit(known, context) if train.n_sessions else FitReport()


class OneMore(markov.Model):
    def score(self, sessions: Sessions) -> Iterator[Any]:
        if sessions.n_targets == 0:
            yield ScoreBlock(0, np.zeros((1, sessions.n_items), dtype=np.float32))
        yield from super().score(sessions)


class Forgetting(markov.Model):
    def save(self, folder: Any) -> None:
        self.arrays["levels"], kept = np.zeros_like(self.arrays["levels"]), self.arrays["levels"]
        super().save(folder)
        self.arrays["levels"] = kept
        self.__dict__.pop("order", None)


class AcrossSessions(markov.Model):
    """Learns from sessions of one click alone, if there are any: from each to the click that stands after it."""

    def fit(self, train: Sessions, context: FitContext = FitContext()) -> FitReport:
        singles = train.offsets[:-1][np.diff(train.offsets) == 1]
        if len(singles):
            pairs = [train.items[click : click + 2].tolist() for click in singles if click + 1 < len(train.items)]
            train = sessions_of(pairs, train.n_items)
        return super().fit(train, context)


class Sequential(popularity.Model):
    sequential = True


class NotRandom(random.Model):
    random = False


FAULTS: dict[str, type[Any]] = {
    "it_describes_itself": Described,
    "ranks_do_not_depend_on_the_order_of_sessions": scoring(by_event_number),
    "ranks_do_not_depend_on_batches": scoring(lambda m, s, x: -x if s.n_sessions == 1 else x),
    "scores_cover_every_event_and_item": scoring(lambda m, s, x: x.astype(np.float64)),
    "candidates_are_distinct_and_above_zero": ZeroCandidates,
    "recommend_gives_the_top_of_the_scores": OtherRecommendations,
    "only_earlier_clicks_are_looked_at": scoring(by_next_click),
    "a_loaded_model_gives_the_same_ranks": Forgetting,
    "a_history_of_unseen_clicks_ranks_every_item": scoring(no_number_after_unseen_clicks),
    "requests_outside_the_range_are_refused": AnyRequest,
    "sessions_of_another_vocabulary_are_refused": AnyVocabulary,
    "training_needs_known_items": AnyTraining,
    "no_sessions_have_no_scores": OneMore,
    "a_sequential_model_learns_a_chain": Sequential,
    "sessions_of_one_click_teach_no_transition": AcrossSessions,
    "unseen_clicks_are_passed_over": scoring(by_unseen),
    "the_same_seed_gives_the_same_model": scoring(lambda m, s, x: x + np.float32(np.random.default_rng().random())),
    "only_a_random_model_depends_on_its_seed": NotRandom,
    "an_empty_history_is_refused": EmptyHistory,
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_model_with_one_fault_does_not_pass(name: str, monkeypatch: pytest.MonkeyPatch):
    kind = FAULTS[name].__mro__[1].__module__.rpartition(".")[2]
    monkeypatch.setattr(registry, "model_class", lambda _: FAULTS[name])
    with pytest.raises(AssertionError):
        getattr(checks, f"check_{name}")(kind, {})


def test_a_metric_that_falls_with_the_cutoff_does_not_pass(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checks, "metric_values", lambda rank, name, k: (rank <= k) / k)
    with pytest.raises(AssertionError, match="falls"):
        checks.check_metrics_grow_with_the_cutoff("markov", {})


def test_every_check_has_a_fault():
    faults = {f"check_{name}" for name in FAULTS} | {"check_metrics_grow_with_the_cutoff"}
    assert {check.__name__ for check in checks.CHECKS} == faults


def test_a_model_that_takes_any_number_of_items_does_not_pass(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registry, "model_class", lambda _: AnyNumber)
    with pytest.raises(AssertionError, match="k = 0"):
        checks.check_requests_outside_the_range_are_refused("markov", {})
