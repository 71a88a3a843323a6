"""`refit`: models fitted again on more sessions than those of training, for the number of epochs that was kept."""

from pathlib import Path
from typing import Any

from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.base.files import hash_table, read_json
from gru4rec_cli.base.names import FIT_FILE, ITEMS_FILE, STATISTICS_FILE, TEST_FILE, TRAIN_FILE, VALID_FILE
from gru4rec_cli.base.settings import ModelSettings
from gru4rec_cli.base.warnings import warn
from gru4rec_cli.data import together
from gru4rec_cli.data.sessions import Sessions, read_vocabulary
from gru4rec_cli.models.base import FitReport
from gru4rec_cli.study.config import RefitOn, StudyConfig
from gru4rec_cli.study.freshness import code_hashes

_NEVER_VALIDATED = {"validate_on": None, "patience": None}


def read_refit_sessions(config: StudyConfig, section: str, split: Path) -> Sessions | None:
    """Return the sessions on which the models of a section are fitted again, or None where they are not.

    If nothing is evaluated, the items that only later parts hold are among the items of the model, and there is a
    warning if `split` has dropped their events. Else the items are those of training, as for all models.

    Raises:
        UsageError: there are no other sessions than those of training.
    """
    on = config.refit(section)
    if on is None:
        return None
    files = [split / file for file in _files(on) if (split / file).exists()]
    if split / VALID_FILE not in files and on == "train+valid":
        raise UsageError(
            f"{section}.refit: {on} needs validation sessions, and there are none",
            "name some in data.columns.part, or leave refit out",
        )
    if not config.evaluated:
        _warn_of_dropped_items(split, section)
    return together.read_together(files, read_vocabulary(split / ITEMS_FILE), new_items=not config.evaluated)


def refit_key(config: StudyConfig, section: str, split: Path) -> list[Any] | None:
    """Return what decides a second fit besides that which decides the first, or None where there is none."""
    on = config.refit(section)
    if on is None:
        return None
    data = [hash_table(split / file) for file in _files(on) if (split / file).exists()]
    return [on, config.evaluated, data, code_hashes(together)]


def chooses_epoch(settings: ModelSettings) -> bool:
    """Return whether a model keeps the epoch that is best by validation, which its second fit then needs to know."""
    return getattr(settings, "validate_on", None) is not None


def refit_settings(settings: ModelSettings, report: FitReport) -> ModelSettings:
    """Return the settings of the second fit: as many epochs as the first one kept, without validation."""
    epochs = report.facts.get("kept_epoch", len(report.curve))
    changed = {key: value for key, value in _NEVER_VALIDATED.items() if key in type(settings).model_fields}
    return settings.model_copy(update={"epochs": epochs, **changed})


def refit_facts(on: RefitOn, sessions: Sessions, report: FitReport) -> dict[str, Any]:
    """Return on what a model was fitted again, and for how many epochs, ready for JSON."""
    counts = {"sessions": sessions.n_sessions, "events": sessions.n_events, "items": sessions.n_items}
    return {"on": on, **counts, "epochs": len(report.curve) or None}


def refits_of(stage: Path, fits: list[str]) -> dict[str, Any]:
    """Return what `refit_facts` says of each of these fits of a finished stage that was fitted again."""
    found = {fit: read_json(stage / fit / FIT_FILE).get("refit") for fit in fits}
    return {fit: {k: v for k, v in facts.items() if k != "curve"} for fit, facts in found.items() if facts}


def _files(on: RefitOn) -> list[str]:
    return [TRAIN_FILE, VALID_FILE, *([TEST_FILE] if on == "all" else [])]


def _warn_of_dropped_items(split: Path, section: str) -> None:
    statistics = read_json(split / STATISTICS_FILE)
    if statistics["settings"]["unseen"] != "drop":
        return
    dropped = {part: facts["events"] for part, facts in statistics["unseen"].items() if facts and facts["events"]}
    if dropped:
        counts = " and ".join(f"{events:,} from the {part} part" for part, events in dropped.items())
        warn(
            "refit-without-new-items",
            f"{section}.refit: split.unseen: drop has removed the events of items that training lacks ({counts}), so "
            "the models do not know these items",
            "set split.unseen: keep",
        )
