"""Published preprocessing by name, and the counts by which a split shows that it did the same.

Sources: [1] Hidasi et al., ICLR 2016 (arXiv 1511.06939), section 4.1, for rsc15; [3] Hidasi & Czapp, RecSys 2023
(arXiv 2307.14956) and the description that its authors publish beside it
(hidasi.eu/gru4rec_third_party_comparison, "Data Preprocessing"), for all others. What they leave open: docs/data.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PAPER_2023: dict[str, Any] = {
    "drop_duplicates": False,
    "drop_repeats": True,
    "min_session_length": 2,
    "min_item_support": 5,
    "filtering": "repeated",
    "max_session_length": None,
    "by": "days",
    "valid": None,
    "straddle": "truncate",
    "unseen": "drop",
    "recent": None,
}
PAPER_2016: dict[str, Any] = PAPER_2023 | {"drop_repeats": False, "filtering": "once", "straddle": "test"}

SAMPLE = 0.9  # below this share of the published events the input is taken for a sample, not for another preparation


@dataclass(frozen=True)
class Preset:
    """Values of `split:`, the format of the raw files, and the published counts."""

    format: str
    values: dict[str, Any]
    train: tuple[int, int]  # events, sessions
    test: tuple[int, int]
    items: int  # in training


PRESETS = {
    "yoochoose": Preset("yoochoose", PAPER_2023 | {"test": 1.0}, (29_107_309, 7_597_703), (71_849, 15_854), 34_858),
    "rees46": Preset("rees46", PAPER_2023 | {"test": 1.0}, (67_575_203, 10_190_006), (1_054_210, 166_841), 172_756),
    "coveo": Preset("coveo", PAPER_2023 | {"test": 1.0}, (1_411_113, 165_673), (52_501, 7_748), 10_868),
    "retailrocket": Preset("retailrocket", PAPER_2023 | {"test": 7.0}, (750_832, 196_234), (29_148, 8_036), 36_824),
    "diginetica": Preset("diginetica", PAPER_2023 | {"test": 7.0}, (833_113, 177_266), (70_164, 15_040), 40_351),
    "rsc15": Preset("yoochoose", PAPER_2016 | {"test": 1.0}, (31_637_239, 7_966_257), (71_222, 15_324), 37_483),
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


def check_fingerprint(statistics: Mapping[str, Any], format_name: str, default_reading: bool) -> dict[str, Any] | None:
    """Compare the counts of a split with those published for its preset; None without a preset.

    `default_reading` is true if event types and sessions are those of the format. The verdict is `match`, `mismatch`
    or `not applicable`; `told` gives the reason, which for a mismatch is the first step that differs, as far as counts
    can show it.
    """
    settings = statistics["settings"]
    name = settings["preset"]
    if name is None:
        return None
    preset = PRESETS[name]
    published = _counts(preset)
    actual = {
        **{f"{part} {count}": statistics["parts"][part][count] for part in ("train", "test") for count in _COUNTED},
        "items": statistics["parts"]["train"]["items"],
    }
    reason = _not_applicable(statistics, preset, format_name, default_reading)
    share = _training_and_test_events(actual) / _training_and_test_events(published)
    if not reason and share < SAMPLE:
        reason = f"a sample: {100 * share:.2g} % of the published events"
    differing = [count for count in published if published[count] != actual[count]]
    verdict = "not applicable" if reason else "mismatch" if differing else "match"
    told = reason or (_first_difference(published, actual) if differing else "all counts are as published")
    return {"name": name, "verdict": verdict, "told": told, "published": published, "found": actual}


_COUNTED = ("events", "sessions")


def _counts(preset: Preset) -> dict[str, int]:
    parts = {"train": preset.train, "test": preset.test}
    counts = {f"{p} {c}": n for p, values in parts.items() for c, n in zip(_COUNTED, values, strict=True)}
    return {**counts, "items": preset.items}


def _training_and_test_events(counts: Mapping[str, int]) -> int:
    return counts["train events"] + counts["test events"]


def _not_applicable(statistics: Mapping[str, Any], preset: Preset, format_name: str, default_reading: bool) -> str:
    """Why the settings do not give the published counts, or an empty text."""
    settings = statistics["settings"]
    other = [key for key, value in preset.values.items() if settings[key] != value]
    if other:
        return f"the preset is overridden: {', '.join(other)}"
    if settings["window"] is not None:
        return "a window of the log"
    if statistics["source"] == "given":
        return "the given files are already split"
    if format_name != preset.format:
        return f"the data is not read as format: {preset.format}"
    return "" if default_reading else "event types, sessions or bad rows are not treated as the format says"


def _first_difference(published: Mapping[str, int], found: Mapping[str, int]) -> str:
    """The step after which counts first differ: training is settled before the test part is."""
    train = [count for count in ("train events", "train sessions", "items") if published[count] != found[count]]
    differing = train or [count for count in ("test events", "test sessions") if published[count] != found[count]]
    shown = ", ".join(f"{count} {found[count]:,} in place of {published[count]:,}" for count in differing)
    if not train:
        return f"training is the same; the test part differs (unseen items, short sessions, the cut): {shown}"
    same_sum = all(
        published[f"train {c}"] + published[f"test {c}"] == found[f"train {c}"] + found[f"test {c}"] for c in _COUNTED
    )
    step = "the cut" if same_sum else "reading or cleaning"
    return f"{step} differs: {shown}"
