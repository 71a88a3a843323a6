"""The section about the search for settings: its tables, what it says of budgets, its figures, and where it stands."""

from pathlib import Path
from typing import Any

import pytest

from gru4rec_cli.reporting.figures import drawing as drawing_module
from gru4rec_cli.reporting.figures import tuning as figures
from gru4rec_cli.reporting.figures.drawing import drawing
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.findings.search import Search
from gru4rec_cli.reporting.pages.markdown import sections_markdown, summary_markdown
from gru4rec_cli.reporting.pages.report import Artifacts, paper_tables, report_sections
from gru4rec_cli.reporting.tables.results import results_table
from gru4rec_cli.reporting.tables.tuning import own_or_tuned_table, search_table, search_time_table
from gru4rec_cli.reporting.text.tuning import budget_sentence, tuning_sentences
from gru4rec_cli.reporting.text.words import ENGLISH, words_of
from tests.reporting.pages import write_page
from tests.reporting.rich import metrics_json
from tests.reporting.searched import ledger, search, seven, trials
from tests.reporting.test_sections import pair, row

SPANISH = words_of("es")


def findings(**changes: Any) -> Findings:
    """knn got better by .02 in Recall@20; the other metrics were not compared. gru4rec has no row of its own."""
    document: dict[str, Any] = {
        "protocol": {"ties": "conservative", "cutoffs": [20], "confidence": 0.95, "permutations": 1000},
        "models": {
            "knn": {"stage": "baseline"},
            "knn_default": {"stage": "baseline", "default_of": "knn"},
            "gru4rec": {"stage": "train"},
            "markov": {"stage": "baseline"},
            "oracle": {"stage": "oracle"},
        },
        "metrics": [row("knn", 0.42), row("knn_default", 0.4), row("gru4rec", 0.5), row("markov", 0.3)],
        "differences": [pair("knn_default", "knn", -0.02, 0.03)],
    }
    return Findings({**document, **changes})


def artifacts(**changes: Any) -> Artifacts:
    provenance = {"run": "demo", "inputs": {}, "versions": {}}
    return Artifacts("demo", metrics_json(), {}, {}, [], provenance, **changes)


def test_the_table_of_the_search_puts_budgets_and_choices_side_by_side():
    table = search_table(search(), ENGLISH)
    assert table.rows == (
        ("knn", "4", "4", "0", "0", "–", ".1000\u00a0±\u00a0.0300", ".1250", "4", "1", "k 100 → 50"),
        ("gru4rec", "5", "3", "1", "1", "14", ".2000\u00a0±\u00a0.0300", ".3000", "4", "1",
         "learning_rate 0.2 → 0.01"),
    )  # fmt: skip
    assert table.columns[6:10] == ("Own settings", "Best trial", "Its number", "One-SE trial")
    assert table.notes[-1].startswith("The best trial was chosen.")
    assert search_table(search(choose="one-standard-error"), ENGLISH).notes[-1].startswith("The one-SE trial was")


def test_a_choice_that_changes_nothing_and_own_settings_that_failed_are_named():
    document = ledger()
    document["models"]["knn"]["chosen"] = {"trial": 1, "changed": {}}
    document["models"]["knn"]["default"].update(value=None, standard_error=None)
    (cells, _) = search_table(Search.of(document, trials()), ENGLISH).rows
    assert (cells[6], cells[-1]) == ("missing", "none: its own settings")


@pytest.mark.parametrize(
    ("changes", "used_up", "said"),
    [
        ({}, (), "All of these models had the same budget: 5 trials."),
        ({"budget": {"seconds": 600.0}}, (), "All of these models had the same budget: 600 s."),
        (
            {},
            ("knn", "gru4rec"),
            "The budget was the same for all of these models, 5 trials, but not all could use it, because their search "
            "spaces had no more points: knn 4, gru4rec 5.",
        ),
        ({"budget": {"trials": 1}}, (), "All of these models had the same budget: 1 trial."),
    ],
)
def test_the_budgets_are_compared_in_words(changes: dict[str, Any], used_up: tuple[str, ...], said: str):
    document = ledger(**changes)
    for name, model in document["models"].items():
        model["used_up"] = name in used_up
    assert budget_sentence(Search.of(document, trials()), ENGLISH).plain() == said


