"""`gru4rec-study bench`, called as a user calls it."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from gru4rec_cli.bench.notebook import Measurement, noisy
from gru4rec_cli.models import registry
from tests.fetched import needs_fetch
from tests.small import study

NOWHERE = "no-such-folder"
UNITS = {
    "steps_per_second": "steps/s", "events_per_second": "events/s", "distinct_columns": "columns/step", "p50": "ms",
    "p95": "ms", "p99": "ms", "speed_over_official": "×", "time_over_products": "×", "time_over_product": "×",
    "seconds": "s", "peak_memory": "MB", "memory_before": "MB", "events_used": "events",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def document(folder: Path) -> dict[str, Any]:
    """What a quick run prints, in which the author's code is not there; the warnings under `stderr`."""
    sections = [f"--only={name}" for name in ("training", "ranking", "latency")]
    asked: list[str | Path] = ["--quick", "--repeats", "2", "--threads", "1", *sections, "--to", folder, "--json"]
    done = study("bench", *asked, GRU4REC_STUDY_VENDOR=NOWHERE)
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "stderr": done.stderr}


def measurements_of(document: dict[str, Any]) -> list[Measurement]:
    return [
        Measurement(m["section"], m["subject"], m["case"], m["quantity"], m["unit"], tuple(m["values"]))
        for m in document["measurements"]
    ]


def figures_of(document: dict[str, Any], section: str, quantity: str) -> dict[str, dict[str, Any]]:
    found = [m for m in document["measurements"] if (m["section"], m["quantity"]) == (section, quantity)]
    return {m["subject"]: m for m in found}


def test_every_figure_is_positive_has_its_unit_and_a_value_a_repeat(document: dict[str, Any]):
    for found in document["measurements"]:
        assert found["unit"] == UNITS[found["quantity"]]
        assert len(found["values"]) == 2
        assert 0 < found["low"] <= found["median"] <= found["high"]


def test_training_is_measured_beside_its_products(document: dict[str, Any]):
    steps = figures_of(document, "training", "steps_per_second")
    assert list(steps) == ["gru4rec", "gru4rec, torch step", "products alone"]
    assert steps["gru4rec"]["case"] == {"settings": "tiny", "batch_size": 8, "units": 8, "items": 100}
    (columns,) = figures_of(document, "training", "distinct_columns").values()
    assert 8 <= columns["median"] <= 40  # 8 targets and 32 negatives a step, some of them equal
    events = figures_of(document, "training", "events_per_second")
    assert events["gru4rec"]["values"] == pytest.approx([8 * rate for rate in steps["gru4rec"]["values"]])
    over = figures_of(document, "training", "time_over_products")["gru4rec"]["values"]
    both = zip(steps["products alone"]["values"], steps["gru4rec"]["values"], strict=True)
    assert over == pytest.approx([floor / ours for floor, ours in both])


def test_turns_alternate(document: dict[str, Any]):
    turns = [turn for turn in document["turns"] if turn["section"] == "training"]
    assert [(turn["repeat"], turn["subject"]) for turn in turns] == [
        (repeat, subject) for repeat in (1, 2) for subject in ("gru4rec", "gru4rec, torch step", "products alone")
    ]


def test_every_kind_that_can_be_fitted_is_asked_and_the_others_are_named(document: dict[str, Any]):
    assert set(figures_of(document, "latency", "p99")) == set(registry.kinds()) - {"official"}
    assert list(document["left_out"]) == ["official"]
    assert "fetch" in document["left_out"]["official"]
    assert {"gru4rec", "gru4rec, no lists", "product alone", "popularity", "markov", "vsknn", "vstan"} == set(
        figures_of(document, "ranking", "events_per_second")
    )


def test_the_machine_is_described(document: dict[str, Any]):
    machine = document["machine"]
    assert machine["threads"] == 1
    assert machine["cores"] >= 1
    assert {"torch", "numba", "numpy", "python", "gru4rec-study"} <= set(machine["versions"])
    assert set(document["timed"]) == {"training", "ranking", "latency"}


