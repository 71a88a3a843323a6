"""Which runs may be in one table, and why others may not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gru4rec_cli.base.names import ITEMS_FILE, TEST_FILE
from gru4rec_cli.evaluation.metrics import HEADLINE
from gru4rec_cli.evaluation.slices import WHOLE
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.text.warned import Warned
from gru4rec_cli.reporting.text.words import ENGLISH

_DIGITS = 12  # of a hash: enough to tell two files apart
# Of the protocol: what may differ between runs that are compared. The rest says what was measured, and how.
_FREE = {"seed", "seeds", "resamples", "permutations", "test", "slices", "events", "sessions", "items"}


@dataclass(frozen=True)
class RunResults:
    """Results of one run that are compared.

    `hashes` are those of its split's files, `costs` what fitting took by model, `warned` the warnings by stage,
    `trials` how many settings were tried of each model that was tuned.
    """

    label: str
    path: str
    findings: Findings
    hashes: Mapping[str, str]
    costs: Mapping[str, Mapping[str, float]]
    machine: str = ""
    version: str = ""
    warned: Warned = field(default_factory=dict)
    trials: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """Runs that may stand in one table, and what sets them apart from the first group's.

    `differences` are those between models of different runs, named as by `entry`, with intervals and p-values,
    `tested_with` the settings that decide them: permutations, resamples, seed.
    """

    runs: tuple[RunResults, ...]
    reasons: tuple[str, ...] = ()
    differences: tuple[Mapping[str, Any], ...] = ()
    tested_with: Mapping[str, int] = field(default_factory=dict)

    @staticmethod
    def entry(run: RunResults, model: str) -> str:
        """Return the name of a model of a run."""
        return f"{run.label}: {model}"

    def most_asked(self) -> list[Mapping[str, Any]]:
        """Return the differences in the headline metric between equal names, and between the best of each run."""
        best = {self.entry(run, next(iter(run.findings.ranked))) for run in self.runs if run.findings.ranked}
        model = {self.entry(run, name): name for run in self.runs for name in run.findings.ranked}
        return [
            row
            for row in self.differences
            if row["metric"] == HEADLINE
            and (model[row["first"]] == model[row["second"]] or {row["first"], row["second"]} <= best)
        ]

    @property
    def labels(self) -> list[str]:
        return [run.label for run in self.runs]


def mismatches(first: RunResults, other: RunResults) -> tuple[str, ...]:
    """Return what keeps two runs from being compared: test set, items, protocol; each with its value in both."""
    found = []
    for file, what in ((TEST_FILE, "test set"), (ITEMS_FILE, "items")):
        digests = [run.hashes.get(file, "missing")[:_DIGITS] for run in (first, other)]
        if digests[0] != digests[1]:
            told = f"{digests[0]} in {first.label} and {digests[1]} in {other.label}"
            found.append(f"{what}: split/{file} is {told}")
    protocols = first.findings.protocol, other.findings.protocol
    for key in dict.fromkeys(key for protocol in protocols for key in protocol if key not in _FREE):
        one, two = (protocol.get(key) for protocol in protocols)
        if one != two:
            found.append(f"{key}: {ENGLISH.plain(one)} in {first.label} and {ENGLISH.plain(two)} in {other.label}")
    return tuple(found)


def grouped(runs: Sequence[RunResults]) -> list[Group]:
    """Return the runs in groups within which nothing keeps them apart, in the order given."""
    groups: list[Group] = []
    for run in runs:
        place = next((i for i, group in enumerate(groups) if not mismatches(group.runs[0], run)), None)
        if place is None:
            groups.append(Group((run,), mismatches(groups[0].runs[0], run) if groups else ()))
        else:
            groups[place] = Group((*groups[place].runs, run), groups[place].reasons)
    return groups


def document(groups: Sequence[Group]) -> dict[str, Any]:
    """Return all of it for a script."""
    return {
        "comparable": len(groups) == 1,
        "groups": [
            {
                "runs": [
                    {
                        "run": run.label,
                        "path": run.path,
                        "test": run.hashes.get(TEST_FILE),
                        "items": run.hashes.get(ITEMS_FILE),
                        "protocol": dict(run.findings.protocol),
                        "costs": dict(run.costs),
                        "warnings": dict(run.warned),
                    }
                    for run in group.runs
                ],
                "differs": list(group.reasons),
                "differences": list(group.differences),
                "tested_with": dict(group.tested_with),
                "metrics": [row for row in metric_rows(group.runs) if row["seed"] == WHOLE and row["slice"] == WHOLE],
            }
            for group in groups
        ],
    }


def metric_rows(runs: Sequence[RunResults]) -> list[dict[str, Any]]:
    """Return every row of every run's metrics table, its run first."""
    return [{"run": run.label, **row} for run in runs for row in run.findings.document.get("metrics") or ()]
