"""Pickles of SR-GNN: sessions are put together as they were, and nothing but lists, numbers and texts is built."""

import io
import os
import pickle
import struct
from collections import OrderedDict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gru4rec_cli.base.errors import DataError, UsageError
from gru4rec_cli.base.names import ITEM, SESSION, TEST_FILE, TIME, TRAIN_FILE
from gru4rec_cli.data import memory
from gru4rec_cli.data.events import DataSettings
from gru4rec_cli.data.reading import read_log
from tests.small import study, write_config


def expanded(sessions: list[list[Any]]) -> tuple[list[list[Any]], list[Any]]:
    """As `process_seqs` of SR-GNN: the row without the last item first."""
    rows = [(session[:-i], session[-i]) for session in sessions for i in range(1, len(session))]
    return [row[0] for row in rows], [row[1] for row in rows]


def read(path: Path, content: Any) -> list[list[Any]]:
    """The items of each session."""
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content))
    events = read_log(path, DataSettings(format="srgnn", source=str(path))).events
    assert events[TIME].to_list() == [n * 1_000_000 for n in range(events.height)]
    assert events[SESSION].is_sorted()
    return events.group_by(SESSION, maintain_order=True).agg(ITEM)[ITEM].to_list()


SESSIONS = st.lists(st.lists(st.integers(1, 5), min_size=2, max_size=6), min_size=1, max_size=12)


@given(sessions=SESSIONS, protocol=st.integers(0, 5), pair=st.booleans())
def test_sessions_come_back_whole_from_their_beginnings(
    tmp_path_factory: pytest.TempPathFactory, sessions: list[list[int]], protocol: int, pair: bool
):
    content = pickle.dumps(expanded(sessions) if pair else sessions, protocol)
    assert read(tmp_path_factory.getbasetemp() / "train.txt", content) == sessions


def test_ids_may_be_texts_or_large(tmp_path: Path):
    assert read(tmp_path / "a.txt", [["a", "é"], ["b", "a"]]) == [["a", "é"], ["b", "a"]]
    assert read(tmp_path / "a.txt", [[2**64, 1], [1, 1]]) == [[str(2**64), "1"], ["1", "1"]]


def test_the_last_rows_of_a_file_may_begin_within_a_session(tmp_path: Path):
    beginnings, targets = expanded([[1, 2, 3, 4], [5, 6]])
    assert read(tmp_path / "a.txt", (beginnings[1:], targets[1:])) == [[1, 2, 3], [5, 6]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (([[1], [1, 2]], [2, 3]), "the last session is cut off"),
        (([[1, 2], [4]], [3, 5]), "row 2 does not continue the session before it"),
        (([[1, 2], [1]], [3]), "2 sequences, but 1 next items"),
        (([[1], []], [2, 3]), "row 2 does not continue"),
        ([[1, 2], 3], "'3' is not a list"),
        ([[1, 2.0]], "an item is neither an integer nor a text"),
        ([[1, True]], "damaged, or holds more than lists"),
        ([["a", ""]], "an item is neither an integer nor a text"),
        ([["a", "b\nc"]], "an item is neither an integer nor a text"),
        ([], "holds no events"),
        (b"", "not a whole pickle"),
        (b"not a pickle", "damaged, or holds more than lists"),
        (pickle.dumps([[1, 2]])[:-2], "not a whole pickle"),
    ],
)
def test_what_holds_no_sessions_is_refused(tmp_path: Path, content: Any, message: str):
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path / "train.txt", content)
    assert caught.value.message.startswith(str(tmp_path / "train.txt"))


class Hostile:
    def __reduce__(self) -> Any:
        return os.mkdir, (str(Path(os.environ["PICKLE_TEST"]) / "made"),)


def recursive() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


HOSTILE: list[Any] = [
    [[1, Hostile()]],
    [[np.int64(1), 2]],
    np.array([[1, 2]]),
    [[date(2024, 1, 1)]],
    [OrderedDict([(1, 2)])],
    [[1, {2, 3}]],
    [[1, bytearray(b"x")]],
    [[1, None]],
    recursive(),
    b"cos\nsystem\n(S'touch made'\ntR.",
    b"(ios\nsystem\nS'true'\n.",
    b"\x80\x02\x82\x01.",  # an extension registered by number
    b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
    b"P1\n.",  # an object that is stored elsewhere
    b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b".",  # bytes without end
    b"\x80\x04\x8a\xff1.",
    b"I" + b"9" * 5000 + b"\n.",
    b"2" * 100 + b".",
    b"h\x05.",
]


@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_no_class_or_function_is_ever_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: Any, protocol: int
):
    monkeypatch.setenv("PICKLE_TEST", str(tmp_path))
    buffer = io.BytesIO()
    pickle.Pickler(buffer, protocol).dump(content)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "train.txt", content if isinstance(content, bytes) else buffer.getvalue())
    assert not (tmp_path / "made").exists()
    assert "plain integers" in caught.value.hint or "right file" in caught.value.hint


def test_a_place_in_the_memo_far_away_takes_no_memory(tmp_path: Path):
    content = b"(l(lI1\naI2\nar" + struct.pack("<I", 2**32 - 1) + b"a."  # C's unpickler would reserve 64 GB
    assert read(tmp_path / "train.txt", content) == [[1, 2]]


def test_one_list_may_stand_for_many_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    session = list(range(1000))
    monkeypatch.setattr(memory, "headroom", lambda: iter([(10**6, "a test")]))
    with pytest.raises(UsageError, match="a test leaves this process"):
        read(tmp_path / "train.txt", [session] * 1000)


def test_given_parts_follow_each_other_in_time_and_number(tmp_path: Path):
    train, test = [[1, 2, 1], [2, 1], [1, 2]], [[2, 1], [1, 2, 2]]
    for name, sessions in (("train.txt", train), ("test.txt", test)):
        (tmp_path / name).write_bytes(pickle.dumps(expanded(sessions)))
    data = {"format": "srgnn", **{part: str(tmp_path / f"{part}.txt") for part in ("train", "test")}}
    config = {"name": "x", "data": data, "baseline": {"models": {"popularity": {}}}}
    path, run = write_config(tmp_path, config), tmp_path / "run"
    done = study("split", "--config", path, "--run-dir", run)
    assert done.returncode == 0, done.stderr
    assert "train-after-test" not in done.stderr
    parts = [pl.read_parquet(run / "split" / name) for name in (TRAIN_FILE, TEST_FILE)]
    assert [part.group_by(SESSION, maintain_order=True).agg(ITEM)[ITEM].to_list() for part in parts] == [train, test]
    assert parts[1][TIME].to_list() == [n * 1_000_000 for n in range(7, 12)]
    assert parts[1][SESSION].to_list() == [3, 3, 4, 4, 4]
