"""Published preprocessing by name, and the counts by which a split shows that it did the same.

The rules are those of the authors' own scripts, which were run on made-up files; tests compare with what they wrote.
Sources: [1] Hidasi et al., ICLR 2016 (arXiv 1511.06939), section 4.1, and examples/rsc15/preprocess.py of
github.com/hidasib/GRU4Rec, for rsc15; [2] Wu et al., AAAI 2019 (arXiv 1811.00855), and datasets/preprocess.py of
github.com/CRIPAC-DIG/SR-GNN, for the names with srgnn; [3] Hidasi & Czapp, RecSys 2023 (arXiv 2307.14956), and the
scripts `*_preproc.py` of github.com/hidasib/gru4rec_third_party_comparison, for all others. See docs/data.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_COMMON: dict[str, Any] = {
    "drop_duplicates": False,
    "drop_repeats": True,
    "min_session_length": 2,
    "min_item_support": 5,
    "filtering": "repeated",
    "max_session_length": None,
    "by": "days",
    "valid": None,
    "end": None,
    "valid_end": "cut",
    "on_cut": "later",
    "equal_starts": "id",
    "straddle": "truncate",
    "unseen": "keep",
    "recent": None,
}
PAPER_2023 = _COMMON
PAPER_2016: dict[str, Any] = _COMMON | {
    "drop_repeats": False,
    "filtering": "once",
    "valid_end": "training",
    "straddle": "test",
    "unseen": "drop",
}
SR_GNN: dict[str, Any] = _COMMON | {
    "drop_repeats": False,
    "filtering": "once",
    "on_cut": "drop",
    "equal_starts": "file",
    "unseen": "drop",
}

SAMPLE = 0.9  # below this share of the published events the input is taken for a sample, not for another preparation


@dataclass(frozen=True)
class Preset:
    """Values of `split:` and `data:`, the format of the raw files, and the published counts."""

    format: str
    values: dict[str, Any]  # of split
    published: dict[str, int]  # counts by part and what is counted; `items` are those of training
    data: dict[str, Any] = field(default_factory=dict)  # of data, if its format is that of the preset


def _counts(train: tuple[int, int], test: tuple[int, int], items: int) -> dict[str, int]:
    """The published counts of events and sessions."""
    counts = {"train events": train[0], "train sessions": train[1], "test events": test[0], "test sessions": test[1]}
    return {**counts, "items": items}


def _sr_gnn(share: str) -> dict[str, Any]:
    return SR_GNN | {"test": 1.0, "recent": {"prefixes": share, "items": "all"}}


_YOOCHOOSE = _counts((29_107_309, 7_597_703), (71_849, 15_854), 34_858)
_YOOCHOOSE_TIMES = {"whole_seconds": True, "equal_times": "item"}
_CLICKS = {"files": ["yoochoose-clicks.dat"]}
_SR_GNN_YOOCHOOSE = _CLICKS | {"whole_seconds": True, "session_time": "last_row"}

PRESETS = {
    "yoochoose": Preset(
        "yoochoose", PAPER_2023 | {"test": 1.0}, _YOOCHOOSE, _YOOCHOOSE_TIMES | {"shared_row_numbers": True}
    ),
    "yoochoose-as-meant": Preset("yoochoose", PAPER_2023 | {"test": 1.0}, _YOOCHOOSE, _YOOCHOOSE_TIMES),
    "rees46": Preset(
        "rees46",
        PAPER_2023 | {"test": 1.0, "end": "2019-12-01T00:00:00Z"},
        _counts((67_575_203, 10_190_006), (1_054_210, 166_841), 172_756),
        {"files": ["2019-Oct.csv", "2019-Nov.csv"], "equal_times": "first_seen"},
    ),
    "coveo": Preset(
        "coveo",
        PAPER_2023 | {"test": 1.0},
        _counts((1_411_113, 165_673), (52_501, 7_748), 10_868),
        {"equal_times": "first_seen", "sessions": {"gap_minutes": 60.0, "gap_over": "all"}},
    ),
    "retailrocket": Preset(
        "retailrocket",
        PAPER_2023 | {"test": 7.0, "end": "2015-09-18T03:00:00Z"},
        _counts((750_832, 196_234), (29_148, 8_036), 36_824),
        {"equal_times": "item", "sessions": {"gap_over": "all"}},
    ),
    "diginetica": Preset(
        "diginetica",
        PAPER_2023 | {"test": 7.0},
        _counts((833_113, 177_266), (70_164, 15_040), 40_351),
        {"equal_times": "item"},
    ),
    "rsc15": Preset(
        "yoochoose", PAPER_2016 | {"test": 1.0}, _counts((31_637_239, 7_966_257), (71_222, 15_324), 37_483), _CLICKS
    ),
    "diginetica-srgnn": Preset(
        "diginetica",
        SR_GNN | {"test": 7.0},
        {"train prefixes": 719_470, "test prefixes": 60_858, "items": 43_097},
        {"session_time": "last_row"},
    ),
    "yoochoose-srgnn-1-64": Preset(
        "yoochoose", _sr_gnn("1/64"), {"train prefixes": 369_859, "test prefixes": 55_898}, _SR_GNN_YOOCHOOSE
    ),
    "yoochoose-srgnn-1-4": Preset(
        "yoochoose", _sr_gnn("1/4"), {"train prefixes": 5_917_745, "test prefixes": 55_898}, _SR_GNN_YOOCHOOSE
    ),
}


def filled(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of `split:`, those that are not given from its preset.

    Raises:
        ValueError: no preset has this name.
    """
    name = given.get("preset")
    if name is None:
        return dict(given)
    if not isinstance(name, str) or name not in PRESETS:
        raise ValueError(f"preset: {name!r} is unknown; known: {', '.join(PRESETS)}")
    return {**PRESETS[name].values, **given}


