"""Run a published table on data that the user has, and form a verdict on every row."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gru4rec_cli.base.errors import DataError, UsageError
from gru4rec_cli.base.files import hash_file, read_json
from gru4rec_cli.base.names import METRICS_FILE, STATISTICS_FILE
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.evaluation.metrics import TieRule, metric_at_k
from gru4rec_cli.models import registry
from gru4rec_cli.reporting.findings.run import Findings, estimates
from gru4rec_cli.reproducing.best_epoch import best_epoch_study
from gru4rec_cli.reproducing.loading import require_rows
from gru4rec_cli.reproducing.results import Judged, Reproduction, RowResult
from gru4rec_cli.reproducing.table import Form, PublishedTable, Row, model_name
from gru4rec_cli.reproducing.verdict import Value, first_difference, settings_difference, verdict
from gru4rec_cli.study.config import StudyConfig
from gru4rec_cli.study.config import config_of as study_config
from gru4rec_cli.study.windows import study_of

_TIES: TieRule = "conservative"
_LONGEST_NAME = 48  # of a run; that of its figures as published adds to it


def form_of(table: PublishedTable, folder: Path) -> Form:
    """Return the form in which the data is in a folder.

    Raises:
        DataError: it is there in none of them; says where to get it.
    """
    for form in table.data.forms:
        if all((folder / name).exists() for name in form.files):
            return form
    wanted = (_missing(form, folder) for form in table.data.forms)
    data = table.data
    raise DataError(
        f"{folder} lacks the data of this table; it needs\n  "
        + "\n  or ".join(wanted)
        + f"\n  data: {data.name}, {data.size}\n  from: {data.where}\n  terms: {data.terms}",
        "get the data from there; nothing is downloaded here",
    )


def _missing(form: Form, folder: Path) -> str:
    """Return the files of a form, and which of them are there."""
    there = [name for name in form.files if (folder / name).exists()]
    return " and ".join(form.files) + (f" (there: {', '.join(there)})" if there else "")


def config_of(name: str, table: PublishedTable, folder: Path, chosen: Sequence[str]) -> dict[str, Any]:
    """Return the configuration that runs the chosen rows of a table on the data in a folder.

    Raises:
        DataError: the data is not there.
        UsageError: a row is not in the table.
    """
    study = form_of(table, folder).study
    return {
        "name": f"reproduce-{model_name(name)}"[:_LONGEST_NAME],
        "seeds": list(table.seeds),
        "data": _placed(study.data, str(folder)),
        "split": study.split,
        "train": {"models": {model_name(row): table.rows[row].model for row in require_rows(table, chosen)}},
        "evaluate": {"cutoffs": list(table.cutoffs), "ties": _TIES},
    }


def _placed(value: Any, folder: str) -> Any:
    """Return a part of a configuration with FOLDER replaced."""
    if isinstance(value, dict):
        return {key: _placed(each, folder) for key, each in value.items()}
    return value.replace("FOLDER", folder) if isinstance(value, str) else value


def prepare(
    name: str, table: PublishedTable, folder: Path, chosen: Sequence[str] = (), overrides: Sequence[str] = ()
) -> StudyConfig:
    """Return the configuration of a table, checked; a run writes it into its directory.

    Raises:
        DataError: the data is not there.
        UsageError: a row is not in the table, or the configuration is wrong or has no test to compare.
    """
    config = study_config(config_of(name, table, folder.resolve(), chosen), f"the configuration of {name}", overrides)
    if config.split.windows is not None or not config.evaluated:
        raise UsageError(
            "a table is compared on one test part", "leave out --set of split.windows, split.test or refit"
        )
    lacking = set(table.cutoffs) - set(config.evaluate.cutoffs)
    if lacking:
        raise UsageError(
            f"evaluate.cutoffs lacks those of the table: {', '.join(map(str, sorted(lacking)))}",
            "add them, or leave it",
        )
    return config


def require_faults(name: str, table: PublishedTable) -> None:
    """Raise `UsageError` where `--as-published` has nothing to show."""
    if not any(table.as_published.sentences()):
        raise UsageError(f"the table {name} names no choice of its source that is a fault", "leave --as-published out")


def reproduce(
    name: str,
    table: PublishedTable,
    folder: Path,
    config: StudyConfig,
    run_dir: Path,
    progress: Progress = SILENT,
    *,
    as_published: bool = False,
) -> Reproduction:
    """Run the study of a table, or what of it is not up to date, and return the verdicts.

    With `as_published` the faults of the source are made, too, for a second verdict on every row with figures.
    """
    findings = _findings(config, run_dir, progress)
    counts = _counts(run_dir)
    judge = _Judge(table, first_difference(table.data.counts.model_dump(), counts))
    rows = [row for row in table.rows if model_name(row) in findings.models]
    corrected = {row: judge(row, findings, _TIES) for row in rows}
    faulty: dict[str, Judged] = {}
    if as_published:
        printed = [row for row in rows if table.rows[row].figures]
        best = _best_epoch(table, config, run_dir, printed, progress)
        for row in printed:
            found = best if best and model_name(row) in best.models else findings
            faulty[row] = judge(row, found, table.as_published.ties or _TIES)
    results = [
        RowResult(row, table.rows[row], corrected[row], faulty.get(row), _settings(table.rows[row], row, findings))
        for row in rows
    ]
    digests = {file: hash_file(folder / file) for file in form_of(table, folder).files}
    return Reproduction(name, table, run_dir, digests, counts, judge.difference, results)


def _findings(config: StudyConfig, run_dir: Path, progress: Progress) -> Findings:
    for _ in study_of(config, run_dir, progress=progress).run():
        pass
    return Findings(read_json(run_dir / "evaluate" / METRICS_FILE))


def _best_epoch(
    table: PublishedTable, config: StudyConfig, run_dir: Path, rows: Sequence[str], progress: Progress
) -> Findings | None:
    """Return what comes out if the test chooses the epoch; None where it does not, or no row has epochs."""
    metric = table.as_published.best_test_epoch
    study = best_epoch_study(config, run_dir, [model_name(row) for row in rows], metric) if metric else None
    if study is None:
        return None
    with progress.task("as published: the test chooses the epoch"):
        return _findings(*study, progress)


def _counts(run_dir: Path) -> dict[str, int]:
    parts = read_json(run_dir / "split" / STATISTICS_FILE)["parts"]
    train, test = parts["train"], parts["test"]
    valid = parts.get("valid") or {"events": 0, "sessions": 0}
    events, sessions = train["events"] + valid["events"], train["sessions"] + valid["sessions"]
    return {
        "train_events": events,
        "test_events": test["events"],
        "train_targets": events - sessions,
        "test_targets": test["events"] - test["sessions"],
        "items": train["items"],
    }


class _Judge:
    """Forms the verdict on a row from what a run found."""

    def __init__(self, table: PublishedTable, difference: str) -> None:
        """`difference` is the first count that is not the published one; empty: there is none."""
        self.table, self.difference = table, difference
        self._shown = next((row.figures for row in table.rows.values() if row.figures), {})  # of a row without figures

    def __call__(self, name: str, findings: Findings, ties: TieRule) -> Judged:
        figures, model = self.table.rows[name].figures, model_name(name)
        by_seed = [estimates(findings.frame, seed=seed) for seed in findings.seeds(model)]
        values: dict[str, Value] = {}
        for metric in figures or self._shown:
            key = (model, *metric_at_k(metric), ties)
            found = findings.found[key]
            ends = (found.low, found.high) if found.has_interval else (found.value, found.value)
            values[metric] = Value(found.value, *ends, tuple(seed[key].value for seed in by_seed if key in seed))
        random = registry.model_class(str(findings.models[model]["kind"])).random
        return Judged(values, verdict(figures, values, random=random, difference=self.difference))


def _settings(row: Row, name: str, findings: Findings) -> list[tuple[str, str, str, str]]:
    settings: Mapping[str, Any] = findings.models[model_name(name)]["settings"]
    return settings_difference(row.stated, settings) if row.figures or row.stated else []
