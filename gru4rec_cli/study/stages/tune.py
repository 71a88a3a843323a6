"""`tune`: search for settings of every model on the validation sessions; the test part is not opened."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gru4rec_cli.base.errors import CheckError, UsageError
from gru4rec_cli.base.files import hash_file, hash_json, hash_table, read_json, remove, write_json, write_text
from gru4rec_cli.base.names import COSTS, ITEMS_FILE, TRAIN_FILE, TRIALS_TABLE, TUNE_FILE, VALID_FILE
from gru4rec_cli.base.warnings import warn
from gru4rec_cli.base.yaml_loader import dump_yaml
from gru4rec_cli.models import registry
from gru4rec_cli.models.registry import settings_of
from gru4rec_cli.reporting.tables import Table
from gru4rec_cli.study.choices import BEST_FILE
from gru4rec_cli.study.config import StudyConfig
from gru4rec_cli.study.freshness import code_hashes
from gru4rec_cli.study.stage import StageResults, StageWork
from gru4rec_cli.tuning import choice, trial
from gru4rec_cli.tuning.reading import count_validation_events, mean_session_length
from gru4rec_cli.tuning.search import Search, read_costs
from gru4rec_cli.tuning.settings import TuneSettings
from gru4rec_cli.tuning.space import has_multiples, with_mean_session_length
from gru4rec_cli.tuning.trial import Trial
from gru4rec_cli.tuning.tuned import TunedModel, tuned_models
from gru4rec_cli.tuning.workers import open_workers


def run(work: StageWork) -> None:
    """Search for every model, one after the other, and write the ledger and the choices."""
    config, settings, split = work.config, _settings(work.config), work.inputs["split"]
    if not (split / VALID_FILE).exists():
        raise UsageError(
            "tune needs validation sessions, and there are none", "name some in data.columns.part, or set split.valid"
        )
    known_only = config.split.unseen == "keep"
    data = [hash_table(split / file) for file in (TRAIN_FILE, VALID_FILE, ITEMS_FILE)]
    found: dict[str, tuple[TunedModel, list[Trial]]] = {}
    with open_workers(split, known_only=known_only) as workers:
        for tuned in _models(config, split):
            code = [hash_file(path) for path in registry.source_files(tuned.kind)]
            key = hash_json([data, known_only, code, code_hashes(trial)])
            search = Search(tuned, settings, config.seed, key, work.folder, work.previous)
            found[tuned.name] = tuned, search.run(workers, work.progress)
    for leftover in [*work.folder.iterdir(), *(work.folder / COSTS).glob("*")]:
        if leftover.is_dir() and leftover.name not in {*found, COSTS}:
            remove(leftover)
    models = {
        name: {
            **_ledger(tuned, trials, settings),
            "used_up": _used_up(work.folder, name, settings),
        }
        for name, (tuned, trials) in found.items()
    }
    best: dict[str, Any] = {}
    all_chosen: dict[str, Trial] = {}
    for name, (tuned, trials) in found.items():
        picked = choice.chosen(trials, settings.choose)
        if picked is None:
            reason = next((each.message for each in trials if each.message), "all were pruned")
            raise CheckError(f"tune: no trial of {name} is complete: {reason}", "change its space, or its settings")
        all_chosen[name] = picked
        resolved = settings_of(tuned.kind, picked.entry).model_dump(mode="json")
        best.setdefault(tuned.section, {"models": {}})["models"][name] = {"kind": tuned.kind, **resolved}
    _rows(found).to_csv(work.folder / TRIALS_TABLE, index=False)
    about: dict[str, Any] = {
        "metric": settings.metric,
        "budget": settings.budget.model_dump(exclude_none=True),
        "search": settings.search,
    }
    about |= {"choose": settings.choose, "prune": settings.prune, "seed": config.seed, "defaults": settings.defaults}
    write_json(work.folder / TUNE_FILE, {**about, "models": models})
    write_text(work.folder / BEST_FILE, dump_yaml(best))
    _warn_of_few_events(all_chosen, count_validation_events(split, known_only=known_only), config, settings.metric)


def _models(config: StudyConfig, split: Path) -> list[TunedModel]:
    """Return the models that are tuned; their spaces hold no multiples of the mean session length any more."""
    models = tuned_models(_settings(config), config.tunable())
    if not any(has_multiples(tuned.space) for tuned in models):
        return models
    length = mean_session_length(split)
    return [tuned._replace(space=with_mean_session_length(tuned.space, length)) for tuned in models]


def _warn_of_few_events(all_chosen: Mapping[str, Trial], n_events: int, config: StudyConfig, metric: str) -> None:
    """Warn where the value of no model is known well enough to tell settings apart."""
    needed = {name: choice.events_needed(picked, n_events) for name, picked in all_chosen.items()}
    name = min(needed, key=needed.__getitem__)
    if needed[name] <= n_events:
        return
    picked = all_chosen[name]
    known = f"{metric} of {name} is 0 there"
    if picked.value:
        known = (
            f"{metric} of {name} is known best there, {picked.value:.4f} with a standard error of {picked.error:.4f}"
        )
    enough = f", to about {_rounded_up(needed[name]):,} validation events" if picked.value else ""
    more = "name more sessions valid in data.columns.part" if config.split.by == "column" else "raise split.valid"
    warn(
        "few-validation-events",
        f"the settings were chosen on {n_events:,} validation events; {known}: settings that differ by 5 % can hardly "
        "be told apart",
        more + enough,
    )


def _rounded_up(count: float) -> int:
    """Return a count with two digits that are not 0, at least as large."""
    unit: int = 10 ** max(0, math.floor(math.log10(count)) - 1)
    return math.ceil(count / unit) * unit


def _settings(config: StudyConfig) -> TuneSettings:
    assert config.tune is not None  # the table of stages asks for it
    return config.tune


def _ledger(tuned: TunedModel, trials: list[Trial], settings: TuneSettings) -> dict[str, Any]:
    """Return what a search did, without times, which differ from run to run."""
    by_rule = {rule: choice.chosen(trials, rule) for rule in ("best", "one-standard-error")}
    picked = by_rule[settings.choose]
    own = {key: trials[0].entry[key] for key in tuned.space}
    changed = {} if picked is None else {k: picked.entry[k] for k in own if picked.entry[k] != own[k]}
    return {
        "section": tuned.section,
        "kind": tuned.kind,
        "space": tuned.space,
        "trials": len(trials),
        "states": {state: sum(trial.state == state for trial in trials) for state in ("complete", "pruned", "failed")},
        "epochs": sum(trial.epochs or 0 for trial in trials) or None,
        "default": {**_value_of(trials[0]), "settings": own},
        "best": {rule: None if found is None else found.number for rule, found in by_rule.items()},
        "chosen": None if picked is None else {"trial": picked.number, **_value_of(picked), "changed": changed},
        "importance": choice.importance(trials, tuned.space),
        "importance_by_chance": choice.importance_by_chance(trials, tuned.space),
        "best_so_far": choice.best_so_far(trials),
    }


def _used_up(folder: Path, name: str, settings: TuneSettings) -> bool:
    """Return whether the space of a model had fewer points than the budget allows."""
    costs, budget = read_costs(folder, name), settings.budget
    if budget.trials is not None:
        return len(costs) < budget.trials
    return sum(cost["seconds"] for cost in costs) < (budget.seconds or 0.0)


def _value_of(trial: Trial) -> dict[str, Any]:
    return {"value": trial.value, "standard_error": trial.error, "state": trial.state}


def _rows(found: Mapping[str, tuple[TunedModel, list[Trial]]]) -> pd.DataFrame:
    """Return a row for each trial; columns `settings.NAME` are those of any space."""
    rows = []
    for name, (tuned, trials) in found.items():
        for each in trials:
            head = {"model": name, "trial": each.number, "state": each.state, "value": each.value}
            head |= {"standard_error": each.error, "epochs": each.epochs, "message": each.message}
            rows.append(head | {f"settings.{key}": each.entry[key] for key in tuned.space})
    return pd.DataFrame(rows)


def results(folder: Path, inputs: Mapping[str, Path]) -> StageResults:
    """Return what was searched, at what cost, and what was chosen, a row for each model."""
    document = read_json(folder / TUNE_FILE)
    rows = []
    for name, model in document["models"].items():
        model["seconds"] = sum(cost["seconds"] for cost in read_costs(folder, name))
        states, picked = model["states"], model["chosen"]
        changed = ", ".join(f"{key} {value}" for key, value in picked["changed"].items()) or "its own settings"
        counts = f"{model['trials']}" + (f" ({states['pruned']} pruned)" if states["pruned"] else "")
        counts += f" ({states['failed']} failed)" if states["failed"] else ""
        own = "–" if model["default"]["value"] is None else f"{model['default']['value']:.4f}"
        rows.append(
            (name, counts, f"{model['seconds']:.0f}", own, f"{picked['value']:.4f}", str(picked["trial"]), changed)
        )
    table = Table(
        title=f"Tuning: {document['metric']} on validation",
        columns=("Model", "Trials", "Time (s)", "Own settings", "Chosen", "Trial", "Changed"),
        rows=tuple(rows),
        numeric=frozenset({1, 2, 3, 4, 5}),
        notes=(
            "The values of the chosen trials are too high: they are the best of many. Only the test can judge them.",
        ),
    )
    return StageResults({**document, "best": str(folder / BEST_FILE)}, [table])
