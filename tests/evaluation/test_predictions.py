"""Ranked lists of other tools: every form of file, ranks by hand, and what is refused."""

import gzip
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.names import ITEM, SESSION
from gru4rec_cli.base.warnings import collected
from gru4rec_cli.data.sessions import UNSEEN, Sessions, Vocabulary, without_unseen
from gru4rec_cli.evaluation.metrics import metric_values, target_ranks
from gru4rec_cli.evaluation.prediction_files import PLACE, RANK, SCORE, read_predictions
from gru4rec_cli.evaluation.predictions import OUTSIDE, PredictedRanks, rank_predictions, warn_of_predictions
from gru4rec_cli.evaluation.ranking import rank_targets
from gru4rec_cli.evaluation.scores import ScoreBlock
from gru4rec_cli.models.checks import random_sessions

ITEMS = ["i:1", "i/2", "c", "d"]
Entry = tuple[str, int, str, float]  # session, position, item, score


def sessions_of(clicks: dict[str, Sequence[str]], items: Sequence[str] = ITEMS) -> Sessions:
    """Sessions of text ids over a vocabulary of text ids; other items are unseen."""
    rows = [items.index(item) if item in items else UNSEEN for session in clicks.values() for item in session]
    offsets = np.cumsum([0, *(len(session) for session in clicks.values())])
    ids = np.array(list(clicks), dtype=object)
    vocabulary = Vocabulary.of(np.array(items, dtype=object))
    times = np.arange(len(rows), dtype=np.int64)
    return Sessions(np.array(rows, dtype=np.int32), offsets.astype(np.int64), times, ids, vocabulary)


TEST = sessions_of({"u:1/2": ["c", "i:1", "i/2"], "v": ["d", "c"]})  # three events
LISTS: list[Entry] = [
    ("u:1/2", 2, "d", 0.9),  # the target, i:1, is second
    ("u:1/2", 2, "i:1", 0.8),
    ("u:1/2", 2, "c", 0.1),
    ("u:1/2", 3, "i/2", 0.5),  # the target, and two items at its score
    ("u:1/2", 3, "c", 0.5),
    ("u:1/2", 3, "d", 0.5),
    ("v", 2, "d", 3.0),  # the target, c, is not in the list
    ("v", 2, "i:1", 2.0),
    ("v", 2, "i/2", 1.0),
]


def write_run(path: Path, lists: Sequence[Entry]) -> Path:
    """A TREC run file, gzipped if its name says so."""
    text = "".join(f"{session}:{place} Q0 {item} 1 {score} tag\n" for session, place, item, score in lists)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def write_table(path: Path, lists: Sequence[Entry], names: Sequence[str] = ("session", "position", "item", "score")):
    table = pl.DataFrame(lists, schema=list(names), orient="row")
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    if plain.suffix == ".parquet":
        table.write_parquet(path)
        return path
    text = table.write_csv(separator="\t" if plain.suffix == ".tsv" else ",").encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def ranks(found: PredictedRanks, test: Sessions = TEST) -> list[float]:
    return [*map(float, target_ranks(found.greater, found.equal, test.target_items(), "conservative"))]


@pytest.mark.parametrize(
    "name", ["theirs.run", "theirs", "theirs.txt.gz", "t.csv", "t.csv.gz", "t.tsv", "t.tsv.gz", "t.parquet"]
)
def test_ranks_by_hand_from_every_form_of_file(tmp_path: Path, name: str):
    table = any(ending in name for ending in (".csv", ".tsv", ".parquet"))
    path = (write_table if table else write_run)(tmp_path / name, LISTS[::-1])  # their order decides nothing
    found = rank_predictions(read_predictions(path), TEST, TEST)
    assert found.greater.tolist() == [1, 0, OUTSIDE]
    assert found.equal.tolist() == [0, 2, 0]
    assert ranks(found) == [2.0, 3.0, OUTSIDE + 1.0]
    assert (found.lengths.tolist(), found.known.tolist(), found.longest) == ([3, 3, 3], [3, 3, 3], 3)
    assert (found.missing, found.foreign, found.unknown) == (0, (), ())
    rank = np.array(ranks(found))
    assert metric_values(rank, "recall", 2).mean() == pytest.approx(1 / 3)
    assert metric_values(rank, "mrr", 3).mean() == pytest.approx((1 / 2 + 1 / 3) / 3)
    assert metric_values(rank, "ndcg", 3).mean() == pytest.approx((1 / math.log2(3) + 1 / math.log2(4)) / 3)
    assert metric_values(rank, "recall", OUTSIDE).mean() == pytest.approx(2 / 3)  # outside stays outside


