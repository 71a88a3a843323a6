"""`recommend` as a user calls it: lists by hand, the lists of `evaluate`, and what wrong input says."""

import json
import resource
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.data.sessions import Vocabulary
from gru4rec_cli.models import registry
from gru4rec_cli.models.fitted import FittedModel
from gru4rec_cli.serving import list_files, load_run, session_lists
from gru4rec_cli.serving.lists import Wish
from gru4rec_cli.serving.places import find_model
from gru4rec_cli.serving.session_lists import Clicks, recommend_sessions
from gru4rec_cli.study.describing import Options
from tests.small import SMALL, study, write_config
from tests.test_layout import loaded_by
from tests.worlds import sessions_of

# After 0 comes 1 twice and 2 once, after 1 comes 2, after 3 comes 0. The training events of the items are 4, 2, 2 and
# 1, so the items without a score have -1/4, -2/4, -2/4 and -3/4.
WORLD = [[0, 1, 2], [0, 1], [0, 2], [3, 0]]
TEXT = ["pear", "fig", "apple", "plum"]
NUMBERS = [70, -5, 2**60, 8]
UNICODE = ["Äpfel", "日本 茶", 'a "quoted" one', "with, a comma"]
ALL_IDS = pytest.mark.parametrize("ids", [TEXT, NUMBERS, UNICODE], ids=["text", "numbers", "unicode"])


