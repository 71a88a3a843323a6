import copy
from typing import Any

import pytest

from gru4rec_cli.reporting.figures.drawing import Figure
from gru4rec_cli.reporting.pages.markdown import sections_markdown
from gru4rec_cli.reporting.pages.report import Artifacts, report_sections
from gru4rec_cli.reporting.text.words import ENGLISH


def rows(model: str, recall: float, *, width: float | None = 0.01) -> list[dict[str, Any]]:
    return [
        {
            "model": model,
            "seed": "all",
            "metric": metric,
            "k": k,
            "ties": ties,
            "slice": "all",
            "value": recall * share,
            "low": None if width is None else recall * share - width,
            "high": None if width is None else recall * share + width,
            "events": 12345,
        }
        for ties in ("conservative", "median", "optimistic")
        for metric, share in (("recall", 1.0), ("mrr", 0.5), ("ndcg", 0.6))
        for k in (10, 20)
    ]


MODELS: dict[str, Any] = {
    "markov": {"kind": "markov", "stage": "baseline", "description": "Counts.", "settings": {}},
    "gru4rec": {
        "kind": "gru4rec",
        "stage": "train",
        "description": "A recurrent network.",
        "settings": {"layers": [64, 32], "rate": 0.07, "final_activation": None},
    },
}
METRICS: dict[str, Any] = {
    "protocol": {
        "ties": "conservative",
        "cutoffs": [10, 20],
        "task": "next item",
        "candidates": "all training items",
        "unit": "events",
        "interval": "session-cluster bootstrap, percentiles",
        "unseen": "drop",
        "resamples": 1000,
        "confidence": 0.95,
        "events": 12345,
        "sessions": 3456,
        "items": 2000,
    },
    "models": MODELS,
    "not_applicable": {},
    "metrics": rows("markov", 0.4) + rows("gru4rec", 0.44) + rows("oracle", 0.55),
}
GIVEN: dict[str, Any] = {
    "name": "demo",
    "metrics_json": METRICS,
    "statistics": {},
    "fits": {
        "gru4rec": {
            "curve": [{"epoch": 1, "loss": 5.0, "events_per_second": 987}, {"epoch": 2, "loss": 4.25}],
            "facts": {
                "parameters": 123456,
                "seconds": 9.87,
                "peak_memory_bytes": 987,
                "best": {"epoch": 2, "time": 987},
            },
        },
        "markov": {"curve": [], "facts": {}},
    },
    "figures": [Figure("Recall@K", "recall_by_k", "A caption.", "An alt.")],
    "provenance": {
        "run": "demo",
        "inputs": {"split": {"synth/events.parquet": "abc"}},
        "versions": {"python": "3.11.9", "torch": "2.13.0"},
    },
}


def report(figure_folder: str = "figures", **changes: Any) -> str:
    artifacts = Artifacts(**copy.deepcopy({**GIVEN, **changes}))
    return sections_markdown(artifacts.name, report_sections(artifacts, ENGLISH), ENGLISH, figure_folder)


