"""What a stage is given and what it shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gru4rec_cli.base.progress import Progress
from gru4rec_cli.reporting.tables import Table
from gru4rec_cli.study.config import StudyConfig


@dataclass(frozen=True)
class StageWork:
    """One execution of a stage: read `inputs`, write into `folder`, nothing else; that the test is ranked is also
    written into the run's ledger."""

    config: StudyConfig
    folder: Path  # what is written here becomes the stage
    inputs: Mapping[str, Path]  # finished stages by name
    previous: Path | None  # this stage as it last was, from which finished parts may be taken over
    progress: Progress


@dataclass(frozen=True)
class StageResults:
    """The results of a finished stage: tables for a person, one JSON document for a script."""

    document: dict[str, Any]
    tables: list[Table] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """A stage that ran or was skipped, and why."""

    stage: str
    action: Literal["ran", "skipped"]
    reason: str
    results: StageResults
    warnings: tuple[dict[str, str], ...] = ()  # id, message and hint of each, also of a stage that was skipped
