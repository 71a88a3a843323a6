"""A check: what is measured, from which figure on it warns or fails, and what came out."""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from gru4rec_cli.base.errors import CheckError, UsageError
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.reporting.pages.blocks import Block, Heading, Section, Sentences
from gru4rec_cli.reporting.tables import Cell, Table
from gru4rec_cli.reporting.text.words import Sentence

Verdict = Literal["PASS", "WARN", "FAIL", "NOT CHECKED"]
FailOn = Literal["warn", "fail"]
Subject = TypeVar("Subject")

_NONE = 1e-9  # a threshold that every figure but 0 reaches
_COLUMNS = ("check", "verdict", "figure", "from", "evidence")


class Measured(NamedTuple):
    """The figure of a check, one sentence about what was seen, and a remedy where it is more exact than the check's."""

    figure: float
    evidence: str
    remedy: str = ""

    @classmethod
    def share(cls, part: int, whole: int, what: str) -> "Measured":
        """Return the share of a part, 0 of nothing, with the evidence `PART of WHOLE` and what these are."""
        return cls(ratio(part, whole), f"{part:,} of {whole:,} {what}")


def ratio(part: int, whole: int) -> float:
    """Return a part of a whole, and 0 where there is nothing."""
    return part / whole if whole else 0.0


class CannotCheck(Exception):  # noqa: N818 - it is no error: the check does not apply
    """Raised where something that a check needs is not there; the text says what."""


@dataclass(frozen=True)
class Check(Generic[Subject]):
    """Something that should hold. The higher the figure, the worse: WARN from `warn` on, FAIL from `fail` on."""

    id: str  # never changes its meaning
    title: str
    unit: str  # of the figure: `share`, or what is counted
    warn: float | None
    fail: float | None
    remedy: str
    measure: Callable[[Subject], Measured]

    @property
    def why(self) -> str:
        """Return why it matters, and the source: the docstring of what measures it."""
        return " ".join(inspect.getdoc(self.measure).split())  # type: ignore[union-attr] # a test holds that there is one

    def show(self, figure: float | None) -> str:
        """Return a figure in the check's unit."""
        if figure is None:
            return "–"
        if self.unit == "share":
            return f"{100 * figure:.2f} %" if figure > _NONE else "0 %"
        unit = self.unit.removesuffix("s") if figure == 1 else self.unit
        return f"{figure:,.4g} {unit}"

    def level(self, figure: float) -> str:
        """Return a threshold in the check's unit."""
        return "any" if figure <= _NONE else self.show(figure)


@dataclass(frozen=True)
class Choice:
    """The checks to run, the results to ignore and why, and thresholds that replace a check's own."""

    only: tuple[str, ...] = ()
    ignored: Mapping[str, str] = field(default_factory=dict)  # id → reason
    thresholds: Mapping[str, float] = field(default_factory=dict)  # id → the figure from which on it fails

    @classmethod
    def of(cls, only: Sequence[str], ignored: Sequence[str], thresholds: Sequence[str]) -> "Choice":
        """Read `ID=REASON` and `ID=NUMBER` as a command gets them.

        Raises:
            UsageError: a reason is missing, or a threshold is not a number.
        """
        reasons = dict(_pair(text, "--ignore", "REASON") for text in ignored)
        numbers = dict(_pair(text, "--threshold", "NUMBER") for text in thresholds)
        for name, number in numbers.items():
            try:
                usable = 0 <= float(number) < math.inf
            except ValueError:
                usable = False
            if not usable:
                problem = f"--threshold {name}={number}: not a number from 0 on"
                raise UsageError(problem, f"write --threshold {name}=0.1")
        return cls(tuple(only), reasons, {name: float(number) for name, number in numbers.items()})


