"""Estimates and differences as dots with intervals on one scale, for a page or a figure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from gru4rec_cli.base.names import ORACLE
from gru4rec_cli.evaluation.metrics import HEADLINE, METRICS
from gru4rec_cli.reporting.findings.run import Findings, contenders, is_near, metric_source, source_path
from gru4rec_cli.reporting.text.phrases import model_label, with_interval
from gru4rec_cli.reporting.text.words import Words

_MARGIN = 0.04  # of the scale, on either side of what is shown
_TICKS = 5
_WIDTH = 280  # pixels of the scale on a phone; it is wider elsewhere
_EDGE = 0.75  # pixels: the width of a dot's edge, half of which is outside
_DOT = (1.25, 3.0)  # pixels: the smallest and the largest radius of a dot


@dataclass(frozen=True)
class Whisker:
    """A dot with an interval: an estimate as a figure shows it. `single` are values of single seeds."""

    label: str
    value: float
    low: float
    high: float
    text: str
    source: str
    single: tuple[float, ...] = ()
    bound: bool = False
    even: bool = False


@dataclass(frozen=True)
class Panel:
    """Dots and intervals on one scale."""

    title: str
    rows: tuple[Whisker, ...]
    signed: bool = False  # differences: the scale holds zero, and shows it

    def scale(self) -> tuple[float, float]:
        """Return where the scale begins and ends."""
        values = [v for row in self.rows for v in (row.value, row.low, row.high, *row.single) if not math.isnan(v)]
        low, high = min([*values, *([0.0] if self.signed else [])]), max([*values, *([0.0] if self.signed else [])])
        margin = (high - low or abs(high) or 1.0) * _MARGIN
        return low - margin, high + margin

    def ticks(self) -> list[float]:
        """Return round values within the scale."""
        low, high = self.scale()
        return [float(t) for t in MaxNLocator(_TICKS, steps=[1, 2, 5, 10]).tick_values(low, high) if low <= t <= high]

    def radius(self) -> float:
        """Return the radius of a dot in pixels: no dot is wider than an interval, if it can still be seen."""
        low, high = self.scale()
        widths = [row.high - row.low for row in self.rows if row.high > row.low]
        narrowest = min(widths, default=math.inf) / (high - low) * _WIDTH
        return float(np.clip((narrowest - _EDGE) / 2, *_DOT))

    def place(self, value: float) -> float:
        """Return where a value stands between the ends of the scale, in percent."""
        low, high = self.scale()
        return float(np.clip((value - low) / (high - low) * 100, 0, 100))


def interval_panels(findings: Findings, words: Words) -> tuple[Panel, ...]:
    """Return a panel a metric: the estimates of the bound and the contenders with their intervals over events, and the
    values of single seeds."""
    panels = [interval_panel(findings, metric, words) for metric in METRICS]
    return tuple(panel for panel in panels if panel.rows)


def interval_panel(findings: Findings, metric: str, words: Words) -> Panel:
    """Return the panel of one metric."""
    rows = []
    for model in shown_models(findings):
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


def shown_models(findings: Findings) -> list[str]:
    """Return the models that a figure of intervals shows, in order, and the bound where it is near. One far from the
    others would stretch the scale until no interval could be seen."""
    bound = findings.oracle is not None and is_near(findings.oracle.value, findings.headlines)
    return [model for model in findings.order if model in findings.contenders or (model == ORACLE and bound)]


def left_out(findings: Findings, words: Words) -> str:
    """Return what a figure of intervals leaves out, in words; an empty text where it shows all."""
    return what_is_far(findings.headlines, findings.oracle.value if findings.oracle else None, words)


def what_is_far(ranked: Mapping[str, float], bound: float | None, words: Words) -> str:
    """Return the models far below the best, given by their headlines with the best first, and a bound far above, in
    words."""
    near = contenders(ranked)
    far = [f"{model} {words.share(value)}" for model, value in ranked.items() if model not in near]
    said = [words("left_out", models=words.enumerated(far))] if far else []
    if bound is not None and not is_near(bound, ranked):
        said.append(words("left_out_bound", oracle=ORACLE, value=words.share(bound)))
    return " ".join(said)


def difference_panel(findings: Findings, words: Words) -> Panel | None:
    """Return how far every other contender is below the best in the headline metric; None where the run did not
    compare."""
    if not findings.ranked:
        return None
    best, *others = findings.contenders
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
