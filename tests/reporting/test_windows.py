"""Mean and spread over the windows of a log, worked out by hand."""

import math
from pathlib import Path
from typing import Any

import pytest

from gru4rec_cli.evaluation.windows import over_windows
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.pages.html import page_html
from gru4rec_cli.reporting.pages.markdown import sections_markdown
from gru4rec_cli.reporting.pages.windows import (
    JointFindings,
    WindowFindings,
    by_window_table,
    joint_sections,
    joint_table,
    windows_table,
)
from gru4rec_cli.reporting.text.words import words_of

PROTOCOL: dict[str, Any] = {"ties": "conservative", "cutoffs": [5, 20], "confidence": 0.95}
NOT_PLANTED = "the test holds items that training lacks"


def rows(model: str, recall: float, seed: str = "all", slice_name: str = "all") -> list[dict[str, Any]]:
    shares = (("recall", 1.0), ("mrr", 0.5), ("ndcg", 0.75))
    return [
        {"model": model, "seed": seed, "metric": metric, "k": 20, "ties": "conservative", "slice": slice_name,
         "value": recall * share, "low": None, "high": None, "events": 100}
        for metric, share in shares
    ]  # fmt: skip


def joint_findings(*recalls: dict[str, float], **not_applicable: str) -> JointFindings:
    """Windows with these values; the last one lacks what is not applicable."""
    documents: list[dict[str, Any]] = [
        {
            "protocol": PROTOCOL,
            "metrics": [row for model, recall in found.items() for row in rows(model, recall)],
            "not_applicable": not_applicable if found is recalls[-1] else {},
        }
        for found in recalls
    ]
    parts = {"train": {"sessions": 1200, "events": 6000}, "test": {"sessions": 300, "events": 1500}}
    document = {
        "windows": [
            {"window": k, "run": f"windows/{k}-of-{len(recalls)}", "start": f"2024-01-0{k}T00:00:00Z",
             "end": f"2024-01-0{k + 1}T00:00:00Z", **parts, "items": 50}
            for k in range(1, 1 + len(recalls))
        ],
        "metrics": over_windows([document["metrics"] for document in documents]),
    }  # fmt: skip
    windows = [WindowFindings(f"windows/{k}-of-{len(recalls)}", Findings(d)) for k, d in enumerate(documents, start=1)]
    return JointFindings(document, windows)


def test_a_window_counts_once_and_single_seeds_do_not():
    first = [*rows("gru4rec", 0.1, seed="1"), *rows("gru4rec", 0.3), *rows("gru4rec", 0.9, slice_name="length=2")]
    second = [*rows("gru4rec", 0.4), *rows("late", 0.2)]
    third = rows("gru4rec", 0.8)
    found = {(row["model"], row["metric"], row["slice"]): row for row in over_windows([first, second, third])}
    recall = found["gru4rec", "recall", "all"]
    assert recall["mean"] == pytest.approx(0.5)
    assert recall["sd"] == pytest.approx(math.sqrt((0.2**2 + 0.1**2 + 0.3**2) / 2))
    assert recall["windows"] == 3
    for single in (found["gru4rec", "recall", "length=2"], found["late", "recall", "all"]):
        assert (single["sd"], single["windows"]) == (None, 1)


def test_the_best_mean_stands_first_below_the_bound_and_gaps_are_counted():
    joint = joint_findings(
        {"oracle": 0.9, "markov": 0.5, "gru4rec": 0.4},
        {"oracle": 0.8, "markov": 0.5, "gru4rec": 0.7},
        {"markov": 0.5, "gru4rec": 0.7},
        oracle=NOT_PLANTED,
    )
    table = joint_table(joint)
    assert [tuple(cell.replace("\u00a0", " ") for cell in row) for row in table.rows] == [
        ("oracle (bound)", ".8500 ± .0707", ".4250 ± .0354", ".6375 ± .0530", "2"),
        ("gru4rec", ".6000 ± .1732", ".3000 ± .0866", ".4500 ± .1299", "3"),
        ("markov", ".5000 ± .0000", ".2500 ± .0000", ".3750 ± .0000", "3"),
    ]
    assert table.best == {(1, 1), (1, 2), (1, 3)}
    assert f"Window 3: oracle: not applicable: {NOT_PLANTED}" in table.notes
    assert table.rows[1][1].source == (  # type: ignore[attr-defined]
        "joint/metrics.json › metrics[model=gru4rec, metric=recall, k=20, ties=conservative, slice=all]"
    )
    wide = by_window_table(joint)
    assert wide.columns == ("Model", "1", "2", "3")
    assert wide.rows == (
        ("oracle (bound)", ".9000", ".8000", "–"),
        ("gru4rec", ".4000", ".7000", ".7000"),
        ("markov", ".5000", ".5000", ".5000"),
    )
    assert wide.best == {(2, 1), (1, 2), (1, 3)}
    assert windows_table(joint).rows[1] == (
        *("2", "2024-01-02 00:00", "2024-01-03 00:00"),
        *("1,200", "6,000", "300", "1,500", "50", "windows/2-of-3"),
    )


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", "the best model by Recall@20 is **gru4rec**: .6000 ± .1732. It is the best in 2 of 3 windows."),
        ("es", "el mejor modelo según Recall@20 es **gru4rec**: 0,6000 ± 0,1732. Es el mejor en 2 de 3 ventanas."),
    ],
)
def test_the_page_says_how_often_the_best_is_the_best_in_both_languages(language: str, told: str):
    joint = joint_findings(
        {"markov": 0.5, "gru4rec": 0.4}, {"markov": 0.5, "gru4rec": 0.7}, {"markov": 0.5, "gru4rec": 0.7}
    )
    words = words_of(language)
    sections = joint_sections(joint, {"run": "demo", "id": "abc", "inputs": {"joint": {"x": "y"}}}, words)
    page = sections_markdown("demo", sections, words)
    assert told in " ".join(page.split())
    html = page_html("demo", sections, words, drawings={})
    assert html.count('class="single"') == 3 * 2 * 3  # metrics, models, windows
    assert words("windows_span") in html


def test_hostile_names_stay_text(tmp_path: Path):
    evil = "<script>alert(1)</script>"
    joint = joint_findings({evil: 0.5, "b": 0.2}, {evil: 0.4, "b": 0.2})
    words = words_of("en")
    html = page_html(evil, joint_sections(joint, {}, words), words, drawings={})
    assert html.count("<script>") == 1  # ours
