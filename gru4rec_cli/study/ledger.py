"""The ledger of a run: a line in its directory each time that the events of its test part are ranked.

It belongs to no stage: it makes none out of date, and a stage that is made anew takes nothing from it.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.base.files import hash_file, hash_json
from gru4rec_cli.base.names import PREDICTIONS
from gru4rec_cli.study.config import StudyConfig

LEDGER = "test_uses.jsonl"


class Ranked(NamedTuple):
    """A model that ranked the test: its kind, and a hash of its settings that are no defaults."""

    kind: str
    settings: str


class Use(NamedTuple):
    """One time that the test was ranked: when, by which models, and a hash of the test part."""

    time: str  # UTC
    test: str
    models: dict[str, Ranked]  # by name


def record_use(run: Path, test: str, config: StudyConfig) -> None:
    """Append a line to the ledger of a run directory: the models of a configuration rank the test of this hash.

    The line is written at once, so that a kill leaves all of it or, at worst, a part that reading passes over.

    Raises:
        UsageError: the ledger is a link.
    """
    path = run / LEDGER
    if path.is_symlink():
        raise UsageError(f"{path} is a link, which is not followed", "remove it")
    use = Use(datetime.now(UTC).isoformat(timespec="seconds"), test, _models(config))
    models = {name: model._asdict() for name, model in use.models.items()}
    line = json.dumps({**use._asdict(), "models": models}).encode() + b"\n"
    was_cut_short = path.is_file() and path.read_bytes()[-1:] not in (b"", b"\n")
    with path.open("ab", buffering=0) as file:
        file.write(b"\n" + line if was_cut_short else line)
        os.fsync(file.fileno())


def _models(config: StudyConfig) -> dict[str, Ranked]:
    fitted = {name: entry for section in ("baseline", "train") for name, entry in config.fitted(section).items()}
    settings = {name: entry.settings.model_dump(mode="json", exclude_defaults=True) for name, entry in fitted.items()}
    models = {name: Ranked(entry.kind, hash_json(settings[name])) for name, entry in fitted.items()}
    lists = {name: Path(file) for name, file in config.evaluate.predictions.items()}
    return models | {name: Ranked(PREDICTIONS, hash_file(file)) for name, file in lists.items() if file.is_file()}


def read_uses(run: Path, test: str) -> list[Use]:
    """Return the uses of the test part of this hash, in order; lines that are damaged are passed over."""
    path = run / LEDGER
    lines = path.read_bytes().splitlines() if path.is_file() else []
    return [use for use in map(_parsed, lines) if use and use.test == test]


def _parsed(line: bytes) -> Use | None:
    try:
        found = json.loads(line)
        models = {name: Ranked(model["kind"], model["settings"]) for name, model in found["models"].items()}
        return Use(found["time"], found["test"], models)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def settings_tried(uses: Iterable[Use]) -> Counter[str]:
    """Return by kind how many of the uses ranked settings of it that no earlier one did: variants that are ranked
    together count once, so that a use adds at most 1."""
    seen: set[Ranked] = set()
    counts: Counter[str] = Counter()
    for use in uses:
        new = set(use.models.values()) - seen
        counts.update({model.kind for model in new})
        seen |= new
    return counts