def test_noisy_figures_are_named_on_stderr(document: dict[str, Any]):
    found = noisy(measurements_of(document))
    assert document["noisy"] == [measurement.name for measurement in found]
    assert ("[noisy-machine]" in document["stderr"]) == bool(found)
    assert [warning["id"] for warning in document["warnings"]] == ["noisy-machine"] * bool(found)
    assert all(measurement.name in document["stderr"] for measurement in found)


def test_the_folder_holds_the_same_figures_and_a_plot(document: dict[str, Any], folder: Path):
    written = json.loads((folder / "bench.json").read_text())
    assert written == {key: value for key, value in document.items() if key not in ("stderr", "warnings")}
    with (folder / "bench.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["median"]) for row in rows] == [m["median"] for m in document["measurements"]]
    assert (folder / "throughput.png").stat().st_size > 5_000
    assert "products alone" in (folder / "throughput.svg").read_text()


def test_figures_are_the_same_bytes_for_the_same_numbers(document: dict[str, Any], folder: Path, tmp_path: Path):
    from gru4rec_cli.bench.plots import write_plots

    write_plots(tmp_path, measurements_of(document))
    for name in ("throughput.svg", "throughput.png"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


@needs_fetch
@pytest.mark.slow
def test_the_authors_code_takes_its_turn():
    done = study("bench", "--quick", "--repeats", "2", "--only", "training", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    subjects = ["gru4rec", "gru4rec, torch step", "official", "products alone"]
    assert [turn["subject"] for turn in document["turns"]] == subjects * 2
    steps = figures_of(document, "training", "steps_per_second")
    both = zip(steps["gru4rec"]["values"], steps["official"]["values"], strict=True)
    over = figures_of(document, "training", "speed_over_official")["gru4rec"]["values"]
    assert over == pytest.approx([ours / his for ours, his in both])


def test_tables_say_what_is_timed_and_on_which_machine():
    done = study("bench", "--quick", "--repeats", "1", "--only", "fit", GRU4REC_STUDY_VENDOR=NOWHERE)
    assert done.returncode == 0, done.stderr
    for part in ("Fit: one repeat: the spread is not known", "peak memory, MB", "processor",
                 "Timed: fit, for neural models one epoch", "cores, threads", "Left out: official"):  # fmt: skip
        assert part in done.stdout


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["--only", "traning"], "there is no section traning"),
        (["--growth", "--only", "fit"], "--growth and --only exclude each other"),
        (["--quick", "--full"], "--quick and --full exclude each other"),
        (["--threads", "9999"], "--threads 9999"),
    ],
)
def test_what_does_not_fit_together_is_refused(asked: list[str], told: str):
    done = study("bench", *asked)
    assert done.returncode == 2
    assert told in done.stderr


@pytest.mark.slow
def test_growth_gives_time_and_memory_along_events_and_items(tmp_path: Path):
    done = study("bench", "--growth", "--quick", "--repeats", "1", "--json", "--to", tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    subjects = {"fit markov", "fit vsknn", "fit gru4rec", "ranking"}
    for section, sizes in (("growth with events", {(500, 50), (1_000, 50)}), ("growth with items", {(1_000, 50)})):
        for quantity in ("seconds", "peak_memory", "memory_before", "events_used"):
            found = [m for m in document["measurements"] if (m["section"], m["quantity"]) == (section, quantity)]
            assert {(m["case"]["events"], m["case"]["items"]) for m in found} == sizes
            assert {m["subject"] for m in found} == subjects
            assert all(m["low"] > 0 and m["unit"] == UNITS[quantity] for m in found)
    cut = [m for m in document["measurements"] if (m["subject"], m["quantity"]) == ("fit gru4rec", "events_used")]
    assert max(m["high"] for m in cut) == 64 * 8  # a chunk of steps more than 400 events
    assert (tmp_path / "growth.png").exists()
    assert "Peak memory" in (tmp_path / "growth.svg").read_text()