def test_ranks_order_a_list_without_scores_and_scores_decide_where_there_are_both(tmp_path: Path):
    by_rank = [("v", 2, "c", 7), ("v", 2, "d", 3), ("v", 2, "i:1", 9)]
    path = write_table(tmp_path / "a.csv", by_rank, ("Session_ID", "POSITION", "ItemId", "Rank"))
    assert rank_predictions(read_predictions(path), TEST, TEST).greater.tolist() == [OUTSIDE, OUTSIDE, 1]
    rows = [("v", 2, "c", 1, 0.1), ("v", 2, "d", 2, 0.9)]
    both = pl.DataFrame(rows, ["session", "position", "item", "rank", "score"], orient="row")
    both.write_parquet(tmp_path / "b.parquet")
    found = read_predictions(tmp_path / "b.parquet")
    assert rank_predictions(found, TEST, TEST).greater.tolist() == [OUTSIDE, OUTSIDE, 1]
    assert (found.lists[RANK].to_list(), found.lists[SCORE].to_list()) == ([1, 2], [0.1, 0.9])


def test_ids_with_spaces_commas_and_quotes_are_those_of_the_table(tmp_path: Path):
    items = ["a b", 'c"d', "e,f", "007", "7"]
    test = sessions_of({"x y: z/1": ["a b", 'c"d', "e,f"], "é\u3000ü": ["7", "007"]}, items)
    lists: list[Entry] = [
        ("x y: z/1", 2, 'c"d', 2.0),
        ("x y: z/1", 3, "a b", 2.0),
        ("x y: z/1", 3, "e,f", 1.0),
        ("é\u3000ü", 2, "7", 5.0),  # another item than 007
        ("é\u3000ü", 2, "007", 4.0),
    ]
    for name in ("t.csv", "t.tsv.gz", "t.parquet"):
        read = read_predictions(write_table(tmp_path / name, lists))
        assert read.lists.select(SESSION, PLACE, ITEM, SCORE).rows() == lists
        assert ranks(rank_predictions(read, test, test), test) == [1.0, 2.0, 2.0]


def test_full_lists_of_scores_give_the_ranks_that_the_scores_give(tmp_path: Path):
    test = random_sessions(30, 40, seed=3, longest=6)
    rng = np.random.default_rng(4)
    scores = rng.integers(0, 12, (test.n_targets, 30)).astype(np.float32)  # many ties
    wanted = rank_targets(iter([ScoreBlock(0, scores)]), test)
    places, sessions = test.event_positions() + 1, test.session_ids[test.event_sessions()]
    table = pl.DataFrame(
        {
            "SessionId": np.repeat(sessions, 30),
            "position": np.repeat(places, 30),
            "ItemId": np.tile(test.vocabulary.ids, test.n_targets),
            "score": scores.ravel(),
        }
    )
    table.sample(fraction=1, shuffle=True, seed=5).write_parquet(tmp_path / "all.parquet")
    found = rank_predictions(read_predictions(tmp_path / "all.parquet"), test, test)
    assert np.array_equal(found.greater, wanted.greater)
    assert np.array_equal(found.equal, wanted.equal)


def test_events_without_a_list_foreign_events_and_unknown_items_are_counted_and_warned_of(tmp_path: Path):
    lists: list[Entry] = [
        ("u:1/2", 2, "new", 2.0),
        ("u:1/2", 2, "i:1", 1.0),  # below an item that training lacks
        ("u:1/2", 4, "c", 1.0),  # beyond the end of the session
        ("w", 2, "c", 1.0),
        ("v", 2, "c", 1.0),
    ]
    found = rank_predictions(read_predictions(write_run(tmp_path / "t.run", lists)), TEST, TEST)
    assert ranks(found) == [2.0, OUTSIDE + 1.0, 1.0]
    assert (found.missing, found.foreign, found.unknown) == (1, ("u:1/2:4", "w:2"), ("new",))
    assert (found.lengths.tolist(), found.known.tolist()) == ([2, 0, 1], [1, 0, 1])
    with collected() as said:
        warn_of_predictions("theirs", found, 2)
    assert {warning.id: warning.message for warning in said} == {
        "predictions-missing": "theirs: 1 of 3 test events have no list; they count as misses",
        "predictions-of-other-events": "theirs: lists for events that the test does not hold, 2 of them, such as "
        "u:1/2:4, are passed over",
        "predictions-of-unknown-items": "theirs: items that are not in the training data, 1 of them, such as new, take "
        "places that no target can have",
        "predictions-short": "theirs: 1 of 2 lists have fewer than 2 items; targets outside of them count as misses",
    }
    with collected() as said:
        warn_of_predictions("theirs", found, 3)
    assert said[-1].message.startswith("theirs: the longest list has 2 items, so metrics at larger cutoffs")


def test_a_whole_file_is_not_warned_of(tmp_path: Path):
    with collected() as said:
        warn_of_predictions("t", rank_predictions(read_predictions(write_run(tmp_path / "t", LISTS)), TEST, TEST), 3)
    assert said == []


