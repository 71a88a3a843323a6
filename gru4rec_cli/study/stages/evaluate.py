"""`evaluate`: rank every test event by every model; metrics, differences between models, other protocols."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gru4rec_cli.base import names as names
from gru4rec_cli.base.arrays import Float64Array
from gru4rec_cli.base.files import MANIFEST, hash_file, hash_json, hash_table, read_json, write_json
from gru4rec_cli.base.warnings import warn
from gru4rec_cli.data.memory import require_room
from gru4rec_cli.data.sessions import UNSEEN, Sessions, read_sessions, read_vocabulary, without_unseen
from gru4rec_cli.data.synthetic import PlantedProcess
from gru4rec_cli.data.users import USERS_FILE
from gru4rec_cli.evaluation import oracle, ranking
from gru4rec_cli.evaluation.curves import curves_by_cutoff
from gru4rec_cli.evaluation.lists import summarise_lists
from gru4rec_cli.evaluation.metrics import TIE_RULES
from gru4rec_cli.evaluation.prediction_files import read_predictions
from gru4rec_cli.evaluation.predictions import (
    DESCRIPTION,
    PredictedRanks,
    rank_predictions,
    warn_of_predictions,
)
from gru4rec_cli.evaluation.scores import Block
from gru4rec_cli.evaluation.sensitivity import SampledProtocols, Shown, Values, sensitivity
from gru4rec_cli.evaluation.session_values import RankedFit
from gru4rec_cli.evaluation.settings import EvaluateSettings
from gru4rec_cli.evaluation.slices import WHOLE, target_facts
from gru4rec_cli.evaluation.summary import ALL_SEEDS, Row, Summary
from gru4rec_cli.models import registry
from gru4rec_cli.models.neural.ending import improving_at_the_end
from gru4rec_cli.study.fits import is_random, study_fits
from gru4rec_cli.study.freshness import code_hashes
from gru4rec_cli.study.ranks import Ranker
from gru4rec_cli.study.refits import refits_of
from gru4rec_cli.study.stage import StageResults, StageWork
from gru4rec_cli.study.stages.showing import metrics_results


@dataclass(frozen=True)
class _Ranked:
    """The ranks of all fits as far as the metrics need them: only this is in memory at once."""

    fits: dict[str, dict[int, RankedFit]] = field(default_factory=dict)  # by model and seed
    sampled: dict[str, list[dict[Shown, Float64Array]]] = field(default_factory=dict)  # one a fit; not of predictions
    predicted: dict[str, PredictedRanks] = field(default_factory=dict)  # by name


def run(work: StageWork) -> None:
    split = work.inputs["split"]
    whole = read_sessions(split / names.TEST_FILE, read_vocabulary(split / names.ITEMS_FILE))
    test = without_unseen(whole) if work.config.split.unseen == "keep" else whole.with_targets()
    settings = work.config.evaluate
    _require_room(work, test)
    ranked, not_applicable = _rank_all(work, whole, test)
    summary = Summary(ranked.fits, test, settings, work.config.seed, progress=work.progress)
    rows = summary.rows()
    pd.DataFrame(rows).to_csv(work.folder / names.METRICS_TABLE, index=False)
    document = {
        "protocol": _protocol(work, test),
        "division": {**_division(split), "left_out": _left_out(whole, test)},
        "models": _models(work, ranked),
        "not_applicable": not_applicable,
        "metrics": rows,
        "curves": _curves(work, ranked, test),
        "differences": summary.differences(),
        "sensitivity": sensitivity(_values(rows, ranked.sampled), ranked.sampled, settings, test.n_items)
        if settings.sensitivity
        else None,
    }
    write_json(work.folder / names.METRICS_FILE, document)
    _warn_of_few_permutations(len(ranked.fits), settings)


def _warn_of_few_permutations(models: int, settings: EvaluateSettings) -> None:
    """Warn where even the smallest possible p-value, corrected for the number of pairs, is not significant."""
    pairs, level = models * (models - 1) // 2, 1 - settings.confidence
    smallest = min(1.0, pairs / (1 + settings.permutations))
    if smallest > level:
        warn(
            "too-few-permutations",
            f"evaluate.permutations is {settings.permutations:,}: with {pairs} pairs of models, no p-value can be "
            f"below {smallest:.3f} after Holm's correction, so no difference can be significant",
            f"set evaluate.permutations to {math.ceil(pairs / level):,} or more",
        )


def _require_room(work: StageWork, test: Sessions) -> None:
    """Raise `UsageError` where the longest lists, or the resamples of the curves up to them, do not fit into memory."""
    settings = work.config.evaluate
    longest = min(max(settings.cutoffs), test.n_items)
    lists = 21 * test.n_targets * longest  # int32 items, their int64 ids, whether they repeat, their popularity
    curves = 24 * settings.resamples * longest
    require_room(
        lists + curves,
        f"evaluate.cutoffs: the largest, {max(settings.cutoffs):,}, with {test.n_targets:,} test events and "
        f"{settings.resamples:,} resamples",
        "lower the largest of evaluate.cutoffs, or evaluate.resamples",
    )


def _rank_all(work: StageWork, whole: Sessions, test: Sessions) -> tuple[_Ranked, dict[str, str]]:
    """Rank by every fit, by the lists of other tools and, where the events are planted, by the oracle. Return what
    ranked, and by model the reason why it does not apply."""
    settings = work.config.evaluate
    ranker, ranked = Ranker(work, test), _Ranked()
    protocols = SampledProtocols(test, settings) if settings.sensitivity else None

    def add(model: str, seed: int, fit: str, key: str, score: Callable[[], Iterator[Block]]) -> None:
        found = ranker.rank(fit, key, score)
        lists = summarise_lists(found.lists, test, settings.cutoffs)
        ranked.fits.setdefault(model, {})[seed] = RankedFit(found.greater, found.equal, lists)
        if protocols:
            ranked.sampled.setdefault(model, []).append(protocols.means(found))

    data = _data_hashes(work.inputs["split"])
    for section in ("baseline", "train"):
        for fit in study_fits(work.config, section):
            folder = work.inputs[section] / fit.name
            manifest = read_json(folder / MANIFEST)
            key = hash_json([data, manifest["key"], manifest["outputs"]])
            add(fit.model, fit.seed, fit.name, key, partial(_score, folder, test))
    for name, file in settings.predictions.items():
        ranker.record_use()
        with work.progress.task(f"ranking by {name}"):
            lists = ranked.predicted[name] = rank_predictions(read_predictions(Path(file)), whole, test)
        warn_of_predictions(name, lists, min(max(settings.cutoffs), test.n_items))
        ranker.write_ranks(name, {names.GREATER: lists.greater, names.EQUAL: lists.equal})
        longest = lists.longest if lists.longest < test.n_items else None
        ranked.fits[name] = {work.config.seed: RankedFit(lists.greater, lists.equal, None, longest)}
    not_applicable: dict[str, str] = {}
    if work.config.synthetic:
        faults = work.config.synth.faults
        altered = f"faults are planted in it: {', '.join(faults)}" if faults else ""
        altered = altered or _altered(read_json(work.inputs["split"] / names.STATISTICS_FILE))
        if altered:
            not_applicable[names.ORACLE] = altered
        else:
            path = work.inputs["synth"] / names.PROCESS_FILE
            score = partial(_oracle_scores, path, test)
            add(names.ORACLE, work.config.seed, names.ORACLE, _oracle_key(path, data), score)
    ranker.write_keys()
    return ranked, not_applicable


def _curves(work: StageWork, ranked: _Ranked, test: Sessions) -> dict[str, Any]:
    """Return every metric by cutoff, by model; without lists that are shorter than the largest cutoff."""
    curves: dict[str, Any] = {}
    largest = max(work.config.evaluate.cutoffs)
    known = {model: fits for model, fits in ranked.fits.items() if all(fit.reaches(largest) for fit in fits.values())}
    with work.progress.task("curves by cutoff", total=len(known), unit="models") as task:
        for model, fits in known.items():
            curves[model] = curves_by_cutoff(list(fits.values()), test, work.config.evaluate, work.config.seed)
            task.advance()
    return curves


def _data_hashes(split: Path) -> list[str]:
    tables = (split / file for file in (names.TEST_FILE, names.ITEMS_FILE, USERS_FILE))
    return [hash_table(path) for path in tables if path.exists()] + code_hashes(ranking)


def _score(folder: Path, test: Sessions) -> Iterator[Block]:
    return registry.load_model(folder).score(test)


def _oracle_scores(process: Path, test: Sessions) -> Iterator[Block]:
    return oracle.oracle_scores(PlantedProcess.load(process), test)


def _oracle_key(process: Path, data: list[str]) -> str:
    return hash_json([data, hash_file(process), code_hashes(oracle)])


def _altered(statistics: dict[str, Any]) -> str:
    """Return why the test sessions are not those that were planted, or an empty text. Straddling sessions do not count:
    they are dropped whole, by their times alone."""
    removals = [entry for entry in statistics["removals"] if entry["step"] in ("cleaning", "test") and entry["events"]]
    if removals:
        reasons = dict.fromkeys(str(entry["reason"]) for entry in removals)
        return "; ".join(["the split removed events of the sessions that were planted", *reasons])
    if statistics["unseen"]["test"]["events"]:
        return "the test holds items that training lacks"
    return ""


def _values(rows: list[Row], models: Collection[str]) -> dict[str, Values]:
    """Return the means over all events and seeds under full ranking, by model."""
    values: dict[str, dict[tuple[str, str, int], float]] = {}
    for row in rows:
        whole = row["seed"] == ALL_SEEDS and row["slice"] == WHOLE and row["ties"] in TIE_RULES
        if whole and row["model"] in models:
            values.setdefault(row["model"], {})[row["ties"], row["metric"], row["k"]] = row["value"]
    return dict(values)


def _protocol(work: StageWork, test: Sessions) -> dict[str, Any]:
    settings = work.config.evaluate
    return {
        "task": "next item: every click of a test session but its first, from the clicks before it",
        "candidates": "all training items",
        "unit": "events",
        "ties": settings.ties,
        "cutoffs": list(settings.cutoffs),
        "unseen": work.config.split.unseen,
        "interval": "session-cluster bootstrap, percentiles",
        "confidence": settings.confidence,
        "resamples": settings.resamples,
        "test": "paired randomisation test, sign flips by session; Holm over the pairs of models, for each metric",
        "permutations": settings.permutations,
        "seed": work.config.seed,
        "seeds": list(work.config.seeds or (work.config.seed,)),
        "slices": {"target": target_facts(test.vocabulary.supports)},
        "events": test.n_targets,
        "sessions": test.n_sessions,
        "items": test.n_items,
    }


def _division(split: Path) -> dict[str, Any]:
    """Return how training and test came about, as far as it must stand beside the results."""
    statistics = read_json(split / names.STATISTICS_FILE)
    return {key: statistics[key] for key in ("source", "overlap", "leaks", "removals") if key in statistics}


def _left_out(whole: Sessions, test: Sessions) -> dict[str, int]:
    """Return what of the written test part is not ranked: events of unseen items, then sessions of fewer than two."""
    unseen = np.count_nonzero(whole.items == UNSEEN) - np.count_nonzero(test.items == UNSEEN)
    return {"unseen_events": int(unseen), "sessions": whole.n_sessions - test.n_sessions}


def _models(work: StageWork, ranked: _Ranked) -> dict[str, Any]:
    models: dict[str, Any] = {}
    own = work.config.default_rows()
    for section in ("baseline", "train"):
        for name, entry in work.config.fitted(section).items():
            fits = [fit.name for fit in study_fits(work.config, section) if fit.model == name]
            refits = refits_of(work.inputs[section], fits)
            models[name] = {
                "kind": entry.kind,
                "stage": section,
                "description": registry.model_class(entry.kind).description,
                "settings": entry.settings.model_dump(mode="json"),
                "training_order": entry.settings.training_order,
                "seeds": list(ranked.fits[name]),
                "random": is_random(entry.kind),
                "improving": _improving(work.inputs[section], fits),
                **({"refit": refits} if refits else {}),
                **({"default_of": own[name]} if name in own else {}),
            }
    for name, lists in ranked.predicted.items():
        file = work.config.evaluate.predictions[name]
        about = {"longest": lists.longest, "missing": lists.missing}
        models[name] = _not_fitted(ranked, name, names.PREDICTIONS, DESCRIPTION, {"file": file}) | {"lists": about}
    if names.ORACLE in ranked.fits:
        models[names.ORACLE] = _not_fitted(ranked, names.ORACLE, names.ORACLE, oracle.DESCRIPTION, {})
    return models


def _not_fitted(ranked: _Ranked, name: str, kind: str, description: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Return what is told of a row of the results that is no fitted model."""
    about = {"kind": kind, "stage": kind, "description": description, "settings": settings}
    return {**about, "seeds": list(ranked.fits[name]), "random": False, "improving": {}}


def _improving(stage: Path, fits: list[str]) -> dict[str, str]:
    """Return those of the fits of a model that still improved in their last epoch, with the sign of it."""
    curves = {name: read_json(stage / name / names.FIT_FILE)["curve"] for name in fits}
    signs = {name: improving_at_the_end(curve) for name, curve in curves.items()}
    return {name: sign for name, sign in signs.items() if sign is not None}


def results(folder: Path, inputs: Mapping[str, Path]) -> StageResults:
    return metrics_results(folder, inputs)
