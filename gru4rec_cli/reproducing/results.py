"""A table that was run: the verdicts, and what they rest on, for a terminal, a page and a script."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gru4rec_cli.base.errors import CheckError
from gru4rec_cli.reporting.pages.blocks import Block, Heading, Section, Sentences
from gru4rec_cli.reporting.tables import Cell, Table
from gru4rec_cli.reporting.text.words import ENGLISH, Sentence
from gru4rec_cli.reproducing.table import PublishedTable, Row
from gru4rec_cli.reproducing.verdict import Value, Verdict

_COLUMNS = ("row", "metric", "printed", "found", "verdict", "reason")
_TONES = {"reproduced": "up", "not reproduced": "down"}


class Judged(NamedTuple):
    """The values that were found for a row, by metric, and the verdict on it."""

    values: Mapping[str, Value]
    verdict: Verdict

    def document(self) -> dict[str, Any]:
        """Return it for a script."""
        found = {name: value._asdict() for name, value in self.values.items()}
        return {"found": found, "verdict": self.verdict.word, "reason": self.verdict.reason}

    def cells(self, name: str, figures: Mapping[str, float]) -> Iterator[tuple[str, ...]]:
        """Yield a row of the table for every metric; name and verdict stand in the first."""
        for metric, value in self.values.items():
            printed = ENGLISH.share(figures[metric]) if metric in figures else "–"
            word, reason = self.verdict if name else ("", "")
            yield name, metric, printed, _with_interval(value), Cell(word, tone=_TONES.get(word, "")), reason
            name = ""


@dataclass(frozen=True)
class RowResult:
    """The verdicts on a row."""

    name: str
    row: Row
    corrected: Judged
    as_published: Judged | None  # with the faults of the source, where they were asked for
    settings: list[tuple[str, str, str, str]]  # name, stated, used, same or differs

    def document(self) -> dict[str, Any]:
        """Return it for a script."""
        return {
            "row": self.name,
            "figures": self.row.figures,
            **self.corrected.document(),
            **({"as_published": self.as_published.document()} if self.as_published else {}),
            "settings": [dict(zip(("name", "stated", "used", "state"), line, strict=True)) for line in self.settings],
            "note": self.row.note,
        }

    def cells(self) -> Iterator[tuple[str, ...]]:
        """Yield the rows of the table, those with the faults of the source last."""
        yield from self.corrected.cells(self.name, self.row.figures)
        if self.as_published:
            yield from self.as_published.cells(f"{self.name}, as published", self.row.figures)


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

    @property
    def as_published(self) -> bool:
        """True where the faults of the source were made, too."""
        return any(result.as_published for result in self.rows)

    def summary(self) -> str:
        """Return in a sentence how many rows have which verdict."""
        summary = _counted([result.corrected for result in self.rows])
        faulty = [result.as_published for result in self.rows if result.as_published]
        return f"{summary}; as published: {_counted(faulty)}" if faulty else summary

    def shown(self) -> Table:
        """Return the verdicts as a table."""
        rows = tuple(cells for result in self.rows for cells in result.cells())
        notes = (f"{self.table.title} ({self.table.source}): {self.summary()}", *self._facts())
        return Table(f"Reproduction of {self.name}", _COLUMNS, rows, numeric=frozenset({2, 3}), notes=notes)

    def _facts(self) -> Iterator[str]:
        counts = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in self.counts.items())
        published = any(count is not None for count in self.table.data.counts.model_dump().values())
        same = "the counts are those published" if published else "no counts are published"
        yield f"data: {self.difference or same} ({counts})"
        yield from (f"deviation: {text}" for text in self.table.deviations)
        faults = "; ".join(self.table.as_published.sentences())
        if faults and self.as_published:
            yield f"as published, which is no sound measurement: {faults}"
        elif faults:
            yield f"--as-published also shows the figures as the source measures them: {faults}"
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
            "as_published": self.table.as_published.model_dump() if self.as_published else None,
            "rows": [result.document() for result in self.rows],
        }

    def require(self) -> None:
        """Raise `CheckError` where a row is not reproduced; figures as published do not count."""
        wrong = [result.name for result in self.rows if result.corrected.verdict.word == "not reproduced"]
        if wrong:
            raise CheckError(f"{self.name}: not reproduced: {', '.join(wrong)}", "see the reasons in the table")


def _counted(judged: list[Judged]) -> str:
    words = [each.verdict.word for each in judged]
    return "; ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))


def _with_interval(value: Value) -> str:
    low, found, high = (ENGLISH.share(each) for each in (value.low, value.value, value.high))
    return found if value.low == value.high else f"{found} [{low}–{high}]"
