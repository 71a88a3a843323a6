"""Published preprocessing on logs small enough to work out by hand, and the verdict on counts."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.data import presets
from gru4rec_cli.data.events import DataSettings
from gru4rec_cli.data.layout import formats
from gru4rec_cli.data.presets import PRESETS, check_fingerprint, data_filled
from gru4rec_cli.data.split_folder import verify_split, write_split
from gru4rec_cli.data.split_settings import SplitSettings
from gru4rec_cli.data.splitting import split_log
from tests.data.logs import DAY, log, walks

SMALL: dict[str, Any] = {"min_item_support": 1}
WINDOWS = ("windows", "window")  # not of the preprocessing: what it is applied to


def test_a_preset_gives_every_key_and_keys_beside_it_override():
    plain = SplitSettings(preset="retailrocket")
    assert plain.model_dump(exclude={"preset", "overlong", *WINDOWS}) == PRESETS["retailrocket"].values
    recent = SplitSettings(preset="yoochoose-srgnn-1-4").recent
    assert recent is not None
    assert (recent.prefixes, recent.items) == ("1/4", "all")
    assert SplitSettings(preset="retailrocket", test=2.0, unseen="miss").test == 2.0
    assert SplitSettings.model_validate(plain.model_dump()) == plain
    with pytest.raises(ValidationError, match="is unknown; known: yoochoose, yoochoose-as-meant, rees46"):
        SplitSettings(preset="movielens")


def test_the_preprocessing_of_2023():
    """Repeats go first; a straddling session keeps what precedes the cut, and goes if that is a single click."""
    events = log(
        ("aab", (0, 1, 2)),
        ("aa", (5, 6)),
        ("abc", (10, 20, 10 + DAY)),
        ("ab", (15, 11 + DAY)),
        ("ab", (10 + DAY, 11 + DAY)),
        ("ba", (3, 4)),
    )
    split = split_log(events, SplitSettings(preset="yoochoose", **SMALL))  # the cut is at 11
    assert walks(split.train) == {1: "ab", 6: "ba"}
    assert walks(split.test) == {4: "ab", 5: "ab"}
    later = split_log(events, SplitSettings(preset="yoochoose", **SMALL, test=0.5))
    assert walks(later.train) == {1: "ab", 6: "ba", 3: "ab"}


def test_the_preprocessing_of_2016(tmp_path):
    """Repeats stay; length, support and length again are asked once; sessions that end on the last day are the test."""
    events = log(
        ("aab", (0, 1, 2)), ("bc", (1, 2)), ("ca", (3, 4)), ("ab", (5, 10 + DAY)), ("ba", (20, 30)), ("ba", (6, 7))
    )
    settings = SplitSettings(preset="rsc15", min_item_support=3)  # c has 2 events; without it, b and a stand alone
    split = split_log(events, settings)
    assert walks(split.train) == {1: "aab", 6: "ba"}
    assert walks(split.test) == {4: "ab", 5: "ba"}
    write_split(split, tmp_path)
    assert "every test session ends at or after the cut at 1970-01-01T00:00:10Z" in verify_split(tmp_path, settings)


def test_once_leaves_items_that_the_last_filter_made_rare():
    events = log(
        ("ab", (0, 1)), ("bc", (2, 3)), ("ad", (4, 5)), ("ae", (4, 5)), ("af", (4, 5)), ("ba", (6, 7)), ("ab", (8, 9))
    )
    rules: dict[str, Any] = {"min_item_support": 4, "drop_repeats": False, "test": 0.3, "unseen": "miss"}
    assert walks(split_log(events, SplitSettings(**rules, filtering="once")).train) == {1: "ab", 6: "ba"}
    with pytest.raises(DataError, match="the log is empty"):
        split_log(events, SplitSettings(**rules))


def data_of(**fields: Any) -> dict[str, Any]:
    """The section `data` as a configuration has it with this preset."""
    raw = {"format": "yoochoose", "source": "here", **fields}
    return DataSettings.model_validate_json(json.dumps(data_filled(raw, "yoochoose"))).model_dump(mode="json")


def statistics(train=(29_107_309, 7_597_703), test=(71_849, 15_854), items=34_858, **settings):
    parts = {
        "train": {"events": train[0], "sessions": train[1], "items": items},
        "test": {"events": test[0], "sessions": test[1]},
    }
    values = SplitSettings(preset="yoochoose", **settings).model_dump(mode="json")
    return {"settings": values, "source": "log", "parts": parts}


@pytest.mark.parametrize(
    ("found", "verdict", "told"),
    [
        ({}, "match", "all counts are as published"),
        ({"test": (71_850, 15_854)}, "mismatch", "training is the same; the test part differs"),
        ({"train": (29_107_308, 7_597_702), "test": (71_850, 15_855)}, "mismatch", "the cut differs: train events 29,"),
        ({"items": 34_859}, "mismatch", "the cut differs: items 34,859 in place of 34,858"),
        ({"train": (29_107_300, 7_597_703)}, "mismatch", "reading or cleaning differs: train events 29,107,300"),
        ({"train": (450_000, 100_000)}, "not applicable", "a sample: 1.8 % of the published events"),
        ({"unseen": "miss", "valid": 1.0}, "not applicable", "the preset is overridden: valid, unseen"),
    ],
)
def test_the_verdict_on_counts(found, verdict, told):
    fingerprint = check_fingerprint(statistics(**found), data_of())
    assert fingerprint is not None
    assert fingerprint["verdict"] == verdict
    assert fingerprint["told"].startswith(told)


def test_counts_say_nothing_about_other_data():
    for fields, told in (
        ({"format": "generic"}, "the data is not read as format: yoochoose"),
        ({"equal_times": "file"}, "the data is not read as the preset does: data.equal_times"),
        ({"sessions": {"gap_minutes": 5.0}}, "the data is not read as the preset does: data.sessions"),
        ({"on_error": "skip"}, "the data is not read as the preset does: data.on_error"),
    ):
        fingerprint = check_fingerprint(statistics(), data_of(**fields))
        assert fingerprint is not None
        assert (fingerprint["verdict"], fingerprint["told"]) == ("not applicable", told)
    assert check_fingerprint({"settings": {"preset": None}}, data_of()) is None


def test_every_preset_is_applicable_to_data_that_is_read_as_it_says():
    for name, preset in PRESETS.items():
        parts: dict[str, dict[str, int]] = {"train": {}, "test": {}}
        for count, number in preset.published.items():
            part, _, counted = count.rpartition(" ")
            parts[part or "train"][counted] = number
        raw = data_filled({"format": preset.format, "source": "here"}, name)
        data = DataSettings.model_validate_json(json.dumps(raw)).model_dump(mode="json")
        settings = SplitSettings(preset=name).model_dump(mode="json")
        found = check_fingerprint({"settings": settings, "source": "log", "parts": parts}, data)
        assert found is not None
        assert found["verdict"] == "match", (name, found["told"])


def test_a_preset_sets_data_for_its_own_format_alone_and_keys_beside_it_override():
    own = data_filled({"format": "coveo", "source": "here", "sessions": {"gap_minutes": 30}}, "coveo")
    assert own["equal_times"] == "first_seen"
    assert own["sessions"] == {"gap_minutes": 30, "gap_over": "all"}
    other = {"format": "generic", "source": "here"}
    assert data_filled(other, "coveo") == other
    assert data_filled({**other, "format": "coveo"}, None) == {**other, "format": "coveo"}


def test_every_preset_names_a_format_and_its_counts_are_those_of_the_configurations():
    for name, preset in PRESETS.items():
        assert preset.format in formats()
        path = Path(__file__).parents[2] / "configs" / "published" / f"{name}.yaml"
        for number in preset.published.values() if path.exists() else ():
            assert f"{number:,}" in path.read_text(), name
    assert set(presets.PAPER_2023) == set(SplitSettings.model_fields) - {"preset", "test", "overlong", *WINDOWS}


def test_no_verdict_on_a_window_of_the_log():
    events = log(*[("ab", (k * DAY, k * DAY + 1)) for k in range(10)])
    settings = SplitSettings.model_validate({"preset": "yoochoose", "window": {"number": 1, "of": 2}})
    found = check_fingerprint(split_log(events, settings).statistics, data_of())
    assert found is not None
    assert (found["verdict"], found["told"]) == ("not applicable", "a window of the log")
