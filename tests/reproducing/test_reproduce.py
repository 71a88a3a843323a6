"""`reproduce` as a user calls it, with the tables that are known and with one of one's own."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from gru4rec_cli.reproducing.loading import load_table, table_names
from gru4rec_cli.reproducing.run import prepare
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
    code, alone = reproduced(data, tmp_path, with_figure(1.2 * found), "--set", "evaluate.resamples=0")
    assert code == 6
    assert alone["rows"][0]["verdict"] == "not reproduced"  # without an interval, too
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
        (["reproduce", "wrong.yaml"], 2, "rows.A.figures: given 'hits@20'"),
        (["reproduce", "own.yaml", "--data", ".", "--set", "seds=[1]"], 2, "did you mean 'seeds'?"),
        (
            ["reproduce", "own.yaml", "--data", ".", "--set", "evaluate.cutoffs=[5]"],
            2,
            "cutoffs lacks those of the table: 20",
        ),
        (["reproduce", "own.yaml", "--data", ".", "--set", "train.refit=all"], 2, "compared on one test part"),
        (
            ["reproduce", "own.yaml", "--data", ".", "--as-published"],
            2,
            "names no choice of its source that is a fault",
        ),
        (["reproduce", "own.yaml", "--estimate"], 2, "does not say how large its data is"),
        (["reproduce", "sr-gnn-diginetica", "--estimate", "--row", "X"], 2, "there is no row 'X'"),
        (
            ["reproduce", "sr-gnn-diginetica", "--estimate", "--set", "seeds=[1]"],
            2,
            "--estimate is of the table as it is",
        ),
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
    assert not (tmp_path / "runs").exists()


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


def test_missing_data_is_listed_with_all_that_is_known_of_it(tmp_path: Path):
    (tmp_path / "train.tsv").touch()
    done = study("reproduce", "sr-gnn-diginetica", "--data", tmp_path, "--json")
    assert done.returncode == 3
    said = json.loads(done.stdout)["error"]["message"]
    source = load_table("sr-gnn-diginetica").data
    for text in (
        "train-item-views.csv\n",
        "train.tsv and test.tsv (there: train.tsv)",
        source.where,
        source.terms,
        source.size,
    ):
        assert text in said


def test_a_script_gets_the_files_of_each_form():
    about = json.loads(study("reproduce", "sr-gnn-diginetica", "--json").stdout)
    assert about["files"] == [["train-item-views.csv"], ["train.tsv", "test.tsv"]]
    assert about["rows"][0] == "POP"


def even_clicks(folder: Path) -> None:
    """Clicks on 30 items, each of them equally often in training: 15 sessions of two clicks, twice; and two to test."""
    train: list[str] = []
    for session in range(30):
        first = 2 * (session % 15)
        train += [f"{session},{first},{10 * session}", f"{session},{first + 1},{10 * session + 1}"]
    (folder / "train.csv").write_text("session_id,item_id,time\n" + "\n".join(train) + "\n")
    (folder / "test.csv").write_text("session_id,item_id,time\n90,0,1000\n90,1,1001\n91,4,1002\n91,5,1003\n")


def test_optimistic_ties_match_a_figure_that_the_corrected_rank_does_not(tmp_path: Path):
    """All 30 items are equally popular: of rank 30 if ties count against the model, and of rank 1 if they do not."""
    even_clicks(tmp_path)
    table = with_figure(1.0) | {"as_published": {"ties": "optimistic"}}
    code, found = reproduced(tmp_path, tmp_path, table, "--as-published", "--set", "evaluate.resamples=0")
    row, rival = found["rows"]
    assert code == 6
    assert (row["found"]["recall@20"]["value"], row["verdict"]) == (0.0, "not reproduced")
    assert (row["as_published"]["found"]["recall@20"]["value"], row["as_published"]["verdict"]) == (1.0, "reproduced")
    assert "as_published" not in rival
    assert not (tmp_path / "run" / "as-published").exists()  # ties need no second run


def test_the_best_epoch_on_the_test_is_that_of_the_same_training(tmp_path: Path):
    even_clicks(tmp_path)
    rows = {
        "Neural": {
            "figures": {"recall@1": 1.0},
            "model": {
                "kind": "gru4rec",
                "layers": [4],
                "epochs": 4,
                "batch_size": 4,
                "n_sample": 8,
                "learning_rate": 0.3,
            },
        }
    }
    table = OWN | {"rows": rows, "as_published": {"best_test_epoch": "recall@1"}}
    _, found = reproduced(tmp_path, tmp_path, table, "--as-published")
    fits = [
        folder / "train" / "neural" / "fit.json" for folder in (tmp_path / "run", tmp_path / "run/as-published/run")
    ]
    corrected, faulty = (json.loads(path.read_text())["curve"] for path in fits)
    assert [epoch["loss"] for epoch in faulty] == [epoch["loss"] for epoch in corrected]
    on_test = [epoch["valid_recall@1"] for epoch in faulty]
    row = found["rows"][0]
    assert row["as_published"]["found"]["recall@1"]["value"] == max(on_test)
    assert row["found"]["recall@1"]["value"] == on_test[-1]
