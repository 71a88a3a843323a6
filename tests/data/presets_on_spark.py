"""Split artificial raw files by every preset on Spark and on Polars; print, as JSON, in what the two differ.

`python -m tests.data.presets_on_spark FOLDER`, in one session of Spark.
"""

import json
import sys
from pathlib import Path
from typing import Any

import polars as pl
from polars.testing import assert_frame_equal

from gru4rec_cli.data.events import read_event_table
from gru4rec_cli.data.presets import PRESETS
from gru4rec_cli.data.reading import read_log
from gru4rec_cli.data.spark import SparkEngine, SparkSettings, spark_session, write_parts
from gru4rec_cli.data.spark_reading import read_log as read_on_spark
from gru4rec_cli.data.splitting import Division, divide_log, item_table, split_log
from gru4rec_cli.study.config import StudyConfig, load_config
from tests.data.on_spark import FEW_ROWS
from tests.data.test_golden_preprocessing import GOLDEN, config_of
from tests.small import write_config

OPTIONS = {
    "spark.sql.files.maxPartitionBytes": "400",
    "spark.sql.files.openCostInBytes": "1",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.adaptive.enabled": "false",
    **FEW_ROWS,
}


CASES = {
    "yoochoose": "yoochoose/case-same-row-numbers",
    "yoochoose-as-meant": "yoochoose/case-within-a-second-repeats",
    "rees46": "rees46/case-ties-rank-over-all-events",
    "coveo": "coveo/case-detail-without-product",
    "retailrocket": "retailrocket/case-gap-bridged",
    "diginetica": "diginetica/case-ties-repeats",
    "rsc15": "rsc15/case-ends-with-unseen",
    "diginetica-srgnn": "diginetica-srgnn/case-date-of-the-last-row",
    "yoochoose-srgnn-1-64": "rsc15/case-over-the-cut",
    "yoochoose-srgnn-1-4": "rsc15/case-over-the-cut",
}


def config_for(preset: str, folder: Path) -> StudyConfig:
    return load_config(write_config(folder, config_of(GOLDEN / CASES[preset], preset=preset)))


def on_spark(session: Any, config: StudyConfig, folder: Path) -> tuple[dict[str, pl.DataFrame], dict[str, Any]]:
    """The parts, the items and the statistics, and the facts of reading."""
    reading = read_on_spark(session, str(config.data.source), config.data)
    engine = SparkEngine(config.split.equal_starts)
    division: Division = divide_log(engine, reading.events, config.split)
    tables = dict(division.parts)
    if division.whole_training is not None:
        tables["whole"] = division.whole_training
    found: dict[str, pl.DataFrame] = {}
    for part, events in tables.items():
        write_parts(engine.visiting_order(events), folder / part)
        found[part] = read_event_table(folder / part)
    found["items"] = item_table(found["train"], found.pop("whole", None))
    return found, {"statistics": division.statistics, "reading": reading.facts}


def differences(session: Any, preset: str, folder: Path) -> list[str]:
    config = config_for(preset, folder)
    reading = read_log(str(config.data.source), config.data)
    facts = reading.facts
    split = split_log(reading.take(), config.split)
    found, told = on_spark(session, config, folder)
    wrong = [key for key, value in {"statistics": split.statistics, "reading": facts}.items() if told[key] != value]
    for part, expected in {"train": split.train, "test": split.test, "items": split.items}.items():
        try:
            assert_frame_equal(found[part], expected)
        except AssertionError as error:
            wrong.append(f"{part}: {str(error).splitlines()[0]}")
    return wrong


def main(folder: Path) -> None:
    names = sys.argv[2:] or list(PRESETS)
    with spark_session(SparkSettings(master="local[1]", options=OPTIONS)) as session:
        print(json.dumps({preset: differences(session, preset, folder / preset) for preset in names}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