def save(folder: Path, ids: list[Any], seed: int = 42, world: list[list[int]] = WORLD, kind: str = "markov") -> Path:
    """A fitted model in a folder."""
    folder.mkdir(parents=True)
    train = sessions_of(world)
    vocabulary: np.ndarray[Any, Any] = np.array(ids, dtype=object if isinstance(ids[0], str) else np.int64)
    train = replace(train, vocabulary=Vocabulary(vocabulary, train.supports()))
    settings = registry.settings_class(kind)()
    model = registry.model_class(kind)(settings)
    model.fit(train)
    registry.save_model(folder, kind, settings, seed, model, train.vocabulary.ids)
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory with a Markov chain over text ids."""
    save(tmp_path / "run" / "baseline" / "markov", TEXT)
    return tmp_path / "run"


def recommend(run: Path, *arguments: str | Path, code: int = 0, model: str = "markov") -> str:
    """What the command prints, or what it says of an error."""
    done = study("recommend", "--run-dir", run, "--model", model, *arguments)
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def document(run: Path, *arguments: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(recommend(run, "--json", *arguments))
    return found


def listed(run: Path, *arguments: str | Path) -> list[Any]:
    return [row["item"] for row in document(run, *arguments)["recommendations"]]


def quoted(item: object) -> str:
    """An id as it stands in a CSV file or in --items."""
    text = str(item).replace('"', '""')
    return f'"{text}"'


def write_clicks(path: Path, sessions: dict[Any, list[Any]]) -> Path:
    """Clicks as CSV, each session a minute after the one before."""
    rows = [
        f"{quoted(session)},{quoted(item)},{1_600_000_000 + 60 * number + at}"
        for number, (session, items) in enumerate(sessions.items())
        for at, item in enumerate(items)
    ]
    path.write_text("\n".join(["SessionId,ItemId,Time", *rows]) + "\n", encoding="utf-8")
    return path


@ALL_IDS
def test_a_history_gets_the_list_that_was_computed_by_hand(tmp_path: Path, ids: list[Any]):
    save(tmp_path / "baseline" / "markov", ids)
    found = document(tmp_path, "--items", f"{quoted(ids[3])},{quoted(ids[0])}", "--k", "3")
    assert found["model"] == {"kind": "markov", "seed": 42, "items": 4}
    assert found["items"] == [ids[3], ids[0]]
    assert found["recommendations"] == [
        {"rank": 1, "item": ids[1], "score": 2.0},
        {"rank": 2, "item": ids[2], "score": 1.0},
        {"rank": 3, "item": ids[0], "score": -0.25},
    ]


def test_the_table_shows_ranks_items_and_scores(run: Path):
    lines = recommend(run, "--items", "plum, pear", "--k", "2").splitlines()
    assert [line.split() for line in lines if line.split()[:1] in (["1"], ["2"])] == [
        ["1", "fig", "2"],
        ["2", "apple", "1"],
    ]


def test_options_leave_items_out(run: Path, tmp_path: Path):
    (tmp_path / "two.txt").write_text("plum\npear\nkiwi\n")
    pl.DataFrame({"ItemId": ["fig"]}).write_csv(tmp_path / "fig.tsv", separator="\t")
    pl.DataFrame({"item_id": TEXT[:2], "sku": TEXT[2:]}).write_parquet(tmp_path / "table.parquet")
    assert listed(run, "--items", "pear") == ["fig", "apple", "pear", "plum"]
    assert listed(run, "--items", "pear", "--exclude-seen") == ["fig", "apple", "plum"]
    assert listed(run, "--items", "pear", "--candidates", tmp_path / "two.txt") == ["pear", "plum"]
    assert listed(run, "--items", "pear", "--exclude", tmp_path / "fig.tsv", "--k", "2") == ["apple", "pear"]
    assert listed(run, "--items", "pear", "--candidates", tmp_path / "table.parquet") == ["fig", "pear"]
    assert listed(run, "--items", "pear", "--candidates", tmp_path / "table.parquet", "--item", "sku") == [
        "apple",
        "plum",
    ]
    both: list[str | Path] = ["--candidates", tmp_path / "two.txt", "--exclude", tmp_path / "fig.tsv", "--exclude-seen"]
    assert listed(run, "--items", "pear", *both) == ["plum"]


def test_unknown_items_are_passed_over_and_counted(run: Path, tmp_path: Path):
    (tmp_path / "ids.txt").write_text("fig\nkiwi\nlime\n")
    done = study("recommend", "--run-dir", run, "--model", "markov", "--items", "pear,kiwi", "--json", "--exclude",
                 tmp_path / "ids.txt")  # fmt: skip
    found = json.loads(done.stdout)
    assert found["items"] == ["pear"]
    assert found["unknown"] == {"items": ["kiwi"], "exclude": 2}
    assert found["recommendations"][0]["item"] == "apple"
    assert "passed over: 1 item that the model does not know (kiwi)" in done.stderr
    assert "passed over: 2 ids of --exclude" in done.stderr


def test_numbers_are_read_as_they_are_written(tmp_path: Path):
    save(tmp_path / "train" / "markov", NUMBERS)
    assert listed(tmp_path, "--items", "070,8")[0] == 70  # 070 is no id, after 8 comes 70
    assert document(tmp_path, "--items", "070,8")["unknown"] == {"items": ["070"]}


SESSIONS = {"late": ["plum"], "b": ["fig", "kiwi"], "c": ["kiwi", "lime"], "a": ["pear", "kiwi", "fig", "pear"]}


def test_a_file_gets_a_list_at_the_end_of_every_session(run: Path, tmp_path: Path):
    clicks = write_clicks(tmp_path / "clicks.csv", SESSIONS)
    rows = clicks.read_text().splitlines()
    clicks.write_text("\n".join([rows[0], *rows[2:], rows[1]]) + "\n")  # "late" is last in the file, and begins first
    done = study("recommend", "--run-dir", run, "--model", "markov", "--sessions", clicks, "--to",
                 tmp_path / "lists.tsv", "--k", "2", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "lists.tsv").read_text().splitlines() == [
        "session\trank\titem\tscore",
        "late\t1\tpear\t1.0",
        "late\t2\tfig\t-0.5",
        "b\t1\tapple\t1.0",
        "b\t2\tpear\t-0.25",
        "a\t1\tfig\t2.0",
        "a\t2\tapple\t1.0",
    ]
    found = json.loads(done.stdout)
    assert (found["sessions"], found["clicks"], found["lists"]) == (4, 9, 3)
    assert found["unknown"] == {"clicks": 4, "items": 2}
    assert found["without_list"] == {"sessions": 1}
    assert "passed over: 4 clicks on 2 items that the model does not know" in done.stderr
    assert "no list: 1 session without a known item" in done.stderr


def test_after_each_click_the_position_is_that_of_the_click_to_come(run: Path, tmp_path: Path):
    clicks = write_clicks(tmp_path / "clicks.csv", SESSIONS)
    found = document(run, "--sessions", clicks, "--to", tmp_path / "lists.csv", "--k", "1", "--each-click")
    assert pl.read_csv(tmp_path / "lists.csv").select("session", "position", "rank", "item").rows() == [
        ("b", 2, 1, "apple"),
        ("a", 2, 1, "fig"),
        ("a", 3, 1, "fig"),  # kiwi is passed over
        ("a", 4, 1, "apple"),
    ]
    assert found["lists"] == 4
    assert found["without_list"] == {"clicks": 1}  # lime, after kiwi


@ALL_IDS
def test_all_formats_hold_the_same_rows_and_original_ids(tmp_path: Path, ids: list[Any]):
    run = tmp_path / "run"
    save(run / "baseline" / "markov", ids)
    session = 7 if isinstance(ids[0], int) else "Sitzung „ä“"
    clicks = write_clicks(tmp_path / "clicks.csv", {session: [ids[3]]})
    names = ["x.tsv", "x.csv", "x.tsv.gz", "x.csv.gz", "x.parquet"]
    for name in names:
        recommend(run, "--sessions", clicks, "--to", tmp_path / name, "--k", "2")
    expected = [(session, 1, ids[0], 1.0), (session, 2, ids[1], -0.5)]
    for name in names[:4]:
        read = pl.read_csv(tmp_path / name, separator="\t" if ".tsv" in name else ",")
        assert read.rows() == expected, name
    table = pl.read_parquet(tmp_path / "x.parquet")
    assert table.columns == ["session", "rank", "item", "score"]
    assert table.rows() == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, "clicks.csv", "run"])


def test_a_file_is_read_as_its_options_or_a_configuration_say(run: Path, tmp_path: Path):
    clicks = tmp_path / "clicks.txt"
    clicks.write_text("who;what;when\n1;fig;2020-01-01T00:00:00Z\n1;plum;2020-01-01T00:00:01Z\n")
    columns = ["--session", "who", "--item", "what", "--separator", ";"]
    config = tmp_path / "study.yaml"
    config.write_text(
        "name: x\ndata: {source: other.txt, separator: ';', time_unit: iso8601,\n"
        "  columns: {session: who, item: what, time: when}}\n"
    )
    for options in (
        [*columns, "--time", "when", "--time-unit", "iso8601"],
        [*columns, "--time", "when"],
        [*columns, "--time", "none"],
        ["--config", config],
    ):
        recommend(run, "--sessions", clicks, "--to", tmp_path / "lists.csv", "--k", "1", *options)
        assert (tmp_path / "lists.csv").read_text() == "session,rank,item,score\n1,1,pear,1.0\n"


def test_a_file_in_the_format_of_a_public_data_set_is_read(tmp_path: Path):
    save(tmp_path / "run" / "baseline" / "markov", NUMBERS)
    (tmp_path / "yoochoose-clicks.dat").write_text("1,2014-04-07T10:51:09.277Z,8,0\n2,2014-04-07T10:54:09.868Z,70,0\n")
    clicks: list[str | Path] = ["--sessions", tmp_path / "yoochoose-clicks.dat", "--format", "yoochoose"]
    recommend(tmp_path / "run", *clicks, "--to", tmp_path / "x.csv", "--k", "1")
    assert pl.read_csv(tmp_path / "x.csv")["item"].to_list() == [70, -5]


def test_ids_of_the_file_are_compared_as_text_where_one_side_is_text(tmp_path: Path):
    save(tmp_path / "run" / "baseline" / "markov", NUMBERS)
    clicks = write_clicks(tmp_path / "clicks.csv", {1: [8, "kiwi"], 2: ["08"]})
    found = document(tmp_path / "run", "--sessions", clicks, "--to", tmp_path / "x.parquet", "--k", "1")
    assert pl.read_parquet(tmp_path / "x.parquet").rows() == [(1, 1, 70, 1.0)]
    assert found["unknown"] == {"clicks": 2, "items": 2}


def test_a_file_without_any_list_has_its_header(run: Path, tmp_path: Path):
    clicks = write_clicks(tmp_path / "clicks.csv", {"a": ["fig"]})
    found = document(run, "--sessions", clicks, "--to", tmp_path / "x.csv", "--each-click")
    assert (tmp_path / "x.csv").read_text() == "session,position,rank,item,score\n"
    assert found["lists"] == 0


@pytest.mark.parametrize("kind", ["markov", "popularity", "vsknn"])
def test_parts_of_a_file_do_not_change_its_lists(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch):
    """The lists are those that `FittedModel.recommend` gives for one history after the other."""
    draw = np.random.default_rng(3)
    world = [draw.integers(0, 12, draw.integers(2, 6)).tolist() for _ in range(60)]
    fitted = registry.load_model(save(tmp_path / kind, [100 + i for i in range(12)], world=world, kind=kind))
    histories = {n: (100 + draw.integers(0, 12, draw.integers(1, 6))).tolist() for n in range(40)}
    clicks = Clicks(write_clicks(tmp_path / "clicks.csv", histories))
    (tmp_path / "ids.txt").write_text("\n".join(str(100 + i) for i in range(0, 12, 2)))
    monkeypatch.setattr(session_lists, "_CLICKS_AT_ONCE", 7)
    monkeypatch.setattr(list_files, "_ROWS_AT_ONCE", 10)
    for wish in (Wish(4), Wish(4, exclude_seen=True, exclude=tmp_path / "ids.txt")):
        exclude = [100 + i for i in range(0, 12, 2)] if wish.exclude else []
        for name in ("x.parquet", "x.csv"):
            recommend_sessions(fitted, clicks, tmp_path / name, wish)
            table = pl.read_parquet(tmp_path / name) if name == "x.parquet" else pl.read_csv(tmp_path / name)
            for session, history in histories.items():
                items, scores = fitted.recommend(history, 4, exclude_seen=wish.exclude_seen, exclude=exclude)
                rows = table.filter(pl.col("session") == session)
                assert rows["item"].to_list() == items.tolist()
                assert rows["score"].cast(pl.Float32).to_list() == scores.tolist()


def test_the_name_of_a_model_with_seeds_is_the_first_of_them(tmp_path: Path):
    for seed in (10, 9):
        save(tmp_path / "train" / f"chain.seed-{seed}", TEXT, seed)
    found = load_run(tmp_path)
    assert sorted(found.names) == ["chain.seed-10", "chain.seed-9"]
    assert found.model("chain").seed == 9
    assert found.model("chain.seed-10").seed == 10
    with pytest.raises(UsageError, match="did you mean 'chain'"):
        found.model("chian")
    assert find_model(None, None, tmp_path / "train" / "chain.seed-10").seed == 10


def test_three_lines_of_python_are_enough(run: Path):
    items, scores = load_run(run).model("markov").recommend(["plum", "pear"], k=2)
    assert (items.tolist(), scores.tolist()) == (["fig", "apple"], [2.0, 1.0])
    assert isinstance(load_run(str(run)).model("markov"), FittedModel)
    assert loaded_by("from gru4rec_cli.serving import load_run") == "[]"


def test_a_bundle_stands_in_place_of_run_and_name(run: Path):
    done = study("recommend", "--bundle", run / "baseline" / "markov", "--items", "plum", "--k", "1", "--json")
    assert json.loads(done.stdout)["recommendations"] == [{"rank": 1, "item": "pear", "score": 1.0}]


WRONG: dict[str, tuple[list[str], int, str]] = {
    "no model": (["--items", "fig"], 2, "give --run-dir RUN --model NAME, or --bundle FOLDER"),
    "no name": (["--run-dir", "run", "--items", "fig"], 2, "give --model with one of markov"),
    "another name": (["--run-dir", "run", "--model", "marko", "--items", "fig"], 2, "did you mean 'markov'?"),
    "no run": (["--run-dir", "runs", "--model", "markov", "--items", "fig"], 2, "there is no run directory runs"),
    "an empty run": (["--run-dir", "empty", "--model", "markov", "--items", "fig"], 2, "holds no fitted models"),
    "two models": (["--run-dir", "run", "--bundle", "run", "--items", "fig"], 2, "leave --run-dir and --model out"),
    "no bundle": (["--bundle", "nowhere", "--items", "fig"], 2, "there is no folder nowhere"),
    "a damaged model": (["--run-dir", "bad", "--model", "markov", "--items", "fig"], 4, "is damaged"),
    "no model in its folder": (["--bundle", "empty", "--items", "fig"], 4, "holds no fitted model"),
    "nothing to do": (["@"], 2, "give --items A,B,C, or --sessions FILE --to FILE"),
    "two ways": (["@", "--items", "fig", "--sessions", "c.csv", "--to", "x.csv"], 2, "give one of them"),
    "no place": (["@", "--sessions", "c.csv"], 2, "give --to FILE"),
    "a place for one history": (["@", "--items", "fig", "--to", "x.csv"], 2, "are for a file of clicks"),
    "columns for one history": (["@", "--items", "fig", "--time", "t"], 2, "are for a file of clicks"),
    "no items": (["@", "--items", ""], 2, "no item is named"),
    "an empty item": (["@", "--items", "fig,,plum"], 2, "a comma too many"),
    "unknown items": (["@", "--items", "7"], 2, "knows none of the items (7); it knows 4, whose ids are text like"),
    "k of 0": (["@", "--items", "fig", "--k", "0"], 2, "--k"),
    "k of a million and one": (["@", "--items", "fig", "--k", "1000001"], 2, "--k"),
    "no candidates": (["@", "--items", "fig", "--candidates", "none.txt"], 3, "there is no file none.txt"),
    "empty candidates": (["@", "--items", "fig", "--candidates", "empty.txt"], 3, "holds no item id"),
    "unknown candidates": (["@", "--items", "fig", "--candidates", "ids.csv", "--item", "x"], 3, "knows none"),
    "another column": (["@", "--items", "fig", "--candidates", "ids.csv", "--item", "y"], 3, "columns are x, ItemId"),
    "all excluded": (["@", "--items", "fig", "--exclude", "ids.csv"], 2, "nothing is left to recommend"),
    "candidates not in UTF-8": (["@", "--items", "fig", "--candidates", "latin.txt"], 3, "UTF-8"),
    "candidates that are numbers": (["@", "--items", "fig", "--exclude", "floats.parquet"], 3, "not ids"),
    "no file": (["@", "--sessions", "none.csv", "--to", "x.csv"], 3, "there is no file none.csv"),
    "other columns": (["@", "--sessions", "ids.csv", "--to", "x.csv"], 3, "--session"),
    "only unknown items": (["@", "--sessions", "numbers.csv", "--to", "x.csv"], 3, "knows none of the items (1, 2)"),
    "no folder": (["@", "--sessions", "c.csv", "--to", "nowhere/x.csv"], 2, "there is no folder nowhere"),
    "a folder": (["@", "--sessions", "c.csv", "--to", "empty.csv"], 2, "is a folder"),
    "another ending": (["@", "--sessions", "c.csv", "--to", "x.json"], 2, ".tsv.gz, .csv.gz or .parquet"),
    "packed Parquet": (["@", "--sessions", "c.csv", "--to", "x.parquet.gz"], 2, "does not say its format"),
    "the input": (["@", "--sessions", "c.csv", "--to", "link.csv"], 2, "is the file of --sessions"),
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, a damaged one, and files for the cases of WRONG."""
    folder = tmp_path_factory.mktemp("wrong")
    save(folder / "run" / "baseline" / "markov", TEXT)
    damaged = save(folder / "bad" / "baseline" / "markov", TEXT)
    (damaged / "arrays.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{")
    for name in ("empty", "empty.csv"):
        (folder / name).mkdir()
    (folder / "empty.txt").write_text("\n")
    (folder / "latin.txt").write_bytes("Äpfel\n".encode("latin-1"))
    pl.DataFrame({"x": ["1"] * 4, "ItemId": TEXT}).write_csv(folder / "ids.csv")
    pl.DataFrame({"ItemId": [1.5]}).write_parquet(folder / "floats.parquet")
    write_clicks(folder / "c.csv", {1: ["fig"]})
    write_clicks(folder / "numbers.csv", {1: [1, 2]})
    (folder / "link.csv").symlink_to(folder / "c.csv")
    return folder


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_are_told_in_a_message_with_their_exit_code(place: Path, case: str):
    arguments, code, told = WRONG[case]
    if arguments[0] == "@":
        arguments = ["--run-dir", "run", "--model", "markov", *arguments[1:]]
    before = sorted(path.name for path in place.iterdir())
    done = study("recommend", *arguments, cwd=place)
    assert done.returncode == code, done.stderr
    assert told in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in place.iterdir()) == before


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits a fork")
@pytest.mark.parametrize("name", ["x.tsv", "x.csv.gz", "x.parquet"])
def test_a_full_disk_leaves_the_old_file(run: Path, tmp_path: Path, name: str):
    draw = np.random.default_rng(1)
    clicks = write_clicks(tmp_path / "clicks.csv", {str(n): [TEXT[draw.integers(4)]] for n in range(2000)})
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / name).write_text("old")
    asked = ("--run-dir", run, "--model", "markov", "--sessions", clicks, "--to", folder / name)
    done = study("recommend", *asked, first=("resource", "setrlimit", [resource.RLIMIT_FSIZE, [2000, 2000]]))
    assert done.returncode == 2, done.stderr
    assert "cannot be written: File too large" in done.stderr
    assert "Exception ignored" not in done.stderr
    assert [path.name for path in folder.iterdir()] == [name]
    assert (folder / name).read_text() == "old"


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four models, in the folder of its configuration."""
    folder = tmp_path_factory.mktemp("studied")
    config = {**SMALL, "baseline": {"models": {"popularity": {}, "markov": {}, "vsknn": {}}}}
    done = study("run", "--config", write_config(folder, config), "--run-dir", folder / "run", "--quiet")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("model", ["popularity", "markov", "vsknn", "gru4rec"])
def test_lists_after_each_click_are_those_of_evaluate(studied: Path, tmp_path: Path, model: str):
    run, lists = studied / "run", tmp_path / "lists.parquet"
    recommend(run, "--sessions", run / "split" / "test.parquet", "--to", lists, "--each-click", model=model)
    evaluated = pl.read_parquet(run / "evaluate" / "lists" / f"{model}.parquet")
    found = pl.read_parquet(lists).group_by("session", "position", maintain_order=True).agg("item", "rank")
    assert found["session"].to_list() == evaluated["session_id"].to_list()
    assert (found["position"] - 1).to_list() == evaluated["position"].to_list()
    assert found["item"].to_list() == evaluated["items"].to_list()
    assert found["rank"].to_list() == [list(range(1, 21))] * evaluated.height


@pytest.mark.slow
def test_lists_after_each_click_are_a_row_of_another_study_with_the_same_metrics(studied: Path, tmp_path: Path):
    """Also where a model tells equal scores apart by the popularity of the items, as a Markov chain does."""
    run, models = studied / "run", ("markov", "vsknn", "gru4rec")
    settings: list[str] = []
    for model in models:
        lists = tmp_path / f"{model}.csv"
        test = run / "split" / "test.parquet"
        recommend(run, "--sessions", test, "--to", lists, "--each-click", "--k", "50", model=model)
        settings += ["--set", f"evaluate.predictions.lists_{model}={lists}"]
    done = study("evaluate", "--config", studied / "study.yaml", "--run-dir", run, *settings, "--json", "--quiet")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((run / "evaluate" / "metrics.json").read_text())["metrics"]
    values: dict[str, dict[tuple[Any, ...], float]] = {}
    for row in metrics:
        if row["metric"] in ("recall", "mrr", "ndcg"):
            cell = tuple(row[key] for key in ("metric", "k", "ties", "slice"))
            values.setdefault(row["model"], {})[cell] = row["value"]
    for model in models:
        assert len(values[model]) >= 9
        assert values[f"lists_{model}"] == values[model]


@pytest.mark.slow
def test_the_layout_of_a_file_does_not_count_in_python_either(studied: Path, tmp_path: Path):
    """The clicks of the test as CSV, or in parts as Spark writes them, give the lists of the table that split wrote."""
    test = pl.read_parquet(studied / "run" / "split" / "test.parquet")
    test.write_csv(tmp_path / "test.csv")
    (tmp_path / "test.parquet").mkdir()
    for part in range(2):
        test[part * 10 : 10 if part == 0 else None].write_parquet(tmp_path / "test.parquet" / f"part-{part}.parquet")
    options = Options(session="session_id", item="item_id", time="time", time_unit="microseconds")
    fitted = load_run(studied / "run").model("gru4rec")
    for clicks, name in (
        (Clicks(tmp_path / "test.csv", options), "a.parquet"),
        (Clicks(studied / "run" / "split" / "test.parquet"), "b.parquet"),
        (Clicks(tmp_path / "test.parquet"), "c.parquet"),
    ):
        assert recommend_sessions(fitted, clicks, tmp_path / name, Wish(5))["lists"] == test["session_id"].n_unique()
    assert len({(tmp_path / f"{name}.parquet").read_bytes() for name in "abc"}) == 1
