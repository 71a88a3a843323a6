"""`synth`: plant a process and draw a click log from it."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from gru4rec_cli.base.files import read_json, write_json
from gru4rec_cli.base.names import EVENTS_FILE, PROCESS_FILE, STATISTICS_FILE, TEST_FILE, TRAIN_FILE
from gru4rec_cli.data.cleaning import summarise
from gru4rec_cli.data.events import write_event_table
from gru4rec_cli.data.faults import plant, plant_in_split
from gru4rec_cli.data.synthetic import generate
from gru4rec_cli.reporting.tables import Table
from gru4rec_cli.study.stage import StageResults, StageWork


def run(work: StageWork) -> None:
    events, process = generate(work.config.synth, work.config.seed, work.progress)
    faults = work.config.synth.faults
    events = plant(events, faults, work.config.seed)
    parts = plant_in_split(events, faults, work.config.seed)
    with work.progress.task("writing events"):
        write_event_table(events, work.folder / EVENTS_FILE)
        for file, part in zip((TRAIN_FILE, TEST_FILE), parts or (), strict=bool(parts)):
            write_event_table(part, work.folder / file)
        process.save(work.folder / PROCESS_FILE)
    write_json(work.folder / STATISTICS_FILE, summarise(pl.concat(parts) if parts else events))


def results(folder: Path, inputs: Mapping[str, Path]) -> StageResults:
    statistics = read_json(folder / STATISTICS_FILE)
    counts = tuple(f"{statistics[name]:,}" for name in ("sessions", "events", "items"))
    table = Table("Planted events", ("Sessions", "Events", "Items"), (counts,), numeric=frozenset({0, 1, 2}))
    return StageResults(statistics, [table])