def data_filled(given: Mapping[str, Any], name: object) -> dict[str, Any]:
    """Return the keys of `data:`, those that are not given from a preset if it is for this format of raw files."""
    preset = PRESETS.get(name) if isinstance(name, str) else None
    if preset is None or given.get("format") != preset.format or given.get("source") is None:
        return dict(given)
    given_sessions = given.get("sessions") or {}
    if not isinstance(given_sessions, dict):
        return dict(given)  # wrong, and reported as such
    sessions = {**preset.data.get("sessions", {}), **given_sessions}
    return {**preset.data, **given, **({"sessions": sessions} if sessions else {})}


def check_fingerprint(statistics: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any] | None:
    """Compare the counts of a split with those published for its preset; None without a preset.

    `data` is the section of that name with all its values. The verdict is `match`, `mismatch` or `not applicable`;
    `told` gives the reason, which for a mismatch is the first step that differs, as far as counts can show it.
    """
    settings = statistics["settings"]
    name = settings["preset"]
    if name is None:
        return None
    preset = PRESETS[name]
    published = preset.published
    if statistics["parts"]["test"] is None:
        told = "there is no test part"
        return {"name": name, "verdict": "not applicable", "told": told, "published": published, "found": {}}
    actual = {count: _found(statistics["parts"], count) for count in published}
    reason = _not_applicable(statistics, preset, data)
    share = _size(actual) / _size(published)
    if not reason and share < SAMPLE:
        reason = f"a sample: {100 * share:.2g} % of the published events"
    differing = [count for count in published if published[count] != actual[count]]
    verdict = "not applicable" if reason else "mismatch" if differing else "match"
    told = reason or (_first_difference(published, actual) if differing else "all counts are as published")
    return {"name": name, "verdict": verdict, "told": told, "published": published, "found": actual}


def _found(parts: Mapping[str, Any], count: str) -> int:
    """The count of a split that a published one is compared with."""
    part, _, counted = count.rpartition(" ")
    return int(parts[part or "train"][counted])


def _size(counts: Mapping[str, int]) -> int:
    """All events or prefixes of training and test."""
    return sum(counts[count] for count in counts if count.endswith((" events", " prefixes")))


def _not_applicable(statistics: Mapping[str, Any], preset: Preset, data: Mapping[str, Any]) -> str:
    """Why the settings do not give the published counts, or an empty text."""
    settings = statistics["settings"]
    other = [key for key, value in preset.values.items() if not _same(settings[key], value)]
    if other:
        return f"the preset is overridden: {', '.join(other)}"
    if settings["window"] is not None:
        return "a window of the log"
    if statistics["source"] == "given":
        return "the given files are already split"
    if data["format"] != preset.format:
        return f"the data is not read as format: {preset.format}"
    wanted = _READ_AS_PUBLISHED | preset.data
    other = [key for key, value in wanted.items() if not _same(data[key], value)]
    return f"the data is not read as the preset does: data.{', data.'.join(other)}" if other else ""


_READ_AS_PUBLISHED: dict[str, Any] = {
    "files": None,
    "events": None,
    "missing": [],
    "sessions": {},
    "whole_seconds": False,
    "equal_times": "file",
    "session_time": "events",
    "shared_row_numbers": False,
    "on_error": "stop",
}


def _same(found: Any, wanted: Any) -> bool:
    """Whether a value is the wanted one; a section, whether it has the wanted values and else only defaults."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return {key: value for key, value in found.items() if value not in _DEFAULTS.get(key, (None,))} == wanted
    return bool(found == wanted)


_DEFAULTS: dict[str, tuple[Any, ...]] = {"gap_over": (None, "kept"), "items": (None, "kept")}


def _first_difference(published: Mapping[str, int], found: Mapping[str, int]) -> str:
    """The step after which counts first differ: training is settled before the test part is."""
    differing = [count for count in published if published[count] != found[count]]
    train = [count for count in differing if not count.startswith("test ")]
    shown = ", ".join(f"{count} {found[count]:,} in place of {published[count]:,}" for count in train or differing)
    if not train:
        return f"training is the same; the test part differs (short sessions, the cut): {shown}"
    counted = [count.removeprefix("train ") for count in published if count.startswith("train ")]
    same_sum = all(
        published[f"train {c}"] + published[f"test {c}"] == found[f"train {c}"] + found[f"test {c}"] for c in counted
    )
    step = "the cut" if same_sum else "reading or cleaning"
    return f"{step} differs: {shown}"
