"""The division into training and test in words: whether time divides them, what training knows, what was changed."""

from collections.abc import Mapping
from typing import Any

from gru4rec_cli.base.names import STATISTICS_FILE
from gru4rec_cli.data.leaks import copied, kind_of_overlap
from gru4rec_cli.reporting.findings.run import METRICS_SOURCE
from gru4rec_cli.reporting.text.words import Sentence, Words

_SOURCE = f"split/{STATISTICS_FILE}"
_GIVEN_STEPS = ("cleaning", "valid", "test")  # steps that change files that were given split


def leak_sentences(statistics: Mapping[str, Any], words: Words) -> list[Sentence]:
    """Return what training knows of the test, and what that means for the numbers; nothing where it knows nothing."""
    leaks = statistics.get("leaks")
    if not leaks:
        return _late_in_log(statistics, words)
    source, kind, said = f"{_SOURCE} › leaks", kind_of_overlap(leaks), []
    if kind in ("late", "mixed", "exchanged"):
        told = {"first": leaks["first_test_event"], "pairs": words.percent(leaks["later"], 0)}
        told |= {"events": words.count(leaks["late_events"]), "sessions": words.count(leaks["late_sessions"])}
        told["share"] = words.percent(leaks["late_events"] / leaks["train_events"])
        said.append(words.say(f"leak_{kind}", source, **told))
    copies = copied(leaks)
    if copies is not None:
        counts = {key: words.count(copies[key]) for key in ("sessions", "of")}
        told = {**counts, "expected": words.count(round(copies["expected"])), "by": words.phrase(copies["by"])}
        test, train = copies["example"]
        said.append(words.say("leak_copies", f"{source}.copies", test=test, train=train, **told))
    return said


def _late_in_log(statistics: Mapping[str, Any], words: Words) -> list[Sentence]:
    """Training events from the time of the test where the log was divided here: `split.straddle` allows them."""
    late = (statistics.get("overlap") or {}).get("train_events_at_or_after_first_test_event")
    return [words.say("leak_straddle", f"{_SOURCE} › overlap", events=words.count(late))] if late else []


def division_sentence(statistics: Mapping[str, Any], words: Words) -> Sentence:
    """Return what the division rests on, and that there is only one."""
    leaks = statistics.get("leaks")
    if leaks:
        kind = kind_of_overlap(leaks)
        key = {"none": "division_given_later", "unknown": "division_given_untimed"}.get(kind, "division_given")
        return words.say(key, f"{_SOURCE} › leaks")
    return words.say("caveat_one_period" if statistics.get("source") == "log" else "division_one")


def changed_sentences(statistics: Mapping[str, Any], words: Words) -> list[Sentence]:
    """Return what was removed from files that were given split; nothing where the log was divided here."""
    if statistics.get("source") != "given":
        return []
    removals = [r for r in statistics.get("removals") or () if r["step"] in _GIVEN_STEPS and r["events"]]
    if not removals:
        return [words.say("given_unchanged", f"{_SOURCE} › removals")]
    told = {
        step: words.enumerated(
            [f"{words.count(r['events'])} ({words.phrase(r['reason'])})" for r in removals if r["step"] == step]
        )
        or words("none")
        for step in _GIVEN_STEPS
    }
    said = [words.say("given_changed", f"{_SOURCE} › removals", train=told["cleaning"], test=told["test"])]
    if any(removal["step"] == "valid" for removal in removals):
        said.append(words.say("given_changed_valid", f"{_SOURCE} › removals", valid=told["valid"]))
    return said


def division_notes(division: Mapping[str, Any], words: Words) -> list[str]:
    """Return notes for a table: leaks, what was removed from files that were given split, and what is not ranked."""
    said = [*leak_sentences(division, words), *changed_sentences(division, words)]
    left_out = division.get("left_out") or {}
    if any(left_out.values()):
        told = {key: words.count(left_out[key]) for key in ("unseen_events", "sessions")}
        said.append(words.say("not_ranked", f"{METRICS_SOURCE} › division.left_out", **told))
    return [sentence.plain() for sentence in said]
