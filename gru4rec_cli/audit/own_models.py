"""A fitted model of a run as something that can be checked: how it scores, how it is changed, how it learns."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gru4rec_cli.audit.check import CannotCheck
from gru4rec_cli.audit.model import Histories, Score, Scorer, Scores
from gru4rec_cli.base.arrays import AnyArray
from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.base.names import ITEMS_FILE, TEST_FILE
from gru4rec_cli.data.sessions import Sessions, Vocabulary, read_sessions, read_vocabulary
from gru4rec_cli.models import registry
from gru4rec_cli.models.base import FitContext
from gru4rec_cli.models.checks import sessions_of
from gru4rec_cli.models.fitted import FittedModel
from gru4rec_cli.models.neural.gradient import GradientLearner
from gru4rec_cli.models.neural.model import NeuralModel
from gru4rec_cli.models.neural.trainer import Learner, Parameters
from gru4rec_cli.serving.loading import load_run

_EVENTS = 300  # histories that are tried
_SECOND, _HOUR = 1_000_000, 3_600_000_000


def scorer_of_run(run: Path, model: str) -> Scorer:
    """Return a fitted model of a run, with histories of its test.

    Raises:
        UsageError: the run has no such model.
    """
    folder = load_run(run).folder(model)
    test = read_sessions(run / "split" / TEST_FILE, read_vocabulary(run / "split" / ITEMS_FILE), known_only=True)
    histories = _histories(test)
    step = max(1, len(histories) // _EVENTS)

    def load() -> FittedModel:
        return registry.load_model(folder)

    return scorer_of(f"{run}, {folder.name}", load(), histories[::step], lambda: _score(load()))


def scorer_of(name: str, fitted: FittedModel, histories: Histories, again: Callable[[], Score]) -> Scorer:
    """Return a fitted model with some histories to try it with; `again` loads it anew."""
    return Scorer(
        name,
        _score(fitted),
        histories,
        again,
        skips_unknown=True,
        followed=lambda histories, futures: _scores(fitted, histories, futures),
        renumbered=lambda: _renumbered(fitted, histories),
        gradients=lambda: _gradients(fitted),
    )


def _histories(sessions: Sessions) -> list[list[int]]:
    """Return the history of every event."""
    clicks = [sessions.items[a:b].tolist() for a, b in zip(sessions.offsets[:-1], sessions.offsets[1:], strict=True)]
    return [session[:stop] for session in clicks for stop in range(1, len(session))]


def _score(fitted: FittedModel) -> Score:
    return lambda histories: _scores(fitted, histories, [[0]] * len(histories))


def _scores(fitted: FittedModel, histories: Histories, futures: Histories) -> Scores:
    """Return the scores after every history in a session that goes on with a future, whose times are hours away."""
    clicks = [[*history, *future] for history, future in zip(histories, futures, strict=True)]
    offsets = np.concatenate([[0], np.cumsum([len(session) for session in clicks])]).astype(np.int64)
    steps = np.full(offsets[-1], _SECOND)
    events = offsets[:-1] + [len(history) for history in histories]  # (histories,) row of the click after each
    for row, future in zip(events, futures, strict=True):
        steps[row : row + len(future)] = _HOUR * (1 + np.asarray(future))
    items = np.concatenate([np.asarray(session, dtype=np.int32) for session in clicks])
    sessions = Sessions(items, offsets, np.cumsum(steps), np.arange(len(clicks)), Vocabulary.of(fitted.ids))
    wanted = events - np.arange(len(clicks)) - 1  # (histories,) number of the event among all that are predicted
    found: list[Scores] = []
    for block in fitted.score(sessions):
        of_block = wanted[(wanted >= block.start) & (wanted < block.start + len(block))]
        found.append(block.dense()[of_block - block.start].astype(np.float64))
    return np.concatenate(found)


def _renumbered(fitted: FittedModel, histories: Histories) -> tuple[Scorer, Score]:
    """Return a model, and the scores of the same one with its V items numbered backwards.

    A network has the rows of its item matrices exchanged. Another model is fitted on made-up sessions, twice.
    """
    model, name = fitted.model, fitted.kind
    if isinstance(model, NeuralModel):
        tables = _item_tables(model, _learner(model, fitted).parameters())
        turned = type(model)(fitted.settings)
        turned.parameters = {key: value.flip(0) if key in tables else value for key, value in model.parameters.items()}
        return Scorer(name, _score(fitted), histories), _score(replace(fitted, model=turned))
    if model.random:
        raise CannotCheck(f"{name} draws random numbers item by item, so that other numbers make another model")
    train = _made_up(fitted)
    ids, supports = train.vocabulary.ids[::-1], train.vocabulary.supports[::-1]
    backwards = replace(train, items=train.n_items - 1 - train.items, vocabulary=Vocabulary(ids, supports))
    as_it_is, other = (_fitted_again(fitted, sessions) for sessions in (train, backwards))
    return Scorer(name, _score(as_it_is), _histories(train)[:_EVENTS]), _score(other)


def _made_up(fitted: FittedModel) -> Sessions:
    """Return some sessions over another number of items than a model has. No two items have as many clicks, since
    popularity, and only then an item's number, decides which of equal rules are kept."""
    n_items = 40 if len(fitted.ids) != 40 else 41
    clicks = np.random.default_rng(1).permutation(np.repeat(np.arange(n_items), np.arange(n_items) + 5))
    return sessions_of([session.tolist() for session in np.array_split(clicks, len(clicks) // 5)], n_items)


def _fitted_again(fitted: FittedModel, train: Sessions) -> FittedModel:
    model = type(fitted.model)(fitted.settings)
    model.fit(train, FitContext(seed=fitted.seed))
    return FittedModel(fitted.kind, fitted.settings, fitted.seed, model, train.vocabulary.ids)


def _learner(model: NeuralModel[Any], fitted: FittedModel) -> Learner:
    """Return a training of a network on made-up sessions that has not begun."""
    try:
        return model.learner(_made_up(fitted), fitted.seed)
    except UsageError as error:
        raise CannotCheck(f"it cannot be trained here: {error.message}") from error


def _item_tables(model: NeuralModel[Any], others: Parameters) -> set[str]:
    """Return the parameters with a row for each item: those with another number of rows in a network of the same
    settings for another number of items."""
    return {name for name, value in model.parameters.items() if value.shape[:1] != others[name].shape[:1]}


def _gradients(fitted: FittedModel) -> dict[str, AnyArray]:
    """Return the gradients of a network by parameter, their absolute values added over an epoch on made-up sessions;
    those of an item matrix row by row. Where a training does not show them: how far parameters moved."""
    model = fitted.model
    if not isinstance(model, NeuralModel):
        raise CannotCheck(f"{fitted.kind} has no parameters with gradients, or trains in a program of its own")
    learner = _learner(model, fitted)
    before = {name: value.clone() for name, value in learner.parameters().items()}
    seen = _watched(learner) if isinstance(learner, GradientLearner) else None
    for _ in learner.epoch(fitted.seed):
        pass
    found = seen if seen is not None else {name: value - before[name] for name, value in learner.parameters().items()}
    tables = _item_tables(model, before)
    whole = {name: value.cpu().numpy() for name, value in found.items()}
    rows = {f"{name}[{item}]": row for name in tables for item, row in enumerate(whole[name])}
    return {name: value for name, value in whole.items() if name not in tables} | rows


def _watched(learner: GradientLearner[Any]) -> dict[str, Tensor]:
    """Return tensors to which the absolute value of every gradient will be added, by parameter."""
    sums = {name: torch.zeros_like(value, requires_grad=False) for name, value in learner.trained.items()}
    names = {value: name for name, value in learner.trained.items()}

    def add(parameter: Tensor) -> None:
        assert parameter.grad is not None
        sums[names[parameter]] += parameter.grad.to_dense().abs()

    for parameter in names:
        parameter.register_post_accumulate_grad_hook(add)  # type: ignore[no-untyped-call]
    return sums
