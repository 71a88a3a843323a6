"""Recorded runs replayed by an implementation: verdicts, and their document and table."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gru4rec_cli.base.errors import CheckError
from gru4rec_cli.conformance.adapter import load_adapter, run_adapter
from gru4rec_cli.conformance.comparison import ABSOLUTE, RELATIVE, WEIGHT_ABSOLUTE, Check, compare
from gru4rec_cli.conformance.faults import Diagnosis, diagnose
from gru4rec_cli.conformance.recording import Recording, read_recording
from gru4rec_cli.conformance.replay import StepKind, replay
from gru4rec_cli.reporting.tables import Table

_SHOWN = ("batches", "loss", "weights", "scores", "ranks", "metrics")


@dataclass(frozen=True)
class Verdict:
    """The result of one case."""

    recording: Recording
    checks: list[Check]
    diagnosis: Diagnosis | None  # of another implementation that deviates

    @property
    def holds(self) -> bool:
        return all(check.holds for check in self.checks)


def check_cases(cases: Sequence[Path], module: Path | None = None, step: StepKind = "torch") -> list[Verdict]:
    """Replay every case by a step of our implementation, or through the adapter in `module`, and compare."""
    adapter = load_adapter(module) if module else None
    return [_verdict(read_recording(case), adapter, step) for case in cases]


def _verdict(recording: Recording, adapter: Any, step: StepKind) -> Verdict:
    trace = run_adapter(adapter, recording) if adapter else replay(recording, step)
    checks = compare(recording, trace)
    deviates = not all(check.holds for check in checks)
    return Verdict(recording, checks, diagnose(recording, trace) if adapter and deviates else None)


def require_all(verdicts: list[Verdict]) -> None:
    """Raise `CheckError` naming the cases that deviate."""
    failed = [verdict.recording.name for verdict in verdicts if not verdict.holds]
    if failed:
        raise CheckError(f"{len(failed)} of {len(verdicts)} cases deviate from what was recorded: {', '.join(failed)}")


def document(verdicts: list[Verdict]) -> dict[str, Any]:
    """Return all results, ready for JSON."""
    return {
        "tolerance": {"relative": RELATIVE, "absolute": ABSOLUTE, "weights_absolute": WEIGHT_ABSOLUTE},
        "conforms": all(verdict.holds for verdict in verdicts),
        "cases": [
            {
                "case": verdict.recording.name,
                "steps": verdict.recording.n_steps,
                "conforms": verdict.holds,
                "checks": [{**asdict(check), "holds": check.holds} for check in verdict.checks],
                "diagnosis": asdict(verdict.diagnosis) if verdict.diagnosis else None,
            }
            for verdict in verdicts
        ],
    }


def table(verdicts: list[Verdict]) -> Table:
    """Return a table with a row for each case: the largest deviation of every part, and the verdict."""
    notes = [
        f"Largest deviations. Allowed: loss and scores {RELATIVE:g} relative or {ABSOLUTE:g} absolute, weights "
        f"{RELATIVE:g} relative or {WEIGHT_ABSOLUTE:g} absolute; batches, ranks and metrics the same."
    ]
    for verdict in verdicts:
        wrong = [f"{check.name} {check.where}".strip() for check in verdict.checks if not check.holds]
        notes += [f"{verdict.recording.name}: {'; '.join(wrong)}"] if wrong else []
        notes += [f"{verdict.recording.name}: {_in_words(verdict.diagnosis)}"] if verdict.diagnosis else []
    rows = []
    for verdict in verdicts:
        found = {check.name: check for check in verdict.checks}
        cells = (f"{found[name].deviation:.1e}" if name in found else "–" for name in _SHOWN)
        rows.append((verdict.recording.name, *cells, "conforms" if verdict.holds else "DEVIATES"))
    return Table(
        f"Conformance with {sum(verdict.recording.n_steps for verdict in verdicts)} recorded steps",
        ("Case", *(name.capitalize() for name in _SHOWN), "Verdict"),
        tuple(rows),
        numeric=frozenset(range(1, 1 + len(_SHOWN))),
        notes=tuple(notes),
    )


def _in_words(diagnosis: Diagnosis) -> str:
    names = (" together with " if diagnosis.together else " or ").join(f"'{name}'" for name in diagnosis.faults)
    if diagnosis.explained:
        return f"the deviation is that of {names}"
    return f"no known fault, and no two together, explain the deviation; the nearest is {names}"