def _pair(text: str, option: str, what: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not value.strip():
        raise UsageError(f"{option} {text}: there is no {what}", f"write {option} ID={what}")
    return name.strip(), value.strip()


@dataclass(frozen=True)
class Result:
    """The verdict of a check, with what it rests on."""

    id: str
    title: str
    verdict: Verdict
    figure: float | None
    shown: str  # the figure with its unit
    threshold: str
    evidence: str
    remedy: str  # empty where it passes
    why: str
    ignored: str = ""  # the reason why it counts no more

    def document(self) -> dict[str, Any]:
        """Return it for a script."""
        names = ("id", "title", "verdict", "figure", "threshold", "evidence", "remedy")
        return {name: getattr(self, name) for name in names} | {"ignored": self.ignored or None}


class Checks(Generic[Subject]):
    """All checks of one kind of subject, in the order in which they run."""

    def __init__(self) -> None:
        self.all: dict[str, Check[Subject]] = {}

    def check(
        self, id: str, title: str, *, remedy: str, unit: str = "share", warn: float | None, fail: float | None
    ) -> Callable[[Callable[[Subject], Measured]], Callable[[Subject], Measured]]:
        """Return a decorator that makes a function the measure of a check; its docstring says why it matters."""

        def register(measure: Callable[[Subject], Measured]) -> Callable[[Subject], Measured]:
            self.all[id] = Check(id, title, unit, warn, fail, remedy, measure)
            return measure

        return register

    def run(self, subject: Subject, choice: Choice, progress: Progress = SILENT) -> list[Result]:
        """Return the results on a subject.

        Raises:
            UsageError: an id is that of no check.
        """
        choice = Choice(
            tuple(map(self._id, choice.only)),
            {self._id(name): reason for name, reason in choice.ignored.items()},
            {self._id(name): number for name, number in choice.thresholds.items()},
        )
        for id, number in choice.thresholds.items():
            if self.all[id].unit == "share" and number > 1:
                raise UsageError(f"--threshold {id}={number:g}: a share is at most 1", f"write {id}=0.3 for 30 %")
        chosen = [check for check in self.all.values() if not choice.only or check.id in choice.only]
        results = []
        with progress.task("audit", len(chosen)) as task:
            for check in chosen:
                results.append(_result(check, subject, choice))
                task.advance(1)
        return results

    def _id(self, name: str) -> str:
        """Return the id that a user means, of which its number is enough, such as D04."""
        found = [id for id in self.all if name.lower() in (id.lower(), id.partition("-")[0].lower())]
        if found:
            return found[0]
        near = get_close_matches(name, self.all, 1, 0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"there is no check {name!r}", f"{hint}the checks are {', '.join(self.all)}")


def _result(check: Check[Subject], subject: Subject, choice: Choice) -> Result:
    fail = choice.thresholds.get(check.id, check.fail)
    warn = None if check.id in choice.thresholds else check.warn
    levels = {"WARN": warn, "FAIL": fail}
    threshold = ", ".join(f"{name}: {check.level(level)}" for name, level in levels.items() if level is not None)
    try:
        measured = check.measure(subject)
    except CannotCheck as reason:
        why_not = f"cannot be checked: {reason}"
        return Result(check.id, check.title, "NOT CHECKED", None, "–", threshold, why_not, "", check.why)
    verdict: Verdict = "PASS"
    if warn is not None and measured.figure >= warn:
        verdict = "WARN"
    if fail is not None and measured.figure >= fail:
        verdict = "FAIL"
    remedy = "" if verdict == "PASS" else measured.remedy or check.remedy
    shown, ignored = check.show(measured.figure), choice.ignored.get(check.id, "") if verdict != "PASS" else ""
    figure = float(measured.figure)
    return Result(
        check.id, check.title, verdict, figure, shown, threshold, measured.evidence, remedy, check.why, ignored
    )


def _counted(checks: int) -> str:
    return f"{checks} check{'' if checks == 1 else 's'}"


@dataclass(frozen=True)
class Audit:
    """The results on one subject, whose name `of` is shown, with facts about it that are no verdict."""

    of: str
    results: list[Result]
    facts: Mapping[str, str] = field(default_factory=dict)

    def counting(self, *verdicts: Verdict) -> Iterator[Result]:
        """Yield the results with these verdicts that are not ignored."""
        return (result for result in self.results if result.verdict in verdicts and not result.ignored)

    def summary(self) -> str:
        """Return in a sentence how many checks passed, warned, failed and could not be checked."""
        counts = {name: len(list(self.counting(name))) for name in ("FAIL", "WARN", "PASS", "NOT CHECKED")}
        ignored = sum(bool(result.ignored) for result in self.results)
        words = {"FAIL": "failed", "WARN": "warned", "PASS": "passed", "NOT CHECKED": "could not be checked"}
        said = [f"{count} {words[name]}" for name, count in counts.items() if count or name in ("FAIL", "WARN", "PASS")]
        said += [f"{ignored} ignored"] if ignored else []
        return f"{_counted(len(self.results))}: {', '.join(said)}"

    def table(self) -> Table:
        """Return the results as a table; remedies stand below it."""
        rows = tuple(
            (r.id, Cell(f"({r.verdict})" if r.ignored else r.verdict), r.shown, r.threshold, r.evidence)
            for r in self.results
        )
        notes = [self.summary()]
        notes += [f"{result.id}: {result.remedy}" for result in self.counting("FAIL", "WARN")]
        notes += [f"{result.id} is ignored: {result.ignored}" for result in self.results if result.ignored]
        notes += [f"{name}: {text}" for name, text in self.facts.items()]
        return Table(f"Audit of {self.of}", _COLUMNS, rows, optional=frozenset({3}), notes=tuple(notes))

    def document(self) -> dict[str, Any]:
        """Return all of it for a script."""
        checks = [result.document() for result in self.results]
        return {"audited": self.of, "summary": self.summary(), **self.facts, "checks": checks}

    def sections(self) -> list[Section]:
        """Return the audit as sections of a page: what was checked and found, then what it means and what to do."""
        said = tuple(Sentence("{text}", {"text": text}) for text in self._lines())
        sections = [Section("results", "Results", [Sentences(said), self._page_table()])]
        wrong = [result for result in self.results if result.verdict in ("FAIL", "WARN")]
        if wrong:
            sections.append(Section("found", "What was found, and what to do", [*_explained(wrong, found=True)]))
        others = [result for result in self.results if result not in wrong]
        sections.append(Section("others", "What the other checks look at", [*_explained(others, found=False)]))
        return sections

    def _lines(self) -> Iterator[str]:
        yield f"{self.summary()}."
        yield from (f"{name}: {text}." for name, text in self.facts.items())

    def _page_table(self) -> Table:
        tones = {"FAIL": "down", "WARN": "down", "PASS": "up", "NOT CHECKED": "even"}
        rows = tuple(
            (
                r.id,
                Cell(f"({r.verdict})" if r.ignored else r.verdict, tone=tones[r.verdict]),
                r.shown,
                r.threshold,
                r.title,
            )
            for r in self.results
        )
        return Table(self.of, (*_COLUMNS[:4], "what should hold"), rows)

    def require(self, fail_on: FailOn) -> None:
        """Raise `CheckError` where a check failed or, with `warn`, warned, and is not ignored."""
        verdicts: tuple[Verdict, ...] = ("FAIL", "WARN") if fail_on == "warn" else ("FAIL",)
        wrong = list(self.counting(*verdicts))
        if wrong:
            raise CheckError(
                f"{self.of}: {len(wrong)} of {_counted(len(self.results))} did not hold: "
                + ", ".join(result.id for result in wrong),
                "see the remedies; --ignore ID=REASON lets one pass",
            )


def _explained(results: Sequence[Result], *, found: bool) -> Iterator[Block]:
    """Yield a heading for each result, and below it what was found, why it matters and what to do."""
    for result in results:
        yield Heading(f"{result.id}: {result.title}")
        lines = [("{verdict}. {evidence}.", result.evidence), ("{evidence}", result.why)]
        lines += [("**What to do:** {evidence}.", result.remedy)] if found else []
        lines += [("**Ignored:** {evidence}.", result.ignored)] if result.ignored else []
        yield Sentences(tuple(Sentence(text, {"evidence": said, "verdict": result.verdict}) for text, said in lines))