def test_one_model_alone_had_no_rival_with_the_same_budget():
    assert budget_sentence(seven(), ENGLISH).plain() == "Only big was tuned, with 5 trials."


def test_models_without_a_search_and_the_bias_of_the_best_are_named():
    said = [sentence.plain() for sentence in tuning_sentences(search(), findings(), ENGLISH)]
    assert said[0].startswith("The settings of knn and gru4rec were searched for on the validation sessions, by MRR@20")
    assert "as the configuration has them: the settings of markov." in said[-2]
    assert said[-1].startswith("The values of the best trials on validation are too high")
    only = {"models": {"knn": {"stage": "baseline"}, "gru4rec": {"stage": "train"}}}
    assert len(tuning_sentences(search(), findings(**only), ENGLISH)) == len(said) - 1


SAME_LEVEL = "significant; same level (below 5 %)"


def test_own_settings_and_chosen_ones_are_compared_on_the_test():
    """The artifact has own minus chosen, −.02 [−.025, −.015], relative −.04; turned round: +.02, relative +.0417."""
    table = own_or_tuned_table(search(), findings(), ENGLISH)
    recall, mrr, _ = table.rows
    assert recall == ("knn", "Recall@20", ".4000", ".4200", "+.0200", "[+.0150;+.0250]", ".0300", SAME_LEVEL)
    assert mrr == ("knn", "MRR@20", *["missing"] * 6)
    document = ledger()
    document["models"]["knn"]["chosen"] = {"trial": 1, "changed": {}}
    same = own_or_tuned_table(Search.of(document, trials()), findings(), ENGLISH)
    assert {cells[-1] for cells in same.rows} == {"the same: its own were chosen"}


def test_without_rows_of_own_settings_there_is_no_such_table():
    assert own_or_tuned_table(search(), findings(models={"knn": {}}), ENGLISH).rows == ()
    page = sections_markdown("demo", report_sections(artifacts(search=search())), ENGLISH)
    assert "it is not known what the search is worth on the test part" in page


def test_the_time_of_the_search_is_summed_by_model():
    table = search_time_table(search(), {"knn": [1.0, 2.0, 1.5, 1.5], "gru4rec": [60.0] * 5}, ENGLISH)
    assert table.rows == (("knn", "4", "6.0 s", "1.5 s"), ("gru4rec", "5", "5.0 min", "1.0 min"))


def test_rows_of_own_settings_are_explained_below_the_results():
    notes = results_table(findings()).notes
    assert "With the settings of the configuration, before the search: knn_default is knn." in notes
    assert not any("search" in note for note in results_table(Findings(metrics_json())).notes)


def test_the_summary_tells_of_the_search_and_leads_to_its_section(tmp_path: Path):
    for words, heading, address in (
        (ENGLISH, "## Tuning", "(report.md#tuning)"),
        (SPANISH, "## Búsqueda de parámetros", "(report.es.md#búsqueda-de-parámetros)"),
    ):
        given = artifacts(search=search())
        summary = summary_markdown(given, words)
        assert address in summary
        assert f"{words('tuned', models='', metric='', budget='')[:10]}" in summary
        assert heading in sections_markdown("demo", report_sections(given, words), words)
    page = write_page(tmp_path, metrics_json(), draw=False, search=search()).read_text(encoding="utf-8")
    assert '<a href="report.html#tuning">' in page
    assert '<section id="tuning"' in page
    assert list(paper_tables(artifacts(search=search()), ENGLISH)) == ["results", "pairs", "tuning"]


def test_without_a_search_nothing_is_said_of_one():
    sections = report_sections(artifacts())
    assert "tuning" not in [section.key for section in sections]
    assert "earch" not in sections_markdown("demo", sections, ENGLISH)
    assert "tuning" not in paper_tables(artifacts(), ENGLISH)


