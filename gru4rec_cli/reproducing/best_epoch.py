"""The study in which the test chooses the epoch, as some published tables do: it shows what this fault is worth."""

from collections.abc import Collection
from pathlib import Path

import polars as pl

from gru4rec_cli.base.names import ITEM, SESSION, TEST_FILE, TIME, TRAIN_FILE
from gru4rec_cli.data.events import write_table
from gru4rec_cli.models.neural.settings import NeuralSettings
from gru4rec_cli.study.config import PART_COLUMN, StudyConfig, config_of

_FOLDER = "as-published"  # in the run directory
_CLICKS, _RUN = "clicks.parquet", "run"  # in that folder


def best_epoch_study(
    config: StudyConfig, run_dir: Path, models: Collection[str], metric: str
) -> tuple[StudyConfig, Path] | None:
    """Return a study of these models, and its run directory, that keeps the epoch which is best on the test.

    The training and the test are those of the finished run in `run_dir`. The test is the validation part, too, in
    copies of its sessions. None where no model has epochs.
    """
    entries = {name: entry for name, entry in config.fitted("train").items() if name in models}
    trained = {
        name: entry.as_config() | {"validate_on": metric, "patience": None}
        for name, entry in entries.items()
        if isinstance(entry.settings, NeuralSettings)
    }
    if not trained:
        return None
    folder = run_dir / _FOLDER
    folder.mkdir(exist_ok=True)
    write_table(_clicks(run_dir / "split"), folder / _CLICKS)
    columns = {"session": SESSION, "item": ITEM, "time": TIME, "part": PART_COLUMN}
    values = {
        "name": f"{config.name}-{_FOLDER}",
        "seed": config.seed,
        "seeds": None if config.seeds is None else list(config.seeds),
        "data": {"source": str(folder.resolve() / _CLICKS), "columns": columns, "time_unit": "microseconds"},
        "split": {"by": "column", "unseen": config.split.unseen},
        "train": {"models": trained},
        "evaluate": config.evaluate.model_dump(mode="json", exclude={"predictions"}),
    }
    return config_of(values, str(folder)), folder / _RUN


def _clicks(split: Path) -> pl.DataFrame:
    """Return the clicks of training, those of the test as validation, and those of the test.

    Session ids become text, since the copies of the sessions of the test need ids of their own.
    """
    files = {"train": TRAIN_FILE, "valid": TEST_FILE, "test": TEST_FILE}
    parts = [
        pl.read_parquet(split / file).select(
            pl.format("{}-{}", pl.lit(part), SESSION).alias(SESSION), ITEM, TIME, pl.lit(part).alias(PART_COLUMN)
        )
        for part, file in files.items()
    ]
    return pl.concat(parts)
