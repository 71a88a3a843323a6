"""`split`: read raw clicks, clean them, divide them by time, and prove that the division holds."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gru4rec_cli.columns import EVENTS_FILE, STATISTICS_FILE
from gru4rec_cli.data.events import read_event_table
from gru4rec_cli.data.presets import check_fingerprint
from gru4rec_cli.data.reading import Reading, read_as_published, read_log, with_readings
from gru4rec_cli.data.split_folder import verify_split, write_split
from gru4rec_cli.data.splitting import split_given, split_log
from gru4rec_cli.files import read_json
from gru4rec_cli.reporting.data_tables import data_table, removals_table
from gru4rec_cli.stages.work import StageResults, StageWork


def run(work: StageWork) -> None:
    data, settings = work.config.data, work.config.split
    readings: dict[str, Reading] = {}
    if data.train is not None and data.test is not None:
        readings = {part: read_log(str(getattr(data, part)), data, work.progress) for part in ("train", "test")}
        split = split_given(readings["train"].take(), readings["test"].take(), settings, work.progress)
    elif work.config.synthetic:
        split = split_log(read_event_table(work.inputs["synth"] / EVENTS_FILE), settings, work.progress)
    else:
        readings = {"log": read_log(str(data.source), data, work.progress)}
        split = split_log(readings["log"].take(), settings, work.progress)
    statistics = with_readings(split.statistics, readings)
    fingerprint = check_fingerprint(statistics, data.format, read_as_published(data))
    split = replace(split, statistics=statistics | ({} if fingerprint is None else {"preset": fingerprint}))
    with work.progress.task("writing and proving the split"):
        write_split(split, work.folder)
        del split
        verify_split(work.folder, settings)


def results(folder: Path, inputs: Mapping[str, Path]) -> StageResults:
    statistics = read_json(folder / STATISTICS_FILE)
    return StageResults(statistics, [data_table(statistics), removals_table(statistics)])