@pytest.fixture
def canvases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The canvas of every figure of the searches above, by stem; the files are written, too."""
    found: dict[str, Any] = {}
    write = drawing_module.write_figure

    def kept(folder: Path, canvas: Any, figure: Any, words: Any) -> Any:
        found[figure.stem] = canvas
        return write(folder, canvas, figure, words)

    monkeypatch.setattr(figures, "write_figure", kept)
    with drawing():
        figures.draw_search(tmp_path, search(), SPANISH)
    figures.draw_search_time(tmp_path, search(), {"knn": [0.01, 2.0, 1.0, 1.0], "gru4rec": [5.0] * 5}, ENGLISH)
    assert {path.stem for path in tmp_path.glob("*.svg")} == set(found)
    return found


def test_the_best_value_so_far_is_a_line_a_model(canvases: dict[str, Any]):
    (axes,) = canvases["tuning_best"].axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    assert lines == {
        "knn": [[1, 0.1], [2, 0.1], [3, 0.1], [4, 0.125]],
        "gru4rec": [[1, 0.2], [2, 0.2], [3, 0.2], [4, 0.3], [5, 0.3]],
    }
    assert [line.get_markevery() for line in axes.get_lines()] == [[0, 3], [0, 3]]


def test_beside_trials_the_best_value_stands_against_time(canvases: dict[str, Any]):
    left, right = canvases["tuning_time"].axes
    assert [len(axes.get_lines()) for axes in (left, right)] == [2, 2]
    knn, gru4rec = (line.get_xdata().tolist() for line in right.get_lines())
    assert knn == pytest.approx([0.1, 2.01, 3.01, 4.01])
    assert gru4rec == [5.0, 10.0, 15.0, 20.0, 25.0]


def test_importance_has_a_bar_a_setting_and_a_tick_for_chance(canvases: dict[str, Any]):
    panels = {axes.get_title(loc="left"): axes for axes in canvases["tuning_importance"].axes}
    assert {name: [bar.get_width() for bar in axes.patches] for name, axes in panels.items()} == {
        "knn": [0.75, 0.25],
        "gru4rec": [1.0],
    }
    assert [line.get_xdata().tolist() for line in panels["knn"].get_lines()] == [[0.5, 0.5]]


def points_by_mark(axes: Any) -> list[int]:
    """How many points are pruned, complete, own, chosen."""
    return [len(line.get_xdata()) for line in axes.get_lines()]


def test_every_trial_with_a_value_is_a_point_of_the_space(canvases: dict[str, Any]):
    panels = {axes.get_xlabel(): axes for axes in canvases["tuning_space"].axes}
    assert {key: points_by_mark(axes) for key, axes in panels.items()} == {
        "k": [0, 4, 1, 1],
        "weighting": [0, 4, 1, 1],
        "learning_rate": [1, 3, 1, 1],
    }
    assert panels["learning_rate"].get_xscale() == "log"
    assert [label.get_text() for label in panels["k"].get_xticklabels()] == ["50", "100"]
    assert panels["k"].get_lines()[3].get_xydata().tolist() == [[0.0, 0.125]]


def test_seven_settings_stand_in_two_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found: list[Any] = []
    monkeypatch.setattr(figures, "write_figure", lambda folder, canvas, figure, words: found.append(canvas))
    with drawing():
        figures.draw_search(tmp_path, seven(), ENGLISH)
    panels = found[-1].axes
    assert [points_by_mark(axes) for axes in panels] == [[4, 16, 1, 1]] * 7
    rows = [axes.get_subplotspec().rowspan.start for axes in panels]
    assert rows == [0, 0, 0, 0, 1, 1, 1]


def test_a_setting_that_is_no_number_in_an_interval_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rows = trials()
    rows[4]["settings.learning_rate"] = ""
    found: list[Any] = []
    monkeypatch.setattr(figures, "write_figure", lambda folder, canvas, figure, words: found.append(canvas))
    with drawing():
        figures.draw_search(tmp_path, Search.of(ledger(), rows), ENGLISH)
    assert points_by_mark(found[-1].axes[-1]) == [1, 2, 0, 1]
