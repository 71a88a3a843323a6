"""Whether the best trained model is worth it: how far it is above the best baseline, and what that takes."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gru4rec_cli.evaluation.metrics import HEADLINE, METRICS
from gru4rec_cli.reporting.findings.run import Findings, source_path
from gru4rec_cli.reporting.text.sentences import SAME_LEVEL
from gru4rec_cli.reporting.text.words import Sentence, Words

_WHOLE = 10  # times; a larger ratio is told without decimals
_SHORTEST = 0.1  # seconds; a shorter time is not known well enough for a ratio


def worth_sentences(findings: Findings, words: Words) -> list[Sentence]:
    """Return an answer by the headline metric, and below it the same by every other one; none without a trained model
    and a baseline."""
    answers = [_answer(findings, metric, words) for metric in METRICS]
    said = [answer for answer in answers if answer is not None]
    return [replace(said[0], below=tuple(said[1:]))] if said else []


def _answer(findings: Findings, metric: str, words: Words) -> Sentence | None:
    """Return the answer by one metric: its best trained model against its best baseline."""
    trained, baseline = (findings.best_of(stage, metric) for stage in ("train", "baseline"))
    if trained is None or baseline is None:
        return None
    told = {
        "metric": findings.metric_label(metric, findings.cutoff),
        "trained": trained,
        "baseline": baseline,
        "first": words.share(findings.found[findings.key(trained, metric)].value),
        "second": words.share(findings.found[findings.key(baseline, metric)].value),
    }
    entry = findings.difference(trained, baseline, metric)
    if entry is None or entry.get("value") is None or entry.get("p_holm") is None:
        return words.say("worth_untested", source_path("metrics", metric=metric, k=findings.cutoff), **told)
    source = source_path("differences", **{key: entry.get(key) for key in ("first", "second", "metric", "k")})
    told["difference"] = _difference(entry, trained, words)
    told["p"] = words.p_value(entry["p_holm"], at_most=findings.at_floor(entry))
    return words.say(_verdict(entry, trained), source, **told)


def _verdict(entry: Mapping[str, Any], trained: str) -> str:
    above = entry["value"] > 0 if entry["first"] == trained else entry["value"] < 0
    if not entry.get("distinguishable"):
        return "worth_not_shown"
    if not above:
        return "worth_no"
    return "worth_little" if abs(entry.get("relative") or 1) < SAME_LEVEL else "worth_yes"


def _difference(entry: Mapping[str, Any], trained: str, words: Words) -> str:
    """Return the trained model's value minus the baseline's, with its interval where there is one."""
    sign = 1 if entry["first"] == trained else -1
    ends = sorted(math.nan if end is None else sign * end for end in (entry.get("low"), entry.get("high")))
    interval = "" if any(map(math.isnan, ends)) else f" {words.signed_interval(*ends)}"
    return words.signed(sign * entry["value"]) + interval


def cost_ratio(findings: Findings, costs: Mapping[str, Mapping[str, float]], words: Words) -> Sentence | None:
    """Return how much longer fitting the best trained model took than fitting the best baseline; None where a time is
    missing."""
    trained, baseline = (findings.best_of(stage, HEADLINE) for stage in ("train", "baseline"))
    if trained is None or baseline is None:
        return None
    long, short = (costs.get(model, {}).get("seconds") for model in (trained, baseline))
    if long is None or short is None or long < _SHORTEST:
        return None
    key = "cost_ratio" if short >= _SHORTEST else "cost_ratio_at_least"
    ratio = long / max(short, _SHORTEST)
    times = words.fixed(ratio, 0 if ratio >= _WHOLE else 1)
    value = findings.ranked[trained].value - findings.ranked[baseline].value
    told = {"trained": trained, "baseline": baseline, "metric": findings.label, "difference": words.signed(value)}
    return words.say(key, times=times, **told)
