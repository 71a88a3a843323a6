"""The tree-structured Parzen estimator (Bergstra et al., NIPS 2011), by Optuna: the extra [tune]."""

import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from gru4rec_cli.tuning.space import Entry, Space, allowed, trial_generator
from gru4rec_cli.tuning.trial import Trial
from gru4rec_cli.tuning.tuned import TunedModel

_TRIES = 100  # suggestions for one point, before the space is called used up
_STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}

optuna.logging.set_verbosity(optuna.logging.WARNING)


def suggested(
    tuned: TunedModel, seed: int, number: int, earlier: Sequence[Trial], seen: Sequence[Entry]
) -> Entry | None:
    """Return the point of a trial, one that is not in `seen`, or None where no such point is found.

    It follows from the seed, the model's name, the number and the earlier trials alone: every trial has a sampler of
    its own. Pruned and failed trials are told as such.
    """
    generator = trial_generator(seed, tuned.name, number)
    with warnings.catch_warnings(
        action="ignore"
    ):  # of experimental options, and of ends that are no multiple of a step
        distributions = {key: _distribution(tuned.space[key]) for key in sorted(tuned.space)}
        told = [frozen for trial in earlier if (frozen := _told(trial, tuned.space, distributions))]
        for _ in range(_TRIES):
            sampler = optuna.samplers.TPESampler(
                seed=int(generator.integers(2**31)), n_startup_trials=1, multivariate=True
            )
            study = optuna.create_study(direction="maximize", sampler=sampler)
            study.add_trials(told)
            params = study.ask(distributions).params
            values = {key: _value(tuned.space[key], params[key]) for key in tuned.space}
            point = allowed(tuned.kind, tuned.entry | values)
            if point is not None and point not in seen:
                return point
    return None


def _distribution(values: Any) -> BaseDistribution:
    """Return Optuna's form of the values of a setting; those of a list go by their places."""
    if isinstance(values, list):
        return CategoricalDistribution(range(len(values)))
    low, high, step, log = values["from"], values["to"], values.get("step"), values.get("scale") == "log"
    if isinstance(low, int) and isinstance(high, int) and isinstance(step, int | None):
        return IntDistribution(low, high, log=log, step=step or 1)
    return FloatDistribution(low, high, log=log, step=step)


def _value(values: Any, given: Any) -> Any:
    if isinstance(values, list):
        return values[given]
    return float(f"{given:.6g}") if isinstance(given, float) else given


def _told(trial: Trial, space: Space, distributions: dict[str, BaseDistribution]) -> FrozenTrial | None:
    """Return a trial as Optuna keeps it, or None where its settings are not of the space, as a model's own may be."""
    params = {}
    for key, values in space.items():
        given = trial.entry[key]
        if isinstance(values, list):
            if given not in values:
                return None
            params[key] = values.index(given)
        elif given is not None and values["from"] <= given <= values["to"]:
            params[key] = given
        else:
            return None
    return create_trial(
        state=_STATES[trial.state],
        value=trial.value if trial.state == "complete" else None,
        params=params,
        distributions=distributions,
        intermediate_values=dict(enumerate(trial.values)),
    )
