"""Sentences on the differences between models, and on other protocols."""

from collections.abc import Mapping
from typing import Any

from gru4rec_cli.base.names import ORACLE
from gru4rec_cli.evaluation.metrics import HEADLINE
from gru4rec_cli.reporting.findings.run import Findings, source_path
from gru4rec_cli.reporting.findings.sensitivity import Protocol, row_source, sensitivity_rows
from gru4rec_cli.reporting.text.phrases import protocol_label
from gru4rec_cli.reporting.text.words import Sentence, Words

SAME_LEVEL = 0.05  # relative; "the same level" by the yardstick of GRU4Rec's author


def pair_sentences(findings: Findings, words: Words) -> list[Sentence]:
    """Return in words which models are not significantly different from the best, which other pairs are not, and which
    are at the same level."""
    entries = [entry for entry in findings.differences or () if entry.get("metric") == HEADLINE]
    entries = [entry for entry in entries if ORACLE not in (entry["first"], entry["second"])]
    if not entries or len(findings.ranked) < 2:
        return []
    source, metric = source_path("differences", metric=HEADLINE, k=findings.cutoff), findings.label
    said = [best_sentence(findings, words)]
    even = [e for e in entries if not e.get("distinguishable") and next(iter(findings.ranked)) not in _names(e)]
    if even:
        pairs = words.listed([words("pair", first=e["first"], second=e["second"]) for e in even])
        said.append(words.say("even_pairs", source, pairs=pairs, metric=metric))
    level = [e for e in entries if e.get("distinguishable") and abs(e.get("relative") or 1) < SAME_LEVEL]
    if level:
        pairs = words.listed([words("pair", first=e["first"], second=e["second"]) for e in level])
        said.append(words.say("level_pairs", source, pairs=pairs, metric=metric))
    if not even and not indistinct_from_best(findings):
        said.append(words.say("all_distinct", source, metric=metric))
    return [sentence for sentence in said if sentence is not None]


def best_sentence(findings: Findings, words: Words) -> Sentence | None:
    """Return which models are not significantly different from the best in the headline metric; None without any."""
    if findings.differences is None or len(findings.ranked) < 2:
        return None
    best, source = next(iter(findings.ranked)), source_path("differences", metric=HEADLINE, k=findings.cutoff)
    told = {"best": best, "metric": findings.label, "source": source}
    others = indistinct_from_best(findings)
    if others:
        return words.say("not_from_best", others=words.listed(others), **told)
    return words.say("best_alone", **told)


def indistinct_from_best(findings: Findings) -> list[str]:
    """Return the models that are not significantly different from the best, in order of rank."""
    best, *others = findings.ranked
    pairs = {other: findings.difference(best, other) for other in others}
    return [other for other, entry in pairs.items() if entry is not None and not entry.get("distinguishable")]


def _names(entry: Mapping[str, Any]) -> tuple[str, str]:
    return entry["first"], entry["second"]


def sensitivity_sentences(findings: Findings, words: Words) -> list[Sentence]:
    """Return the largest inflation and how many orders change, in words."""
    rows = [row for row in sensitivity_rows(findings) if row.get("factor") is not None]
    said = []
    most = max(rows, key=lambda row: row["factor"], default=None)
    if most is not None and most["factor"] > 1:
        shares = {key: words.share(most[key]) for key in ("full", "value")}
        told = {
            "model": str(most["model"]),
            "protocol": protocol_label(Protocol.of(most), words),
            "metric": findings.label,
        }
        said.append(words.say("most_inflated", row_source(most), factor=words.factor(most["factor"]), **shares, **told))
    flips = (findings.document.get("sensitivity") or {}).get("flips")
    if flips is not None:
        headline = [f for f in flips if f.get("metric") == HEADLINE and f.get("k") == findings.cutoff]
        pairs = {(f.get("first"), f.get("second")) for f in headline}
        key = "flips_some" if pairs else "flips_none"
        told = {"metric": findings.label, "pairs": words.count(len(pairs))}
        said.append(words.say(key, source_path("sensitivity.flips"), **told))
    return said