def with_metrics(metrics: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    return {**METRICS, "metrics": metrics, **changes}


def test_the_summary_compares_the_best_with_the_next_and_the_bound():
    lines = report().splitlines()
    assert "- The best model by Recall@20 is **gru4rec**: .4400 [.4300–.4500]." in lines
    assert (
        "- gru4rec (trained) is .0400 (10.0 % relative) above markov (baseline), which has .4000 [.3900–.4100]; "
        "their intervals do not overlap." in lines
    )
    assert "- The bound (oracle) is .5500 [.5400–.5600]; gru4rec reaches 80.0 % of it." in lines


def test_overlap_is_stated_and_significance_never_claimed():
    page = report(metrics_json=with_metrics(rows("markov", 0.43) + rows("gru4rec", 0.44)))
    assert "their intervals overlap." in page
    assert "significan" not in page


def test_the_best_trained_model_is_compared_with_the_best_baseline_where_others_stand_between():
    models = {**MODELS, "markov2": MODELS["markov"]}
    metrics = rows("markov", 0.45) + rows("markov2", 0.44) + rows("gru4rec", 0.4)
    page = report(metrics_json=with_metrics(metrics, models=models))
    assert "- markov (baseline) is .0100 (2.3 % relative) above markov2 (baseline)" in page
    assert (
        "- By Recall@20, **not tested**: gru4rec, the best trained model, has .4000, and markov, the best baseline, "
        ".4500." in page
    )


def test_a_model_above_the_bound_is_called_a_leak():
    page = report(metrics_json=with_metrics(rows("gru4rec", 0.7) + rows("oracle", 0.6)))
    assert "**The whole interval of gru4rec is above the bound: look for a data leak.**" in page
    assert "leak" not in report()


def test_equal_models_and_missing_intervals_are_said_to_be_so():
    equal = report(metrics_json=with_metrics(rows("markov", 0.4) + rows("gru4rec", 0.4)))
    assert "markov (baseline) and gru4rec (trained) are equal: .4000." in equal
    bare = report(metrics_json=with_metrics(rows("markov", 0.4, width=None) + rows("gru4rec", 0.5, width=None)))
    assert "above markov (baseline), which has .4000; intervals: not available." in bare


def test_sections_stand_in_order():
    headings = [line for line in report().splitlines() if line.startswith("#")]
    assert headings == [
        "# demo",
        "## Summary",
        "### Is the neural model worth it?",
        "### What to keep in mind",
        "## Results",
        "## Model against model",
        "## By length of the list",
        "## Seeds",
        "## Ties",
        "## Sensitivity to the protocol",
        "## Slices",
        "## Beyond accuracy",
        "## Training",
        "## Data",
        "### What was removed",
        "## Protocol",
        "## Models",
        "## Environment",
        "## Provenance",
    ]


def test_the_same_inputs_give_the_same_page_and_no_timings():
    page = report()
    assert page == report()
    assert "987" not in page
    assert "9.87" not in page
    assert '| gru4rec | – | – | 2 | 5.0000 | 4.2500 | parameters: 123,456; best: {"epoch": 2} |' in page


def test_the_protocol_is_told_in_words():
    page = report()
    assert "- Task: next item." in page
    assert (
        "- Full ranking: every model scores all training items, 2,000 of them, for each of 12,345 events "
        "in 3,456 test sessions; no sampled negatives." in page
    )
    assert "- Metrics: Recall@K, MRR@K, NDCG@K for K = 10, 20, means over events." in page
    assert "- Ties: conservative; rank = greater + equal + 1:" in page
    assert "- Intervals: 95 %, session-cluster bootstrap, percentiles, 1,000 resamples." in page
    assert "- Test events of items that are not in the training data: dropped." in page


def test_models_come_with_their_descriptions_and_settings():
    page = report()
    assert "- **gru4rec** (kind gru4rec, stage train): A recurrent network." in page
    assert "  - Settings, as in a configuration: `{layers: [64, 32], rate: 0.07}`" in page


def test_figures_are_linked_as_png_and_svg():
    page = report(figure_folder="pictures")
    assert "![An alt.](pictures/recall_by_k.png)\n\n*A caption.* ([SVG](pictures/recall_by_k.svg))\n" in page


def test_brackets_in_an_alternative_text_do_not_end_it():
    page = report(figures=[Figure("n", "recall_by_k", "c", "a [b][c] ](d)")])
    assert "![a (b)(c) )(d)](figures/recall_by_k.png)" in page


def test_provenance_names_run_hashes_and_versions():
    page = report()
    assert "- Versions: python 3.11.9, torch 2.13.0" in page
    assert "| split | synth/events.parquet | abc |" in page


@pytest.mark.parametrize(
    "gap",
    [
        "not available: metrics",
        "not available: the figure recall_by_k, which was not drawn",
        "not available: training curves: no model of this run is trained in epochs",
        "- Removals: not available.",
        "(not available: items)",
        "not available: models",
        "- Run: not available: run",
        "- Versions: not available: versions",
        "- Inputs: not available: inputs",
    ],
)
def test_what_is_missing_is_named(gap):
    page = report(metrics_json={}, fits={}, figures=[], provenance={})
    assert gap in page


def test_a_row_that_does_not_apply_is_told_with_its_reason():
    page = report(metrics_json=with_metrics(rows("gru4rec", 0.4), not_applicable={"oracle": "real data"}))
    assert "| oracle (bound) | n/a | n/a | n/a |" in page
    assert "- **oracle**: not applicable: real data" in page


def test_nothing_from_the_data_becomes_markup():
    evil = "x|<script>alert(1)</script>`\n# heading [a](http://b)"
    page = report(
        name=evil,
        metrics_json={
            "protocol": {**METRICS["protocol"], "unit": evil, evil: evil},
            "models": {evil: {"kind": evil, "stage": evil, "description": evil, "settings": {evil: evil}}},
            "not_applicable": {evil + "2": evil},
            "metrics": rows(evil, 0.4),
        },
        statistics={
            "input": {evil: {"first_time": evil}},
            "cuts": {evil: {"time": evil}},
            "removals": [{"step": evil, "reason": evil}],
        },
        fits={evil: {"curve": [{"loss": 1.0}], "facts": {evil: [evil]}}},
        figures=[Figure(evil, "recall_by_k", evil, evil)],
        provenance={"run": evil, "inputs": {evil: {evil: evil}}, "versions": {evil: evil}},
    )
    assert "<script" not in page
    assert "](http" not in page
    assert not any(line.startswith("# heading") for line in page.splitlines())
    for line in page.splitlines():
        assert "x|" not in line
        assert ">`" not in line
