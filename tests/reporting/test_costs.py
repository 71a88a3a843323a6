"""What models took, beside their accuracy: the table, the figure, and the page that stands beside the report."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gru4rec_cli.base.files import MANIFEST, write_json
from gru4rec_cli.reporting.figures.costs import Box, draw_costs, place_labels
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.pages.costs import costs_sections
from gru4rec_cli.reporting.pages.html import page_html
from gru4rec_cli.reporting.pages.markdown import sections_markdown
from gru4rec_cli.reporting.tables.costs import costs_table
from gru4rec_cli.reporting.text.words import ENGLISH, words_of
from gru4rec_cli.study.costs import costs_by_model

SPANISH = words_of("es")
MACHINE = {"machine": "x86_64", "processor": "P", "threads": 2}
OTHER = {**MACHINE, "processor": "Q"}
SVG = "{http://www.w3.org/2000/svg}"


def metric(model: str, value: float) -> dict[str, Any]:
    place = {"metric": "recall", "k": 20, "ties": "conservative", "slice": "all", "events": 1000}
    return {"model": model, "seed": "all", "value": value, "low": value - 0.01, "high": value + 0.01, **place}


def found(**recall: float) -> Findings:
    models = {
        "gru4rec": {"stage": "train", "training_order": "time", "settings": {"loss": "cross-entropy"}},
        "sasrec": {"stage": "train", "training_order": "shuffled", "settings": {"loss": "bce"}},
        "markov": {"stage": "baseline", "training_order": None, "settings": {"order": 1}},
    }
    rows = [metric(model, value) for model, value in recall.items()]
    about = {model: models.get(model, {}) for model in recall}
    return Findings({"protocol": {"cutoffs": [20]}, "metrics": rows, "models": about})


def fit(
    folder: Path,
    name: str,
    *,
    seconds: float,
    peak: int = 2**30,
    epochs: int = 0,
    machine: dict[str, Any] | None = MACHINE,
    refit: int = 0,
    **facts: Any,
) -> None:
    """Write what a fit leaves that costs are read from."""
    (folder / name).mkdir(parents=True)
    cost = {"seconds": seconds, "peak_memory_bytes": peak}
    write_json(folder / name / MANIFEST, {"cost": cost, **({"device": machine} if machine else {})})
    again = {"refit": {"curve": [{"loss": 1.0}] * refit}} if refit else {}
    write_json(folder / name / "fit.json", {"curve": [{"loss": 1.0}] * epochs, "facts": facts, **again})


def ranking(folder: Path, **seconds: float) -> Path:
    (folder / "costs").mkdir(parents=True)
    entries = {
        name.replace("_seed_", ".seed-"): {"events": 1000, "cost": {"seconds": value}, "device": MACHINE}
        for name, value in seconds.items()
    }
    write_json(folder / "costs" / "ranking.json", entries)
    return folder


@pytest.fixture
def costs(tmp_path: Path) -> dict[str, dict[str, Any]]:
    fit(tmp_path / "train", "gru4rec.seed-1", seconds=90, peak=3 * 2**30, epochs=10, kept_epoch=8)
    fit(tmp_path / "train", "gru4rec.seed-2", seconds=60, peak=2**30, epochs=5, kept_epoch=5)
    fit(tmp_path / "train", "sasrec", seconds=7200, epochs=4, kept_epoch=4)
    fit(tmp_path / "baseline", "markov", seconds=0.04, peak=100 * 2**20)
    evaluated = ranking(tmp_path / "evaluate", gru4rec_seed_1=0.5, gru4rec_seed_2=0.3, sasrec=25.0, markov=0.004)
    return costs_by_model([tmp_path / "baseline", tmp_path / "train"], evaluated)


def test_costs_of_several_seeds_are_means_and_the_largest_memory(costs: dict[str, dict[str, Any]]):
    assert costs["gru4rec"] == {
        "fits": 2,
        "seconds": 75.0,  # (90 + 60) / 2
        "epochs": 7.5,  # (10 + 5) / 2
        "kept_epoch": 6.5,  # (8 + 5) / 2
        "seconds_per_epoch": 10.0,  # 150 / 15
        "peak_memory_bytes": 3 * 2**30,
        "ranking_seconds_per_event": pytest.approx(0.0004),  # .8 / 2000
        "machines": [{"processor": "P", "threads": 2}],
    }


def test_the_table_has_time_epochs_memory_ranking_order_and_loss_beside_accuracy(costs: dict[str, dict[str, Any]]):
    table = costs_table(found(sasrec=0.5, gru4rec=0.4, markov=0.3), costs)
    assert table.columns == (
        *("Model", "Recall@20", "Fit time", "Epochs", "Per epoch", "Peak RSS", "Ranking", "Order", "Loss"),
    )
    assert table.rows == (
        ("sasrec", ".5000", "2.0 h", "4", "30.0 min", "1.0 GiB", "25 ms", "shuffled", "bce"),
        ("gru4rec", ".4000", "1.2 min", "6.5 of 7.5", "10.0 s", "3.0 GiB", "0.40 ms", "time", "cross-entropy"),
        ("markov", ".3000", "< 0.1 s", "–", "–", "100 MiB", "< 0.01 ms", "–", "–"),
    )
    notes = " ".join(table.notes)
    assert "Means over seeds, with the number of seeds in brackets; of memory, the largest: gru4rec (2)." in notes
    assert "Measured on: P, threads: 2." in notes
    assert "the one that was kept comes first" in notes


def test_a_model_that_is_not_there_has_no_row_and_a_single_fit_no_means(costs: dict[str, dict[str, Any]]):
    table = costs_table(found(markov=0.3, oracle=0.9), {"markov": costs["markov"]})
    assert [row[0] for row in table.rows] == ["markov"]
    assert not any("Means" in note or "comes first" in note for note in table.notes)


def test_spanish_has_its_own_words_and_marks(costs: dict[str, dict[str, Any]]):
    table = costs_table(found(sasrec=0.5, gru4rec=0.4, markov=0.3), costs, SPANISH)
    assert table.rows[1] == (
        *("gru4rec", "0,4000", "1,2 min", "6,5 de 7,5", "10,0 s", "3,0 GiB", "0,40 ms", "temporal", "cross-entropy"),
    )
    assert table.rows[0][7] == "al azar"
    assert any(note.startswith("Medido en: P, hilos: 2.") for note in table.notes)


def test_machines_are_told_apart_and_those_of_earlier_versions_are_missing(tmp_path: Path):
    fit(tmp_path / "train", "gru4rec", seconds=1, epochs=1)
    fit(tmp_path / "train", "sasrec", seconds=1, epochs=1, machine=OTHER, device="cuda:0 (G)")
    fit(tmp_path / "train", "markov", seconds=1, machine=None)
    costs = costs_by_model([tmp_path / "train"], tmp_path / "evaluate")
    assert costs["markov"]["ranking_seconds_per_event"] is None
    table = costs_table(found(gru4rec=0.5, sasrec=0.4, markov=0.3), costs)
    assert [row[6] for row in table.rows] == ["–", "–", "–"]
    assert [note for note in table.notes if note.startswith("Measured")] == [
        "Measured on P, threads: 2: gru4rec.",
        "Measured on missing: markov.",
        "Measured on Q, threads: 2, cuda:0 (G): sasrec.",
    ]


def test_a_model_that_an_accelerator_fitted_and_ranked_is_of_one_machine(tmp_path: Path):
    fit(tmp_path / "train", "sasrec", seconds=1, epochs=1, device="cuda:0 (G)")
    costs = costs_by_model([tmp_path / "train"], ranking(tmp_path / "evaluate", sasrec=1.0))
    assert costs["sasrec"]["machines"] == [{"processor": "P", "threads": 2, "accelerator": "cuda:0 (G)"}]


def test_both_fits_of_a_model_that_was_fitted_again_count(tmp_path: Path):
    fit(tmp_path / "train", "gru4rec", seconds=36, epochs=10, kept_epoch=8, refit=8)
    found = costs_by_model([tmp_path / "train"], tmp_path / "evaluate")["gru4rec"]
    assert (found["epochs"], found["seconds_per_epoch"], found["kept_epoch"]) == (18, 2.0, None)


def texts(path: Path) -> list[str | None]:
    return [element.text for element in ElementTree.parse(path).getroot().iter(f"{SVG}text")]


def test_the_figure_names_every_model_on_a_scale_of_time(tmp_path: Path, costs: dict[str, dict[str, Any]]):
    findings = found(sasrec=0.5, gru4rec=0.4, markov=0.3, oracle=0.6)
    figure = draw_costs(tmp_path, findings, costs, ENGLISH)
    assert figure is not None
    shown = texts(tmp_path / "accuracy_by_time.svg")
    assert {"sasrec", "gru4rec", "markov", "oracle (bound)", "Fit time (log scale)", "Recall@20"} <= set(shown)
    assert {"0.1 s", "1 s", "1 min", "1 h", "0.60"} <= set(shown)  # .60: the bound is on the scale
    assert figure.alt == (
        "Dots, time on a log scale: sasrec .5000 after 7,200 s; gru4rec .4000 after 75 s; markov .3000 after 0.1 s."
    )
    assert figure.caption.endswith("Times below 0.1 s are drawn as 0.1 s.")


def test_the_figure_is_the_same_for_the_same_costs_and_speaks_spanish(tmp_path: Path, costs: dict[str, dict[str, Any]]):
    findings = found(sasrec=0.5, gru4rec=0.4, markov=0.3)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        draw_costs(tmp_path / name, findings, costs, SPANISH)
    files = [(tmp_path / name / "accuracy_by_time.svg").read_bytes() for name in ("one", "two")]
    assert files[0] == files[1]
    shown = texts(tmp_path / "one" / "accuracy_by_time.svg")
    assert {"0,1 s", "Tiempo de ajuste (escala logarítmica)", "Recall@20 según el tiempo de ajuste"} <= set(shown)


def test_there_is_no_figure_of_one_model(tmp_path: Path, costs: dict[str, dict[str, Any]]):
    assert draw_costs(tmp_path, found(markov=0.3, oracle=0.6), costs, ENGLISH) is None
    assert draw_costs(tmp_path, found(markov=0.3, new=0.2), costs, ENGLISH) is None  # the other one has no cost
    assert not any(tmp_path.glob("*.svg"))


def test_models_without_time_or_accuracy_to_tell_apart_are_drawn_all_the_same(tmp_path: Path):
    zero = {"a": {"seconds": 0.0}, "b": {"seconds": 0.0}}
    assert draw_costs(tmp_path, found(a=0.0, b=0.0), zero, ENGLISH) is not None
    bare = Findings({"protocol": {"cutoffs": [20]}, "metrics": [{**metric(m, 0.3), "low": math.nan} for m in "ab"]})
    assert draw_costs(tmp_path, bare, zero, ENGLISH) is not None


AREA = Box(0, 0, 900, 500)
PLACES = st.tuples(st.floats(0, 900), st.floats(0, 500))


@given(points=st.lists(PLACES, min_size=1, max_size=25), width=st.floats(20, 180))
def test_labels_cover_neither_each_other_nor_a_point(points: Sequence[tuple[float, float]], width: float):
    dots = [Box(x - 6, y - 6, x + 6, y + 6) for x, y in points]
    placed = place_labels(points, [(width, 18.0)] * len(points), dots, AREA)
    boxes = [box for box in placed if box is not None]
    assert len(boxes) == len(points)  # 25 · 180 · 18 is a fifth of the area
    for number, box in enumerate(boxes):
        assert box.inside(AREA)
        assert not any(box.overlaps(other) for other in [*dots, *boxes[:number]])


def test_a_label_for_which_there_is_no_room_is_left_out():
    assert place_labels([(50, 50)], [(200, 10)], [], Box(0, 0, 100, 100)) == [None]


def test_the_page_shows_ratio_table_figure_and_the_way_back(tmp_path: Path, costs: dict[str, dict[str, Any]]):
    findings = found(sasrec=0.5, gru4rec=0.4, markov=0.3)
    figure = draw_costs(tmp_path, findings, costs, SPANISH)
    sections = costs_sections(findings, costs, figure, SPANISH)
    page = sections_markdown("x", sections, SPANISH, ".")
    # 7,200 s over .1 s
    assert "Ajustar sasrec, el mejor modelo entrenado, llevó más de 72 000 veces el tiempo de markov" in page
    assert "| sasrec | 0,5000 | 2,0 h | 4 | 30,0 min | 1,0 GiB | 25 ms | al azar | bce |" in page
    assert "](./accuracy_by_time.png)" in page
    assert "[El informe](../report.es.md)" in page
    assert '<a href="../report.es.html">El informe</a>' in page_html("x", sections, SPANISH, drawings={})
