"""`split`: read raw clicks, clean them, divide them by time, and prove that the division holds."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from gru4rec_cli.base.files import read_json
from gru4rec_cli.base.names import EVENTS_FILE, ITEMS_FILE, STATISTICS_FILE, TEST_FILE, TRAIN_FILE
from gru4rec_cli.data.events import DataSettings, read_event_table, write_table
from gru4rec_cli.data.leaks import find_leaks, warn_of_leaks
from gru4rec_cli.data.presets import check_fingerprint
from gru4rec_cli.data.quality.finding import warn_of
from gru4rec_cli.data.quality.sessions import LONG
from gru4rec_cli.data.quality.times import EXCHANGED
from gru4rec_cli.data.reading import Reading, findings_of, read_log, read_logs
from gru4rec_cli.data.split_folder import PART_FILES, verify_split, write_split, write_statistics
from gru4rec_cli.data.splitting import (
    divide_given,
    divide_log,
    given_logs,
    item_table,
    split_by_part,
    split_given,
    split_log,
)
from gru4rec_cli.data.users import write_users
from gru4rec_cli.reporting.tables.data import data_table, removals_table
from gru4rec_cli.study.config import StudyConfig
from gru4rec_cli.study.stage import StageResults, StageWork

if TYPE_CHECKING:  # loads pyspark's names
    from gru4rec_cli.data.spark_reading import SparkReading


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
        readings = dict(zip(("train", "test"), read_logs([data.train, data.test], data, work.progress), strict=True))
        _warn(readings, work.config)
        split = split_given(readings["train"].take(), readings["test"].take(), settings, work.progress)
    elif work.config.synthetic and (work.inputs["synth"] / TRAIN_FILE).exists():  # with a fault of a split
        given = [read_event_table(work.inputs["synth"] / file) for file in (TRAIN_FILE, TEST_FILE)]
        split = split_given(given[0], given[1], settings, work.progress)
    elif work.config.synthetic:
        split = split_log(read_event_table(work.inputs["synth"] / EVENTS_FILE), settings, work.progress)
    else:
        readings = {"log": read_log(str(data.source), data, work.progress)}
        _warn(readings, work.config)
        log = readings["log"].take()
        if settings.by == "column":
            split = split_by_part(log, str(data.source), settings, work.progress)
        else:
            split = split_log(log, settings, work.progress)
    facts = {part: reading.facts for part, reading in readings.items()}
    parts = {"train": split.train, "valid": split.valid, "test": split.test}
    statistics = _complete(split.statistics, facts, data) | _leaks(split.statistics, parts, work)
    with work.progress.task("writing the split"):
        write_split(replace(split, statistics=statistics), work.folder)
        write_users(parts, [found.users for found in readings.values() if found.users is not None], work.folder)


def _warn(readings: Mapping[str, Reading], config: StudyConfig) -> None:
    """Warn of what is probably wrong with the input; of long sessions only if nothing limits them.

    Exchanged files are left to `warn_of_leaks`.
    """
    limited = config.split.max_session_length is not None
    found = [finding for finding in findings_of(list(readings.values()), config.data) if finding.id != EXCHANGED]
    warn_of(finding for finding in found if not (limited and finding.id == LONG))


def _run_on_spark(work: StageWork) -> None:
    from gru4rec_cli.data import spark, spark_reading

    data, settings = work.config.data, work.config.split
    readings: dict[str, SparkReading] = {}
    with spark.spark_session(work.config.spark) as session:
        engine = spark.SparkEngine(settings.equal_starts)
        if data.train is not None and data.test is not None:
            readings = {
                "train": spark_reading.read_log(session, data.train, data),
                "test": spark_reading.read_log(session, data.test, data),
            }
            train, test = given_logs(readings["train"].events, readings["test"].events)
            division = divide_given(engine, {"train": train, "test": test}, settings, work.progress)
        elif work.config.synthetic:
            log = spark.read_events(session, work.inputs["synth"] / EVENTS_FILE)
            division = divide_log(engine, log, settings, work.progress)
        else:
            readings = {"log": spark_reading.read_log(session, str(data.source), data)}
            division = divide_log(engine, readings["log"].events, settings, work.progress)
        with work.progress.task("writing the split"):
            for part, events in division.parts.items():
                spark.write_parts(engine.visiting_order(events), work.folder / PART_FILES[part])
            whole = work.folder / "whole training.parquet"
            if division.whole_training is not None:
                spark.write_parts(engine.visiting_order(division.whole_training), whole)
    parts = {part: read_event_table(work.folder / PART_FILES[part]) for part in division.parts}
    every = read_event_table(whole) if whole.exists() else None
    write_table(item_table(parts["train"], every), work.folder / ITEMS_FILE)
    shutil.rmtree(whole, ignore_errors=True)
    facts = {part: reading.facts for part, reading in readings.items()}
    statistics = _complete(division.statistics, facts, data) | _leaks(division.statistics, parts, work)
    write_statistics(statistics, work.folder)
    write_users(parts, [found.users for found in readings.values() if found.users is not None], work.folder)


def _complete(statistics: dict[str, Any], facts: dict[str, Any], data: DataSettings) -> dict[str, Any]:
    """The statistics of a split with how its input was read and how its counts compare with published ones."""
    statistics = {**statistics, "reading": facts}
    fingerprint = check_fingerprint(statistics, data.model_dump(mode="json"))
    return statistics | ({} if fingerprint is None else {"preset": fingerprint})


def _leaks(
    statistics: dict[str, Any], parts: Mapping[str, pl.DataFrame | None], work: StageWork
) -> dict[str, dict[str, Any]]:
    """Return what training knows of a test that was given, under the key of the statistics, and warn of it."""
    test = parts.get("test")
    if statistics["source"] != "given" or test is None:
        return {}
    with work.progress.task("looking for leaks"):
        train = pl.concat([part for name in ("train", "valid") if (part := parts.get(name)) is not None])
        leaks = find_leaks(train, test, timed=work.config.data.has_times)
    warn_of_leaks(leaks)
    return {"leaks": leaks}


def results(folder: Path, inputs: Mapping[str, Path]) -> StageResults:
    statistics = read_json(folder / STATISTICS_FILE)
    parts, removals = data_table(statistics), removals_table(statistics)
    if removals.rows:
        return StageResults(statistics, [parts, removals])
    return StageResults(statistics, [replace(parts, notes=(*parts.notes, *removals.notes))])
