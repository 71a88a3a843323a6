"""Mistakes in a table of one's own: all of them at once, each with its line."""

from pathlib import Path

import pytest

from gru4rec_cli.base.errors import ConfigError
from gru4rec_cli.reproducing.loading import load_table

TABLE = """\
title: A table
source: a test
data:
  name: clicks
  where: nowhere
  terms: none
  size: small
  forms:
  - files: [train.csv, test.csv]
    study:
      data: {train: FOLDER/train.csv, test: FOLDER/test.csv}
rows:
  Best, with a comma:
    figures: {recall@20: 0.5}
    model: {kind: gru4rec}
  Second v.2:
    model: {kind: sknn}
"""
WRONG = {
    "title: A table": ("titel: A table", ":1: titel: unknown key, did you mean 'title'?"),
    "data: {train: FOLDER/train.csv, test": (
        "data: {trian: FOLDER/train.csv, test",
        ":11: data.forms.0.study.data.trian: ",
    ),
    "recall@20: 0.5": ("recall@0: 0.5", ":14: rows.Best, with a comma.figures: given 'recall@0'"),
    "kind: gru4rec": ("kind: gru4rek", ':15: rows.Best, with a comma.model.kind: given "gru4rek"'),
    "kind: sknn": ("kind: sknn, k: 0", ":17: rows.Second v.2.model.k: given 0"),
}


def problems_of(folder: Path, text: str) -> tuple[Path, list[str]]:
    path = folder / "own.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as found:
        load_table(str(path))
    return path, found.value.placed


def test_every_mistake_is_told_with_its_line_at_once(tmp_path: Path):
    text = TABLE
    for right, (wrong, _) in WRONG.items():
        text = text.replace(right, wrong)
    path, problems = problems_of(tmp_path, text)
    for _, said in WRONG.values():
        assert sum(problem.startswith(f"{path}{said}") for problem in problems) == 1
    assert len(problems) == len(WRONG) + 1  # and the title is missing


def test_a_table_without_mistakes_is_read(tmp_path: Path):
    (tmp_path / "own.yaml").write_text(TABLE)
    assert list(load_table(str(tmp_path / "own.yaml")).rows) == ["Best, with a comma", "Second v.2"]


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        (
            "{kind: gru4rec}",
            "{kind: gru4rec, validate_on: recall@20}",
            ":15: rows.Best, with a comma.model.validate_on: needs",
        ),
        (
            "Second v.2",
            "best; with a comma",
            ":16: rows.best; with a comma: differs from 'Best, with a comma' in signs",
        ),
        (
            "figures: {recall@20: 0.5}",
            "figures: {recall@1000001: 0.5}",
            ":14: rows.Best, with a comma.figures: given 'recall@1000001'; the largest cutoff is 1,000,000",
        ),
        (
            "rows:",
            "as_published: {best_test_epoch: mrr@1000001}\nrows:",
            ":12: as_published.best_test_epoch: given 'mrr@1000001'; the largest cutoff is 1,000,000",
        ),
        ("figures: {recall@20: 0.5}", "note: none", ":12: rows: none has figures"),
        ("title:", "- title:", "not valid YAML"),
    ],
)
def test_what_only_shows_in_the_whole_has_a_line_too(right: str, wrong: str, said: str, tmp_path: Path):
    _, problems = problems_of(tmp_path, TABLE.replace(right, wrong))
    assert len(problems) == 1
    assert said in problems[0]
