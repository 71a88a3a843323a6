"""The summary in words: which model is best, by how much, whether that is proven, and what to keep in mind."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gru4rec_cli.base.names import ORACLE, STATISTICS_FILE
from gru4rec_cli.evaluation.metrics import HEADLINE, TIE_RULES
from gru4rec_cli.reporting.findings.run import Estimate, Findings, metric_source
from gru4rec_cli.reporting.text.division import division_sentence
from gru4rec_cli.reporting.text.phrases import with_interval
from gru4rec_cli.reporting.text.sentences import SAME_LEVEL, best_sentence, sensitivity_sentences
from gru4rec_cli.reporting.text.words import LARGEST_RELATIVE, Sentence, Words

_FEWEST_HITS = 10  # that a recall is told by, so that a small one is not rounded away
_WORTH_TELLING = 0.01  # of Recall between the tie rules
_CAVEATS = {"drop": "caveat_unseen_dropped", "miss": "caveat_unseen_misses", "keep": "caveat_unseen_kept"}
STATISTICS_SOURCE = f"split/{STATISTICS_FILE}"


def summary_sentences(findings: Findings, words: Words) -> list[Sentence]:
    """Return the best model, best against next, distance from the bound; in careful words."""
    recall = findings.ranked
    if not recall:
        return []
    best, *others = recall
    source = metric_source(findings.key(best))
    value = with_interval(recall[best], words)
    said = [words.say("best_model", source, metric=findings.label, model=best, value=value)]
    base = next((base for base in (100, 1_000) if recall[best].value * base >= _FEWEST_HITS), 10_000)
    counts = {"hits": words.fixed(recall[best].value * base, 0), "base": words.count(base)}
    said.append(words.say("in_plain_words", source, k=findings.cutoff, model=best, **counts))
    said += [comparison(findings, best, other, words) for other in others[:1]]
    alone = best_sentence(findings, words)
    said += [alone] if alone else []
    if others:
        said.append(words.say("yardstick"))
    return said + _bound(findings, recall, best, words)


def _bound(findings: Findings, recall: Mapping[str, Estimate], best: str, words: Words) -> list[Sentence]:
    oracle, source = findings.oracle, metric_source(findings.key(ORACLE))
    if oracle is None or oracle.value <= 0:
        return []
    share = words.percent(recall[best].value / oracle.value)
    told = {"oracle": ORACLE, "value": with_interval(oracle, words), "model": best, "share": share}
    leaks = [model for model, estimate in recall.items() if estimate.low > oracle.value]
    return [
        words.say("the_bound", source, **told),
        *(words.say("leak", metric_source(findings.key(model)), model=model) for model in leaks),
    ]


def comparison(findings: Findings, first: str, second: str, words: Words) -> Sentence:
    """Return how far `first` is above `second`, and whether that is proven: by the paired test, or else only whether
    their intervals overlap."""
    better, worse = findings.ranked[first], findings.ranked[second]
    source = f"{metric_source(findings.key(first))}; {metric_source(findings.key(second))}"
    names = {"first": _with_stage(findings, first, words), "second": _with_stage(findings, second, words)}
    if better.value == worse.value:
        return words.say("equal", source, value=words.share(better.value), **names)
    relative = better.value / worse.value - 1 if worse.value > 0 else None
    told = {**names, "difference": words.share(better.value - worse.value), "value": with_interval(worse, words)}
    told["verdict"] = _verdict(findings, first, second, relative, words)
    if relative is None or relative >= LARGEST_RELATIVE:  # beside almost nothing, a ratio says little
        return words.say("comparison", source, **told)
    return words.say("comparison_relative", source, relative=words.percent(relative), **told)


def _verdict(findings: Findings, first: str, second: str, relative: float | None, words: Words) -> str:
    entry = findings.difference(first, second)
    if entry is not None and entry.get("p_holm") is not None:
        p = words.p_value(entry["p_holm"], at_most=findings.at_floor(entry))
        distinct = bool(entry.get("distinguishable"))
        level = words("and_same_level") if distinct and relative is not None and relative < SAME_LEVEL else ""
        return words("tested_distinct" if distinct else "tested_even", p=p) + level
    better, worse = findings.ranked[first], findings.ranked[second]
    if not (better.has_interval and worse.has_interval):
        return words("intervals_missing")
    overlap = better.low <= worse.high and worse.low <= better.high
    return words("intervals_overlap" if overlap else "intervals_apart")


def _with_stage(findings: Findings, model: str, words: Words) -> str:
    stage = findings.stage(model)
    return f"{model} ({words(f'stage_{stage}')})" if stage in ("train", "baseline") else model


def caveats(findings: Findings, statistics: Mapping[str, Any], words: Words) -> list[Sentence]:
    """Return what limits these results, as far as the artifacts tell."""
    said = []
    if ORACLE in findings.models or ORACLE in findings.not_applicable:
        said.append(words.say("caveat_planted", "evaluate/metrics.json › models"))
    if findings.found and findings.differences is None:
        said.append(words.say("caveat_no_pairs"))
    single = [m for m, about in findings.models.items() if _one_seed_only(findings, m, about)]
    if single:
        said.append(words.say("caveat_one_seed", "evaluate/metrics.json › models", models=words.listed(single)))
    said += _tie_caveats(findings, words)
    if not findings.document.get("sensitivity"):
        said.append(words.say("caveat_no_sensitivity"))
    said += sensitivity_sentences(findings, words)
    said += _data_caveats(statistics, words)
    return [*said, division_sentence(statistics, words)]


def _one_seed_only(findings: Findings, model: str, about: Mapping[str, Any]) -> bool:
    """Return whether another seed would give another fit, and none was tried."""
    random = about.get("random", about.get("stage") == "train")
    return bool(random) and model != ORACLE and len(findings.seeds(model)) < 2


def _tie_caveats(findings: Findings, words: Words) -> list[Sentence]:
    """Return models whose result hangs on how equal scores are counted."""
    said = []
    for model in findings.ranked:
        keys = [(model, HEADLINE, findings.cutoff, rule) for rule in (TIE_RULES[0], TIE_RULES[-1])]
        low, high = (findings.found.get(key) for key in keys)
        if low and high and high.value - low.value > _WORTH_TELLING:
            told = {"low": words.share(low.value), "high": words.share(high.value)}
            source = f"{metric_source(keys[0])}; {metric_source(keys[1])}"
            said.append(words.say("caveat_ties", source, model=model, metric=findings.label, **told))
    return said


def _data_caveats(statistics: Mapping[str, Any], words: Words) -> list[Sentence]:
    """Return how much of the data was left out before anything was measured."""
    read = [summary.get("events") for summary in (statistics.get("input") or {}).values()]
    removed = [removal.get("events") for removal in statistics.get("removals") or ()]
    said = []
    if read and removed and None not in (*read, *removed) and sum(read) > 0 and sum(removed) > 0:
        share = sum(removed) / sum(read)
        told = {"removed": words.count(sum(removed)), "read": words.count(sum(read))}
        told["share"] = words.percent(share, 1 if share >= 0.01 else 3)
        said.append(words.say("caveat_removed", f"{STATISTICS_SOURCE} › removals, input", **told))
    unseen = (statistics.get("unseen") or {}).get("test") or {}
    if unseen.get("events"):
        key = _CAVEATS[unseen.get("rule", "drop")]
        events, items = words.count(unseen["events"]), words.plain(unseen.get("items"))
        said.append(words.say(key, f"{STATISTICS_SOURCE} › unseen.test", events=events, items=items))
    return said


@dataclass(frozen=True)
class KeyFigure:
    """A number that stands alone, for who looks for a second."""

    label: str
    value: str
    about: str
    source: str


def key_figures(findings: Findings, words: Words) -> list[KeyFigure]:
    """Return the best model, the best baseline, how far the one is ahead of the other, and of the bound."""
    if not findings.ranked:
        return []
    best = next(iter(findings.ranked))
    figures = [_of_model("key_best", findings, best, words)]
    baseline = findings.best_of("baseline")
    if baseline is not None and baseline != best:
        figures.append(_of_model("key_baseline", findings, baseline, words))
        relative = (
            findings.ranked[best].value / findings.ranked[baseline].value - 1
            if findings.ranked[baseline].value
            else None
        )
        if relative is not None:
            verdict = _verdict(findings, best, baseline, relative, words)
            source = f"{metric_source(findings.key(best))}; {metric_source(findings.key(baseline))}"
            ahead = words.relative(relative) if relative >= LARGEST_RELATIVE else f"+{words.percent(relative)}"
            figures.append(KeyFigure(words("key_ahead"), ahead, verdict, source))
    if findings.oracle is not None and findings.oracle.value > 0:
        share = words.percent(findings.ranked[best].value / findings.oracle.value)
        about = words("key_bound_about", oracle=ORACLE, value=words.share(findings.oracle.value))
        figures.append(KeyFigure(words("key_bound"), share, about, metric_source(findings.key(ORACLE))))
    return figures


def _of_model(label: str, findings: Findings, model: str, words: Words) -> KeyFigure:
    about = f"{findings.label}: {with_interval(findings.ranked[model], words)}"
    return KeyFigure(words(label), model, about, metric_source(findings.key(model)))
