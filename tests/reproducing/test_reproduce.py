"""`reproduce` as a user calls it, with the tables that are known and with one of one's own."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from gru4rec_cli.reproducing.run import prepare
from gru4rec_cli.reproducing.table import load_table, table_names
from tests.audit.faulty import clean_split
from tests.small import study


@pytest.mark.parametrize("name", table_names())
def test_every_table_makes_a_configuration_in_each_form_of_its_data(name: str, tmp_path: Path):
    table = load_table(name)
    for number, form in enumerate(table.data.forms):
        folder = tmp_path / f"data-{number}"
        folder.mkdir()
        for file in form.files:
            (folder / file).touch()
        config = prepare(name, table, folder)
        assert len(config.fitted("train")) == len(table.rows)
        assert config.split.preset is not None or config.data.train is not None
        assert set(config.evaluate.cutoffs) == set(table.cutoffs)


OWN: dict[str, Any] = {
    "title": "A table",
    "source": "a test",
    "seeds": [1],
    "data": {
        "name": "made-up clicks",
        "where": "nowhere",
        "terms": "none",
        "size": "small",
        "counts": {},
        "forms": [
            {
                "files": ["train.csv", "test.csv"],
                "study": {
                    "data": {
                        "train": "FOLDER/train.csv",
                        "test": "FOLDER/test.csv",
                        "columns": {"session": "session_id", "item": "item_id", "time": "time"},
                        "time_unit": "microseconds",
                    }
                },
            }
        ],
    },
    "rows": {
        "Popular items": {"figures": {"recall@20": 0.0}, "model": {"kind": "popularity"}},
        "A rival": {"model": {"kind": "sknn"}},
    },
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    for name, part in zip(("train", "test"), clean_split(), strict=True):
        part.write_csv(folder / f"{name}.csv")
    return folder


def reproduced(data: Path, folder: Path, table: dict[str, Any], *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and document of a table of one's own."""
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(table, sort_keys=False))
    done = study("reproduce", path, "--data", data, "--run-dir", folder / "run", "--json", "--quiet", *arguments)
    return done.returncode, json.loads(done.stdout)


def with_figure(value: float, **counts: int) -> dict[str, Any]:
    rows = {**OWN["rows"], "Popular items": OWN["rows"]["Popular items"] | {"figures": {"recall@20": value}}}
    return OWN | {"rows": rows, "data": OWN["data"] | {"counts": counts}}


def test_a_row_is_reproduced_or_not_and_rivals_stand_below(data: Path, tmp_path: Path):
    code, wrong = reproduced(data, tmp_path, OWN)
    assert code == 6
    assert [row["verdict"] for row in wrong["rows"]] == ["not reproduced", "not in the table"]
    found = wrong["rows"][0]["found"]["recall@20"]["value"]
    assert wrong["rows"][1]["found"]["recall@20"]["value"] > 0
    code, right = reproduced(data, tmp_path, with_figure(found))
    assert code == 0
    assert right["rows"][0]["verdict"] == "reproduced"
    code, other = reproduced(data, tmp_path, with_figure(found, items=7))
    assert code == 0
    assert other["rows"][0]["verdict"] == "not comparable"
    assert other["rows"][0]["reason"] == f"{other['counts']['items']:,} items in place of 7"


def test_the_page_and_the_terminal_say_the_same(data: Path, tmp_path: Path):
    path, page = tmp_path / "own.yaml", tmp_path / "own.html"
    path.write_text(yaml.safe_dump(OWN, sort_keys=False))
    done = study(
        "reproduce", path, "--data", data, "--run-dir", tmp_path / "run", "--html", page, "--row", "Popular items"
    )
    assert done.returncode == 6
    assert "not reproduced: Popular items" in done.stderr
    assert "A rival" not in done.stdout
    for text in ("Popular items", "not reproduced", "cite as: gru4rec-study reproduce own"):
        assert text in done.stdout
        assert text in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["reproduce", "sr-gnn"], 2, "did you mean sr-gnn-diginetica?"),
        (["reproduce", "gru4rec-rsc15", "--data", "."], 3, "yoochoose-clicks.dat"),
        (["reproduce", "broken.yaml"], 2, "broken.yaml"),
        (["reproduce", "own.yaml", "--data", ".", "--row", "X"], 2, "there is no row 'X'"),
        (["reproduce", "wrong.yaml"], 2, "rows.A.figures: Value error, given 'hits@20'"),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], code: int, said: str, data: Path, tmp_path: Path):
    for name in ("train", "test"):
        (tmp_path / f"{name}.csv").symlink_to(data / f"{name}.csv")
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(OWN))
    wrong = OWN | {"rows": {"A": {"figures": {"hits@20": 1.0}, "model": {"kind": "sknn"}}}}
    (tmp_path / "broken.yaml").write_text("[1,2")
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    done = study(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert said in done.stderr


def test_the_list_says_what_each_table_needs():
    shown = study("reproduce").stdout
    assert all(name in shown for name in table_names())
    about = study("reproduce", "gru4rec-retailrocket").stdout
    assert "events.csv" in about
    assert "CC BY-NC-SA 4.0" in about


def test_a_table_of_ones_own_is_not_written_over(data: Path, tmp_path: Path):
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(OWN))
    study("reproduce", path, "--data", data, "--run-dir", tmp_path / "own", "--row", "Popular items", "--quiet")
    assert path.read_text() == yaml.safe_dump(OWN)
    assert (tmp_path / "own" / "config.yaml").exists()
