"""Every preset gives the rows of the authors' own script: golden_preprocessing/README.md (fault 4)."""

import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gru4rec_cli.base.files import read_json
from gru4rec_cli.base.names import ITEM, METRICS_FILE, SESSION, STATISTICS_FILE, TIME
from gru4rec_cli.data.presets import PRESETS
from gru4rec_cli.data.reading import read_log
from gru4rec_cli.data.split_folder import verify_split, write_split
from gru4rec_cli.data.splitting import Split, split_log
from gru4rec_cli.study.config import load_config
from tests.small import study, write_config

GOLDEN = Path(__file__).parent / "golden_preprocessing"
CASES = sorted(path.parent for path in GOLDEN.glob("*/*/raw"))
MICROSECONDS = {"coveo": 1000, "retailrocket": 1000, "diginetica": 1000}  # of a unit of Time; else seconds
DAYS = {"retailrocket": 7, "diginetica": 7}  # of the second cut; else one

Session = tuple[tuple[str, int], ...]  # the item and time of each event


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to(GOLDEN).as_posix() for path in paths]


def config_of(case: Path, valid: int | None = None, preset: str | None = None) -> dict[str, Any]:
    name = preset or case.parent.name
    return {
        "name": "golden",
        "data": {"format": PRESETS[name].format, "source": str(case / "raw")},
        "split": {"preset": name, "valid": valid},
        "baseline": {"models": {"popularity": {}}},
    }


def made(config: dict[str, Any], folder: Path) -> Split:
    """The split as the stage makes it, proven."""
    study_config = load_config(write_config(folder, config))
    log = read_log(str(study_config.data.source), study_config.data).take()
    split = split_log(log, study_config.split)
    write_split(split, folder)
    verify_split(folder, study_config.split)
    return split


def rows(path: Path) -> Iterator[list[str]]:
    with gzip.open(path, "rt", newline="") as file:
        lines = iter(file)
        next(lines)
        for line in lines:
            yield line.rstrip("\n").split("\t")


def expected(path: Path, preset: str) -> list[Session]:
    sessions: dict[str, list[tuple[str, int]]] = {}
    for session, item, time in rows(path):
        micros = round(float(time) * 1000) * 1000 if preset == "rsc15" else int(time) * MICROSECONDS.get(preset, 10**6)
        sessions.setdefault(session, []).append((item, micros))
    if preset == "rsc15":  # its script keeps the order of the rows, and the author's loader then sorts by time
        sessions = {session: sorted(events, key=lambda event: event[1]) for session, events in sessions.items()}
    return [tuple(events) for events in sessions.values()]


def found(events: pl.DataFrame | None) -> list[Session]:
    assert events is not None
    sessions: dict[Any, list[tuple[str, int]]] = {}
    for session, item, time in events.select(SESSION, ITEM, TIME).iter_rows():
        sessions.setdefault(session, []).append((str(item), time))
    return [tuple(events) for events in sessions.values()]


def assert_same(part: pl.DataFrame | None, case: Path, file: str) -> None:
    """The same sessions, each with the same items and times in the same order."""
    preset, got = case.parent.name, found(part)
    want = expected(case / f"{file}.tsv.gz", preset)
    assert Counter(got) == Counter(want)


@pytest.mark.parametrize("case", CASES, ids=names(CASES))
def test_train_and_test_are_those_of_the_script(case: Path, tmp_path: Path):
    split = made(config_of(case), tmp_path)
    assert_same(split.train, case, "train")
    assert_same(split.test, case, "test")


SECOND_CUTS = [case for case in CASES if (case / "train_tr.tsv.gz").exists()]


@pytest.mark.parametrize("case", SECOND_CUTS, ids=names(SECOND_CUTS))
def test_training_is_divided_once_more_as_by_the_script(case: Path, tmp_path: Path):
    split = made(config_of(case, valid=DAYS.get(case.parent.name, 1)), tmp_path)
    assert_same(split.train, case, "train_tr")
    assert_same(split.valid, case, "train_valid")


PREFIXES = [case for case in CASES if (case / "items.tsv.gz").exists()]


@pytest.mark.parametrize("case", PREFIXES, ids=names(PREFIXES))
def test_order_items_and_prefixes_are_those_of_sr_gnn(case: Path, tmp_path: Path):
    split = made(config_of(case), tmp_path)
    assert found(split.train) == expected(case / "train.tsv.gz", case.parent.name)
    assert found(split.test) == expected(case / "test.tsv.gz", case.parent.name)
    numbers = {str(item): number for number, item in enumerate(split.items[ITEM], start=1)}
    assert numbers == {item: int(number) for number, item in rows(case / "items.tsv.gz")}
    for part, events in (("train", split.train), ("test", split.test)):
        prefixes = prefixes_of(events, numbers)
        assert prefixes == [tuple(row) for row in rows(case / f"{part}_prefixes.tsv.gz")]
        assert split.statistics["parts"][part]["prefixes"] == len(prefixes)


def prefixes_of(events: pl.DataFrame, numbers: dict[str, int]) -> list[tuple[str, str]]:
    """SR-GNN's examples: for every session the longest prefix first, as (prefix, target)."""
    walks = [[str(numbers[item]) for item, _ in session] for session in found(events)]
    return [(" ".join(walk[:end]), walk[end]) for walk in walks for end in range(len(walk) - 1, 0, -1)]


@pytest.mark.parametrize("share", ["1-64", "1-4"])
@pytest.mark.parametrize("seed", ["seed-1", "seed-2"])
def test_the_last_prefixes_of_yoochoose_are_those_of_sr_gnn(seed: str, share: str, tmp_path: Path):
    preset = f"yoochoose-srgnn-{share}"
    split = made(config_of(GOLDEN / "rsc15" / seed, preset=preset), tmp_path)
    numbers = {str(item): number for number, item in enumerate(split.items[ITEM], start=1)}
    for events, name in ((split.train, f"train-{share}"), (split.test, "test")):
        written = rows(GOLDEN / "yoochoose-srgnn" / seed / f"{name}_prefixes.tsv.gz")
        assert prefixes_of(events, numbers) == [tuple(row) for row in written]


def test_test_events_of_unseen_items_are_in_the_files_but_not_ranked(tmp_path: Path):
    """Five test sessions 30 40, 40 only there, and one session 30 20."""
    config = {**config_of(GOLDEN / "yoochoose" / "case-unseen"), "evaluate": {"resamples": 20, "permutations": 100}}
    run = tmp_path / "run"
    done = study("run", "--config", write_config(tmp_path, config), "--run-dir", run, "--quiet")
    assert done.returncode == 0, done.stderr
    test = read_json(run / "split" / STATISTICS_FILE)["parts"]["test"]
    assert (test["sessions"], test["events"]) == (6, 12)
    protocol = read_json(run / "evaluate" / METRICS_FILE)["protocol"]
    assert (protocol["sessions"], protocol["events"]) == (1, 1)


ONE_EACH = [max(GOLDEN.glob(f"{preset}/seed-1")) for preset in sorted({case.parent.name for case in CASES})]


@pytest.mark.parametrize("case", ONE_EACH, ids=names(ONE_EACH))
def test_the_command_writes_them(case: Path, tmp_path: Path):
    path = write_config(tmp_path, config_of(case))
    done = study("split", "--config", path, "--run-dir", tmp_path / "run", "--quiet")
    assert done.returncode == 0, done.stderr
    for part in ("train", "test"):
        assert_same(pl.read_parquet(tmp_path / "run" / "split" / f"{part}.parquet"), case, part)
