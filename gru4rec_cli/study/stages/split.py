"""`split`: read raw clicks, clean them, divide them by time, and prove that the division holds."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gru4rec_cli.base.files import read_json
from gru4rec_cli.base.names import EVENTS_FILE, ITEMS_FILE, STATISTICS_FILE
from gru4rec_cli.data.events import DataSettings, read_event_table, write_table
from gru4rec_cli.data.presets import check_fingerprint
from gru4rec_cli.data.quality.finding import warn_of
from gru4rec_cli.data.quality.sessions import LONG
from gru4rec_cli.data.reading import Reading, findings_of, read_as_published, read_log
from gru4rec_cli.data.split_folder import PART_FILES, verify_split, write_split, write_statistics
from gru4rec_cli.data.splitting import divide_given, divide_log, given_logs, item_table, split_given, split_log
from gru4rec_cli.reporting.tables.data import data_table, removals_table
from gru4rec_cli.study.config import StudyConfig
from gru4rec_cli.study.stage import StageResults, StageWork


def run(work: StageWork) -> None:
    if work.config.data.engine == "pyspark":
        _run_on_spark(work)
    else:
        _run_on_polars(work)
    with work.progress.task("proving the split"):
        verify_split(work.folder, work.config.split)


def _run_on_polars(work: StageWork) -> None:
    data, settings = work.config.data, work.config.split
    readings: dict[str, Reading] = {}
    if data.train is not None and data.test is not None:
        readings = {part: read_log(str(getattr(data, part)), data, work.progress) for part in ("train", "test")}
        _warn(readings, work.config)
        split = split_given(readings["train"].take(), readings["test"].take(), settings, work.progress)
    elif work.config.synthetic:
        split = split_log(read_event_table(work.inputs["synth"] / EVENTS_FILE), settings, work.progress)
    else:
        readings = {"log": read_log(str(data.source), data, work.progress)}
        _warn(readings, work.config)
        split = split_log(readings["log"].take(), settings, work.progress)
    facts = {part: reading.facts for part, reading in readings.items()}
    with work.progress.task("writing the split"):
        write_split(replace(split, statistics=_complete(split.statistics, facts, data)), work.folder)


def _warn(readings: Mapping[str, Reading], config: StudyConfig) -> None:
    """Warn of what is probably wrong with the input; of long sessions only if nothing limits them."""
    limited = config.split.max_session_length is not None
    found = findings_of(list(readings.values()), config.data)
    warn_of(finding for finding in found if not (limited and finding.id == LONG))


def _run_on_spark(work: StageWork) -> None:
    from gru4rec_cli.data import spark, spark_reading

    data, settings = work.config.data, work.config.split
    facts: dict[str, Any] = {}
    with spark.spark_session(work.config.spark) as session:
        engine = spark.SparkEngine()
        if data.train is not None and data.test is not None:
            train, facts["train"] = spark_reading.read_log(session, data.train, data)
            test, facts["test"] = spark_reading.read_log(session, data.test, data)
            division = divide_given(engine, *given_logs(train, test), settings, work.progress)
        elif work.config.synthetic:
            log = spark.read_events(session, work.inputs["synth"] / EVENTS_FILE)
            division = divide_log(engine, log, settings, work.progress)
        else:
            log, facts["log"] = spark_reading.read_log(session, str(data.source), data)
            division = divide_log(engine, log, settings, work.progress)
        with work.progress.task("writing the split"):
            for part, events in division.parts.items():
                spark.write_parts(engine.visiting_order(events), work.folder / PART_FILES[part])
    write_table(item_table(read_event_table(work.folder / PART_FILES["train"])), work.folder / ITEMS_FILE)
    write_statistics(_complete(division.statistics, facts, data), work.folder)


def _complete(statistics: dict[str, Any], facts: dict[str, Any], data: DataSettings) -> dict[str, Any]:
    """The statistics of a split with how its input was read and how its counts compare with published ones."""
    statistics = {**statistics, "reading": facts}
    fingerprint = check_fingerprint(statistics, data.format, read_as_published(data))
    return statistics | ({} if fingerprint is None else {"preset": fingerprint})


def results(folder: Path, inputs: Mapping[str, Path]) -> StageResults:
    statistics = read_json(folder / STATISTICS_FILE)
    return StageResults(statistics, [data_table(statistics), removals_table(statistics)])