def test_positions_count_the_clicks_of_the_written_test_also_where_some_are_passed_over(tmp_path: Path):
    whole = sessions_of({"one": ["new", "c"], "u": ["c", "new", "d", "i:1"]})
    test = without_unseen(whole)  # as with `unseen: keep`: u is c, d, i:1
    lists: list[Entry] = [("u", 2, "c", 1.0), ("u", 3, "d", 1.0), ("u", 4, "c", 2.0), ("u", 4, "i:1", 1.0)]
    found = rank_predictions(read_predictions(write_run(tmp_path / "t", lists)), whole, test)
    assert ranks(found, test) == [1.0, 2.0]
    assert (found.missing, found.foreign) == (0, ())  # the list for the unseen click is of the test, too
    kept = rank_predictions(read_predictions(tmp_path / "t"), whole, whole)  # as with `unseen: miss`
    assert ranks(kept, whole) == [OUTSIDE + 1.0, math.inf, 1.0, 2.0]  # no list; an unseen target
    assert kept.missing == 1


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.run", "s:2 Q0 a 1 0.5 tag\ns:2 Q0 b 2 0.4\n", "line 2 is 's:2 Q0 b 2 0.4', not `SESSION:POSITION Q0"),
        ("t.run", "s:2 Q0 a b 1 0.5 tag\n", "line 1 is"),
        ("t.run", "s Q0 a 1 0.5 tag\n", "line 1 is"),
        ("t.run", "s:2 Q0 a 1 0.5 tag\n\ns:x Q0 a 1 0.5 tag\n", "line 3: the position 'x' is not a whole number"),
        ("t.run", "s:1 Q0 a 1 0.5 tag\n", "line 1: the position '1' is below 2"),
        ("t.run", "s:2 Q0 a 1 nan tag\n", "line 1: the score 'nan' is not a number"),
        ("t.run", "s:2 Q0 a first 1 tag\n", "line 1: the rank 'first' is not a whole number"),
        ("t.run", "\n", "holds no ranked list"),
        ("t.run", "", "holds no ranked list"),
        ("t.csv", "session,position,item,score\n", "holds no ranked list"),
        ("t.csv", "session,position,item\ns,2,a\n", "there is no column score or rank; the columns are session"),
        ("t.csv", "session,pos,score\ns,2,1\n", "there is no column position, item"),
        ("t.csv", "session,SessionId,position,item,score\ns,s,2,a,1\n", "two columns name the session"),
        ("t.csv", 'session,position,item,score\n"s\n",2,a,1\ns,2,,1\n', "line 4: the item None is empty"),
        ("t.tsv", "session\tposition\titem\tscore\ns\t2.5\ta\t1\n", "line 2: the position '2.5' is not a whole number"),
        ("t.csv", "session,position,item,score\ns,2,a,1\ns,2,b,1,7\n", "line 3 has 5 fields, the header has 4"),
        ("t.parquet", "session,position,item,score\n", "not a readable Parquet file"),
        ("t.csv.gz", "session,position,item,score\n", "not gzip data although the name ends in .gz"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_an_error_that_names_the_place(tmp_path: Path, name: str, text: str, said: str):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as error:
        read_predictions(tmp_path / name)
    assert error.value.message.startswith(f"{tmp_path / name}: ")
    assert said in error.value.message
    assert error.value.hint


def test_columns_of_parquet_have_the_types_of_their_values(tmp_path: Path):
    good = {"session": [1], "position": [2], "item": [7], "score": [0.5]}
    for name, wrong in (("session", [1.0]), ("position", [2.0]), ("item", [0.5]), ("score", ["0.5"])):
        pl.DataFrame({**good, name: wrong}).write_parquet(tmp_path / "t.parquet")
        with pytest.raises(DataError, match=f"column '{name}' holds"):
            read_predictions(tmp_path / "t.parquet")
    pl.DataFrame({**good, "session": [None]}, schema_overrides={"session": pl.Int64}).write_parquet(
        tmp_path / "t.parquet"
    )
    with pytest.raises(DataError, match="row 1: the session None is empty"):
        read_predictions(tmp_path / "t.parquet")


def test_a_missing_file_is_a_data_error(tmp_path: Path):
    with pytest.raises(DataError, match="there is no file"):
        read_predictions(tmp_path / "none.run")


def test_an_item_twice_in_a_list_is_refused(tmp_path: Path):
    path = write_run(tmp_path / "t", [*LISTS, ("v", 2, "i:1", 0.5)])
    with pytest.raises(DataError, match=r"the item 'i:1' is twice in the list of v:2 \(1 lists have such items\)"):
        rank_predictions(read_predictions(path), TEST, TEST)


def test_a_file_for_no_event_of_the_test_is_refused_with_both_forms_of_names(tmp_path: Path):
    path = write_run(tmp_path / "t", [("1", 2, "c", 0.5)])
    with pytest.raises(DataError, match="its first is for 1:2") as error:
        rank_predictions(read_predictions(path), TEST, TEST)
    assert "for example u:1/2:2" in error.value.hint
