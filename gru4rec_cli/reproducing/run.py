"""Run a published table on data that the user has, and form a verdict on every row."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gru4rec_cli.base.errors import CheckError, DataError, UsageError
from gru4rec_cli.base.files import hash_file, read_json
from gru4rec_cli.base.names import METRICS_FILE, STATISTICS_FILE
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.base.yaml_loader import dump_yaml
from gru4rec_cli.models import registry
from gru4rec_cli.reporting.findings.run import Findings, estimates
from gru4rec_cli.reporting.pages.blocks import Block, Heading, Section, Sentences
from gru4rec_cli.reporting.tables import Cell, Table
from gru4rec_cli.reporting.text.words import ENGLISH, Sentence
from gru4rec_cli.reproducing.table import Form, PublishedTable, Row
from gru4rec_cli.reproducing.verdict import Value, Verdict, first_difference, settings_difference, verdict
from gru4rec_cli.study.config import StudyConfig, load_config
from gru4rec_cli.study.windows import study_of

_TIES = "conservative"
_COLUMNS = ("row", "metric", "printed", "found", "verdict", "reason")
_TONES = {"reproduced": "up", "not reproduced": "down"}


@dataclass(frozen=True)
class RowResult:
    """The verdict on a row, with what it rests on."""

    name: str
    row: Row
    values: Mapping[str, Value]  # by metric
    verdict: Verdict
    settings: list[tuple[str, str, str, str]]  # name, stated, used, same or differs

    def document(self) -> dict[str, Any]:
        """Return it for a script."""
        return {
            "row": self.name,
            "figures": self.row.figures,
            "found": {name: value._asdict() for name, value in self.values.items()},
            "verdict": self.verdict.word,
            "reason": self.verdict.reason,
            "settings": [dict(zip(("name", "stated", "used", "state"), line, strict=True)) for line in self.settings],
            "note": self.row.note,
        }


@dataclass(frozen=True)
class Reproduction:
    """A table that was run."""

    name: str
    table: PublishedTable
    run_dir: Path
    digests: Mapping[str, str]  # SHA-256 of the files
    counts: Mapping[str, int]
    difference: str  # the first count that differs; empty: none
    rows: list[RowResult]

    def summary(self) -> str:
        """Return in a sentence how many rows have which verdict."""
        words = [result.verdict.word for result in self.rows]
        counted = {word: words.count(word) for word in dict.fromkeys(words)}
        return "; ".join(f"{count} {word}" for word, count in counted.items())

    def shown(self) -> Table:
        """Return the verdicts as a table."""
        rows = []
        for result in self.rows:
            for place, (metric, value) in enumerate(result.values.items()):
                printed = result.row.figures.get(metric)
                low, found, high = (ENGLISH.share(each) for each in (value.low, value.value, value.high))
                word, reason = (result.verdict.word, result.verdict.reason) if place == 0 else ("", "")
                rows.append((
                    result.name if place == 0 else "",
                    metric,
                    "–" if printed is None else ENGLISH.share(printed),
                    f"{found} [{low}–{high}]",
                    Cell(word, tone=_TONES.get(word, "")),
                    reason,
                ))  # fmt: skip
        notes = [f"{self.table.title} ({self.table.source}): {self.summary()}", *self._facts()]
        return Table(
            f"Reproduction of {self.name}", _COLUMNS, tuple(rows), numeric=frozenset({2, 3}), notes=tuple(notes)
        )

    def _facts(self) -> Iterator[str]:
        counts = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in self.counts.items())
        yield f"data: {self.difference or 'the counts are those published'} ({counts})"
        yield from (f"deviation: {text}" for text in self.table.deviations)
        yield f"cite as: gru4rec-study reproduce {self.name}; {self.table.source}; data " + ", ".join(
            f"{name} {digest[:12]}" for name, digest in self.digests.items()
        )

    def sections(self) -> list[Section]:
        """Return it as sections of a page."""
        said = (*(f"{row.name}: {row.row.note}" for row in self.rows if row.row.note), *self._facts())
        first: list[Block] = [self.shown(), Sentences(tuple(Sentence("{text}", {"text": text}) for text in said))]
        return [Section("results", "Verdicts", first), Section("settings", "Settings", [*self._settings()])]

    def _settings(self) -> Iterator[Block]:
        for result in self.rows:
            if result.settings:
                yield Heading(result.name)
                yield Table("", ("setting", "stated", "used", ""), tuple(result.settings))

    def document(self) -> dict[str, Any]:
        """Return it for a script."""
        return {
            "table": self.name,
            "title": self.table.title,
            "source": self.table.source,
            "run_dir": str(self.run_dir),
            "files": dict(self.digests),
            "counts": dict(self.counts),
            "difference": self.difference or None,
            "deviations": list(self.table.deviations),
            "rows": [result.document() for result in self.rows],
        }

    def require(self) -> None:
        """Raise `CheckError` where a row is not reproduced."""
        wrong = [result.name for result in self.rows if result.verdict.word == "not reproduced"]
        if wrong:
            raise CheckError(f"{self.name}: not reproduced: {', '.join(wrong)}", "see the reasons in the table")


def form_of(table: PublishedTable, folder: Path) -> Form:
    """Return the form in which the data is in a folder.

    Raises:
        DataError: it is there in none of them; says where to get it.
    """
    for form in table.data.forms:
        if all((folder / name).exists() for name in form.files):
            return form
    wanted = " or ".join(", ".join(form.files) for form in table.data.forms)
    raise DataError(
        f"{folder} lacks the data of this table: {wanted}",
        f"{table.data.name}, {table.data.size}, from {table.data.where} (terms: {table.data.terms}); nothing is "
        f"downloaded",
    )


def config_of(name: str, table: PublishedTable, folder: Path, chosen: Sequence[str]) -> dict[str, Any]:
    """Return the configuration that runs the chosen rows of a table on the data in a folder.

    Raises:
        DataError: the data is not there.
        UsageError: a row is not in the table.
    """
    unknown = [row for row in chosen if row not in table.rows]
    if unknown:
        raise UsageError(f"there is no row {unknown[0]!r}", f"the rows are {', '.join(table.rows)}")
    models = {row: table.rows[row].model for row in chosen or table.rows}
    return {
        "name": f"reproduce-{name}",
        "seeds": list(table.seeds),
        **_placed(form_of(table, folder).study, str(folder)),
        "train": {"models": {_model_name(row): model for row, model in models.items()}},
        "evaluate": {"cutoffs": list(table.cutoffs), "ties": _TIES},
    }


def _placed(value: Any, folder: str) -> Any:
    """Return a part of a configuration with FOLDER replaced."""
    if isinstance(value, dict):
        return {key: _placed(each, folder) for key, each in value.items()}
    return value.replace("FOLDER", folder) if isinstance(value, str) else value


def _model_name(row: str) -> str:
    """Return the name of a row's model, which may hold letters, digits, - and _ alone."""
    return "".join(letter if letter.isalnum() else "-" for letter in row.lower()).strip("-")


