"""Estimates and differences as dots with intervals."""

import math

from gru4rec_cli.base.names import ORACLE
from gru4rec_cli.reporting.blocks import Panel, Whisker
from gru4rec_cli.reporting.estimates import METRIC_LABELS, metric_source, source_path
from gru4rec_cli.reporting.findings import HEADLINE, Findings
from gru4rec_cli.reporting.tables import model_label, with_interval
from gru4rec_cli.reporting.words import Words


def interval_panels(findings: Findings, words: Words) -> tuple[Panel, ...]:
    """A panel a metric: every model's estimate with its interval over events, and the values of single seeds."""
    panels = [interval_panel(findings, metric, words) for metric in METRIC_LABELS]
    return tuple(panel for panel in panels if panel.rows)


def interval_panel(findings: Findings, metric: str, words: Words) -> Panel:
    rows = []
    for model in findings.order:
        key = findings.key(model, metric)
        estimate = findings.found.get(key)
        if estimate is None:
            continue
        single = tuple(findings.by_seed(model, metric).values()) if model in findings.several_seeds else ()
        rows.append(
            Whisker(
                model_label(model, words),
                estimate.value,
                estimate.low,
                estimate.high,
                with_interval(estimate, words),
                metric_source(key),
                single,
                bound=model == ORACLE,
            )
        )
    return Panel(findings.metric_label(metric, findings.cutoff), tuple(rows))


def difference_panel(findings: Findings, words: Words) -> Panel | None:
    """How far every other model is below the best in the headline metric; None where the run did not compare."""
    if not findings.ranked:
        return None
    best, *others = findings.ranked
    rows = []
    for other in others:
        entry = findings.difference(best, other)
        if entry is None or entry.get("value") is None:
            continue
        sign = 1 if entry["first"] == best else -1
        value = sign * entry["value"]
        ends = sorted(math.nan if end is None else sign * end for end in (entry.get("low"), entry.get("high")))
        interval = "" if any(map(math.isnan, ends)) else f" {words.signed_interval(*ends)}"
        source = source_path("differences", **{k: entry.get(k) for k in ("first", "second", "metric", "k")})
        even = not entry.get("distinguishable")
        rows.append(Whisker(other, value, ends[0], ends[1], words.signed(value) + interval, source, even=even))
    title = words("best_minus_others", best=best, metric=findings.metric_label(HEADLINE, findings.cutoff))
    return Panel(title, tuple(rows), signed=True) if rows else None
