"""What the split's statistics say of its sessions and items, by hand, and as `split` writes it."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gru4rec_cli.base.names import STATISTICS_FILE
from gru4rec_cli.data.distributions import length_counts, support_curve
from gru4rec_cli.data.split_folder import write_split
from gru4rec_cli.data.split_settings import SplitSettings
from gru4rec_cli.data.splitting import split_log
from tests.data.logs import log


def test_lengths_that_occur_are_counted():
    assert length_counts(pl.Series("length", [2, 3, 2, 7])) == [[2, 2], [3, 1], [7, 1]]
    assert length_counts(pl.Series("length", [], dtype=pl.UInt32)) == []


def test_support_falls_with_the_rank_and_the_head_is_a_tenth_of_the_items():
    assert support_curve(np.array([1, 5, 0, 90, 4])) == {
        "items": 4, "ranks": [1, 2, 3, 4], "events": [90, 5, 4, 1], "head": {"items": 1, "events_share": 0.9}
    }  # fmt: skip
    many = support_curve(np.arange(1, 100_001))
    assert many["items"] == 100_000
    assert len(many["ranks"]) <= 400
    assert (many["ranks"][0], many["ranks"][-1]) == (1, 100_000)
    assert (many["events"][0], many["events"][-1]) == (100_000, 1)
    # of 1 … n, the largest tenth has 1 - .9² of the sum, but for 1/n
    assert many["head"] == {"items": 10_000, "events_share": pytest.approx(0.19, abs=1e-5)}
    assert support_curve(np.array([0]))["ranks"] == []


def test_split_writes_what_its_own_parts_hold(tmp_path: Path):
    walks = [(walk, range(10 * n, 10 * n + len(walk))) for n, walk in enumerate(["abc", "bca", "ab", "abc", "cab"] * 4)]
    split = split_log(log(*walks), SplitSettings(valid=0.2, min_item_support=1))
    write_split(split, tmp_path)
    statistics = json.loads((tmp_path / STATISTICS_FILE).read_text())
    assert list(statistics["session_lengths"]) == ["train", "valid", "test"]
    for part, counts in statistics["session_lengths"].items():
        summary = statistics["parts"][part]
        assert sum(sessions for _, sessions in counts) == summary["sessions"]
        assert sum(clicks * sessions for clicks, sessions in counts) == summary["events"]
        assert max(clicks for clicks, _ in counts) == summary["max_session_length"]
    support = statistics["item_support"]
    assert support["items"] == statistics["parts"]["train"]["items"]
    assert (support["events"][0], sum(support["events"])) == (split.items["support"].max(), len(split.train))