def prepare(
    name: str, table: PublishedTable, folder: Path, chosen: Sequence[str] = (), overrides: Sequence[str] = ()
) -> StudyConfig:
    """Return the configuration of a table, checked; a run writes it into its directory.

    Raises:
        DataError: the data is not there.
        UsageError: a row is not in the table, or the configuration is wrong.
    """
    config = config_of(name, table, folder.resolve(), chosen)
    with TemporaryDirectory() as place:
        path = Path(place, f"{name}.yaml")
        path.write_text(dump_yaml(config), encoding="utf-8")
        return load_config(path, list(overrides))


def reproduce(
    name: str, table: PublishedTable, folder: Path, config: StudyConfig, run_dir: Path, progress: Progress = SILENT
) -> Reproduction:
    """Run the study of a table, or what of it is not up to date, and return the verdicts."""
    for _ in study_of(config, run_dir, progress=progress).run():
        pass
    counts = _counts(run_dir)
    difference = first_difference(table.data.counts.model_dump(), counts)
    findings = Findings(read_json(run_dir / "evaluate" / METRICS_FILE))
    results = [
        _row_result(row, table.rows[row], findings, table, difference)
        for row in table.rows
        if _model_name(row) in findings.models
    ]
    digests = {file: hash_file(folder / file) for file in form_of(table, folder).files}
    return Reproduction(name, table, run_dir, digests, counts, difference, results)


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


def _row_result(name: str, row: Row, findings: Findings, table: PublishedTable, difference: str) -> RowResult:
    model, facts = _model_name(name), findings.models[_model_name(name)]
    by_seed = [estimates(findings.frame, seed=seed) for seed in findings.seeds(model)]
    values: dict[str, Value] = {}
    for metric in row.figures or next((other.figures for other in table.rows.values() if other.figures), {}):
        kind, _, cutoff = metric.partition("@")
        key = (model, kind, int(cutoff), _TIES)
        found = findings.found[key]
        values[metric] = Value(
            found.value, found.low, found.high, tuple(seed[key].value for seed in by_seed if key in seed)
        )
    used = {setting: value for setting, value in facts["settings"].items() if setting in row.stated or row.figures}
    random = registry.model_class(str(facts["kind"])).random
    decided = verdict(row.figures, values, random=random, difference=difference)
    return RowResult(name, row, values, decided, settings_difference(row.stated, used))
