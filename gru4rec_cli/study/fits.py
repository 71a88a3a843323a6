"""What `baseline` and `train` share: fit every model of a section, once with each of its seeds."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gru4rec_cli.base.errors import StageError
from gru4rec_cli.base.files import (
    MANIFEST,
    hash_file,
    hash_folder,
    hash_json,
    hash_table,
    read_json,
    read_manifest,
    write_json,
    write_manifest,
)
from gru4rec_cli.base.machine import device
from gru4rec_cli.base.measuring import Cost, measured
from gru4rec_cli.base.names import (
    FIT_FILE,
    ITEMS_FILE,
    STATISTICS_FILE,
    TRAIN_FILE,
    VALID_FILE,
    FitName,
)
from gru4rec_cli.base.settings import ModelSettings
from gru4rec_cli.base.warnings import warn
from gru4rec_cli.data.sessions import Sessions, read_sessions, read_vocabulary
from gru4rec_cli.models import registry
from gru4rec_cli.models.base import FitContext, FitReport, Recommender
from gru4rec_cli.models.neural.ending import improving_at_the_end
from gru4rec_cli.models.warming import warm_up
from gru4rec_cli.reporting.tables import Table
from gru4rec_cli.study.config import ModelEntry, RefitOn, StudyConfig
from gru4rec_cli.study.costs import fit_costs
from gru4rec_cli.study.refits import (
    chooses_epoch,
    read_refit_sessions,
    refit_facts,
    refit_key,
    refit_settings,
)
from gru4rec_cli.study.stage import StageResults, StageWork


@dataclass(frozen=True)
class Fit:
    """One model fitted with one seed."""

    model: str
    seed: int
    entry: ModelEntry
    name: str  # of its folder and its files, as in `FitName`


@dataclass(frozen=True)
class _FitData:
    """The sessions that every model of a section is given."""

    train: Sessions
    valid: Sessions | None
    on: RefitOn | None
    again: Sessions | None  # for the second fit, if there is one


@dataclass(frozen=True)
class _Fitted:
    """A fitted model and how it came about."""

    model: Recommender
    settings: ModelSettings
    sessions: Sessions
    report: FitReport
    cost: Cost


def study_fits(config: StudyConfig, section: str) -> list[Fit]:
    """Return what `baseline` or `train` has to fit: random models once with every seed, all others once."""
    fits: list[Fit] = []
    for model, entry in config.fitted(section).items():
        seeds = (config.seeds or (config.seed,)) if is_random(entry.kind) else (config.seed,)
        several = len(seeds) > 1
        fits += [Fit(model, seed, entry, str(FitName(model, seed if several else None))) for seed in seeds]
    return fits


def is_random(kind: str) -> bool:
    """Return whether a model of this kind depends on its seed."""
    return registry.model_class(kind).random


def fit_models(work: StageWork, section: str) -> None:
    """Fit the models that are not there yet, in an interrupted try's folder or in the stage as it last was.

    A fit is taken over when its settings, seed, training data and code are the same, whatever it was named. Each fit's
    folder appears whole, its manifest with it; its cost and the machine stand in that manifest, the only parts that
    differ between runs.
    """
    split = work.inputs["split"]
    vocabulary = read_vocabulary(split / ITEMS_FILE)
    train = read_sessions(split / TRAIN_FILE, vocabulary)
    known_only = work.config.split.unseen == "keep"
    valid_file = split / VALID_FILE
    valid = read_sessions(valid_file, vocabulary, known_only=known_only) if valid_file.exists() else None
    data = _FitData(train, valid, work.config.refit(section), read_refit_sessions(work.config, section, split))
    fits, again = study_fits(work.config, section), refit_key(work.config, section, split)
    for number, fit in enumerate(fits, start=1):
        key, folder = fit_key(fit, split, again), work.folder / fit.name
        if _finished(folder, key):
            continue
        shutil.rmtree(folder, ignore_errors=True)
        before = _made_before([work.folder, work.previous], key)
        if before:
            _publish(_fresh_copy(before, work.folder / f".{fit.name}.copy"), folder)
            continue
        _fit(work, fit, key, f"{number} of {len(fits)}", data)
    for leftover in work.folder.iterdir():
        if leftover.is_dir() and leftover.name not in {fit.name for fit in fits}:
            shutil.rmtree(leftover)
    for fit in fits:
        named = work.config.default_rows().get(fit.model, fit.model)  # in the configuration as it is written
        _warn_of_early_end(fit, work.folder / fit.name, f"{section}.models.{named}")


def _fit(work: StageWork, fit: Fit, key: str, place: str, data: _FitData) -> None:
    checkpoints = work.folder / f".{fit.model}.{key[:16]}.checkpoints"
    checkpoints.mkdir(exist_ok=True)
    entry = fit.entry
    first, last = _fitted_once_or_twice(work, fit, place, data, checkpoints)
    fresh = work.folder / f".{fit.name}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    registry.save_model(fresh, entry.kind, last.settings, fit.seed, last.model, last.sessions.vocabulary.ids)
    refit: dict[str, Any] = {}
    if data.on is not None:
        refit = {"refit": refit_facts(data.on, last.sessions, last.report)}
    second_curve = {"refit": refit["refit"] | {"curve": last.report.curve}} if first is not last else refit
    write_json(fresh / FIT_FILE, {"curve": first.report.curve, "facts": last.report.facts, **second_curve})
    package = registry.package(entry.kind)
    made_by = {"package": package} if package else {}
    cost = _total([first.cost, last.cost] if first is not last else [last.cost])
    made = {"key": key, **made_by, **refit, "outputs": hash_folder(fresh)}
    write_manifest(fresh / MANIFEST, {**made, "cost": cost, "device": device()})
    _publish(fresh, work.folder / fit.name)


def _fitted_once_or_twice(
    work: StageWork, fit: Fit, place: str, data: _FitData, checkpoints: Path
) -> tuple[_Fitted, _Fitted]:
    """Return the fit that chose the epoch, and the one that is kept. They are one and the same unless both are needed:
    a model without validation is fitted on the sessions of the second fit alone."""
    settings, first = fit.entry.settings, None
    if data.again is None or chooses_epoch(settings):
        with work.progress.task(f"fitting {fit.name}, {place}"):
            context = FitContext(data.valid, work.progress, checkpoints, fit.seed)
            first = _fitted(fit.entry, settings, data.train, context)
        if data.again is None:
            return first, first
        settings = refit_settings(settings, first.report)
    checkpoints = checkpoints / "refit"
    checkpoints.mkdir(exist_ok=True)
    with work.progress.task(f"fitting {fit.name} on {data.on}, {place}"):
        context = FitContext(None, work.progress, checkpoints, fit.seed)
        last = _fitted(fit.entry, settings, data.again, context)
    return first or last, last


def _fitted(entry: ModelEntry, settings: ModelSettings, sessions: Sessions, context: FitContext) -> _Fitted:
    model = registry.model_class(entry.kind)(settings)
    with measured() as before:
        warm_up(model, sessions, context)
    with measured() as cost:
        report = model.fit(sessions, context)
    cost.compile_seconds += before.compile_seconds
    return _Fitted(model, settings, sessions, report, cost)


def _total(costs: list[Cost]) -> dict[str, float]:
    """Return the cost of fits that follow each other."""
    total = Cost()
    for cost in costs:
        total.seconds += cost.seconds
        total.compile_seconds += cost.compile_seconds
        total.peak_memory_bytes = max(total.peak_memory_bytes, cost.peak_memory_bytes)
    return total.as_dict()


def _warn_of_early_end(fit: Fit, folder: Path, key: str) -> None:
    """Warn where the last epoch still improved the model, which `key` configures."""
    curve = read_json(folder / FIT_FILE)["curve"]
    sign = improving_at_the_end(curve)
    if sign is None:
        return
    what = "it is the best by validation"
    if sign == "loss":
        what = f"its training loss is {curve[-1]['loss']:.4f}, after {curve[-2]['loss']:.4f} in the epoch before"
    warn(
        "still-improving",
        f"{fit.name} was still improving in its last epoch, {len(curve)}: {what}",
        f"raise {key}.epochs until this ends, with validate_on to keep the best epoch",
        model=fit.model,
    )


def fit_key(fit: Fit, split: Path, again: list[Any] | None = None) -> str:
    """Return a hash of what decides a fitted model: its settings, its seed, the data that it may see, its code, and
    `again`, the `refit_key` of a second fit."""
    data = [hash_table(split / file) for file in (TRAIN_FILE, VALID_FILE, ITEMS_FILE) if (split / file).exists()]
    code = [hash_file(path) for path in registry.source_files(fit.entry.kind)]
    validated = (split / VALID_FILE).exists()  # among all events of that part, or those of known items
    unseen = read_json(split / STATISTICS_FILE)["settings"]["unseen"] if validated else None
    second = [] if again is None else [again]
    return hash_json([fit.entry.as_config(), fit.seed, data, unseen, code, *second])


def _made_before(stages: list[Path | None], key: str) -> Path | None:
    """Return the folder of the same fit, whatever its name."""
    found = [path for stage in stages if stage for path in sorted(stage.glob(f"*/{MANIFEST}"))]
    manifests = [path for path in found if not path.parent.name.startswith(".")]  # those a killed run was making
    return next((path.parent for path in manifests if _finished(path.parent, key)), None)


def _finished(folder: Path, key: str) -> bool:
    """Return whether a folder holds the fit, whole; one whose manifest cannot be read does not."""
    try:
        manifest = read_manifest(folder / MANIFEST)
    except StageError:
        return False
    return manifest.get("key") == key and hash_folder(folder) == manifest.get("outputs")


def _fresh_copy(folder: Path, copy: Path) -> Path:
    shutil.rmtree(copy, ignore_errors=True)  # what a killed run may have left
    return Path(shutil.copytree(folder, copy))


def _publish(prepared: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    prepared.rename(folder)


def fit_results(folder: Path) -> StageResults:
    """Return what was fitted, at what cost, a row a fit."""
    models = {name: {**read_json(folder / name / FIT_FILE), "cost": cost} for name, cost in fit_costs(folder).items()}
    table = Table(
        title="Fitted models",
        columns=("Model", "Epochs", "Last loss", "Time (s)", "Compiling (s)", "Peak RSS (MiB)"),
        rows=tuple(
            (
                name,
                str(len(fit["curve"]) or "–"),
                f"{fit['curve'][-1]['loss']:.4f}" if fit["curve"] else "–",
                f"{fit['cost']['seconds']:.1f}",
                f"{fit['cost'].get('compile_seconds', 0.0):.1f}",
                f"{fit['cost']['peak_memory_bytes'] / 2**20:.0f}",
            )
            for name, fit in models.items()
        ),
        numeric=frozenset({1, 2, 3, 4, 5}),
        notes=(
            *(
                f"{name}: fitted on {fit['refit']['on']} ({fit['refit']['sessions']:,} sessions)"
                + (f" for {fit['refit']['epochs']} epochs." if fit["refit"]["epochs"] else ".")
                for name, fit in models.items()
                if "refit" in fit
            ),
            "Peak RSS: the most memory of the whole process during the fit, not the size of the model.",
        ),
    )
    return StageResults({"models": models}, [table])
