"""`split`: read raw clicks, clean them, divide them by time, and prove that the division holds."""

from collections.abc import Mapping
from pathlib import Path

from gru4rec_cli.columns import EVENTS_FILE, STATISTICS_FILE
from gru4rec_cli.data.events import read_event_table, read_events
from gru4rec_cli.data.split_folder import verify_split, write_split
from gru4rec_cli.data.splitting import split_given, split_log
from gru4rec_cli.files import read_json
from gru4rec_cli.reporting.data_tables import data_table, removals_table
from gru4rec_cli.stages.work import StageResults, StageWork


def run(work: StageWork) -> None:
    data, settings = work.config.data, work.config.split
    if data.train is not None and data.test is not None:
        train = read_events(Path(data.train), data, work.progress)
        test = read_events(Path(data.test), data, work.progress)
        split = split_given(train, test, settings, work.progress)
    elif work.config.synthetic:
        split = split_log(read_event_table(work.inputs["synth"] / EVENTS_FILE), settings, work.progress)
    else:
        split = split_log(read_events(Path(str(data.source)), data, work.progress), settings, work.progress)
    with work.progress.task("writing and proving the split"):
        write_split(split, work.folder)
        verify_split(work.folder, settings)


def results(folder: Path, inputs: Mapping[str, Path]) -> StageResults:
    statistics = read_json(folder / STATISTICS_FILE)
    return StageResults(statistics, [data_table(statistics), removals_table(statistics)])
