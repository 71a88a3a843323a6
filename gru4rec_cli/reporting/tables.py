"""The tables of a study, neutral: the console and the markdown page both render them."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from gru4rec_cli.errors import StageError

METRIC_LABELS = {"recall": "Recall", "mrr": "MRR", "ndcg": "NDCG"}
TIE_RULES = {
    "conservative": "rank = greater + equal + 1: items that score the same as the target count as better",
    "median": "rank = greater + equal / 2 + 1: half of the items that score the same as the target count as better",
    "optimistic": "rank = greater + 1: items that score the same as the target count as worse",
}
NOT_APPLICABLE = "n/a"
MISSING = "missing"
_COLUMNS = ("model", "seed", "metric", "k", "ties", "slice", "value", "low", "high")

Key = tuple[str, str, int, str]  # model, metric, cutoff, tie rule


@dataclass(frozen=True)
class Table:
    """A table of text. Cells are (row, column); `best` are the cells to mark, `numeric` the columns to align right,
    `optional` those that a narrow terminal may leave out."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    best: frozenset[tuple[int, int]] = frozenset()
    numeric: frozenset[int] = frozenset()
    optional: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """A metric's value and the ends of its interval, NaN where there is none."""

    value: float
    low: float
    high: float

    @property
    def has_interval(self) -> bool:
        return not (math.isnan(self.low) or math.isnan(self.high))


def estimates(metrics: pd.DataFrame) -> dict[Key, Estimate]:
    """The whole-test-set estimates, averaged over seeds, in table order."""
    missing = [name for name in _COLUMNS if name not in metrics.columns]
    if missing:
        raise StageError(f"the metrics table lacks {', '.join(missing)}", "run `evaluate` again with --force")
    whole = metrics[(metrics["seed"].astype(str) == "all") & (metrics["slice"] == "all") & metrics["value"].notna()]
    columns = [whole[name].tolist() for name in ("model", "metric", "k", "ties")]
    numbers = [pd.to_numeric(whole[name]).astype(float).tolist() for name in ("value", "low", "high")]
    keys = [(str(model), str(metric), int(k), str(ties)) for model, metric, k, ties in zip(*columns, strict=True)]
    return {key: Estimate(*values) for key, values in zip(keys, zip(*numbers, strict=True), strict=True)}


def model_order(found: Mapping[Key, Estimate], *, ties: str, cutoff: int, oracle_name: str) -> list[str]:
    """Models by Recall at `cutoff`, highest first, equals in table order; the oracle, being the bound, on top."""

    def place(model: str) -> tuple[bool, float]:
        estimate = found.get((model, "recall", cutoff, ties))
        return model != oracle_name, -estimate.value if estimate else math.inf

    return sorted(dict.fromkeys(key[0] for key in found), key=place)


def results_table(
    metrics: pd.DataFrame,
    *,
    ties: str,
    cutoff: int,
    oracle_name: str,
    not_applicable: Mapping[str, str],
    costs: Mapping[str, Mapping[str, float]] | None = None,
    confidence: float = 0.95,
) -> Table:
    """Recall, MRR and NDCG of every model at `cutoff` with their intervals, and what fitting took if `costs` is given.

    With one blank between columns and a mark before the best, 80 characters hold names of up to 17; 98 with `costs`.
    """
    found = estimates(metrics)
    models = model_order(found, ties=ties, cutoff=cutoff, oracle_name=oracle_name)
    keys = [[(model, metric, cutoff, ties) for metric in METRIC_LABELS] for model in models]
    rows = [
        [_label(model, oracle_name), *(_interval(found.get(key)) for key in row)]
        for model, row in zip(models, keys, strict=True)
    ]
    rows += [[_label(model, oracle_name), *(NOT_APPLICABLE for _ in METRIC_LABELS)] for model in not_applicable]
    columns = ["Model", *(f"{label}@{cutoff}" for label in METRIC_LABELS.values())]
    best = _best(found, keys, oracle_name)
    notes = [_interval_note(found, confidence), _tie_note(ties), *_marked_note(best), *missing_note(rows)]
    if costs is not None:
        columns += ["Fit time", "Memory"]
        for model, cells in zip([*models, *not_applicable], rows, strict=True):
            cells += _costs(costs.get(model))
        notes.append("Fit time and memory (peak): of fitting, on the machine of this run.")
    return Table(
        f"Results at K = {cutoff}",
        tuple(columns),
        tuple(map(tuple, rows)),
        best,
        numeric=frozenset(range(1, len(columns))),
        optional=frozenset(range(1 + len(METRIC_LABELS), len(columns))),
        notes=(*notes, *_model_notes(models, oracle_name, not_applicable)),
    )


def all_cutoffs_table(
    metrics: pd.DataFrame, *, ties: str, oracle_name: str, not_applicable: Mapping[str, str]
) -> Table:
    """Every metric at every cutoff, without intervals: a block of rows a metric, a column a cutoff."""
    found = estimates(metrics)
    cutoffs = sorted({key[2] for key in found})
    models = model_order(found, ties=ties, cutoff=cutoffs[-1] if cutoffs else 0, oracle_name=oracle_name)
    rows: list[tuple[str, ...]] = []
    best: set[tuple[int, int]] = set()
    for metric, label in METRIC_LABELS.items():
        keys = [[(model, metric, k, ties) for k in cutoffs] for model in models]
        best |= {(row + len(rows), column + 1) for row, column in _best(found, keys, oracle_name)}
        rows += [
            (label, _label(row[0][0], oracle_name), *(_number(found.get(key)) for key in row)) for row in keys if row
        ]
    columns = ("Metric", "Model", *(f"K = {k}" for k in cutoffs))
    notes = [_tie_note(ties), *_marked_note(best), *missing_note(rows)]
    return Table(
        "All metrics and cutoffs",
        columns,
        tuple(rows),
        frozenset(best),
        numeric=frozenset(range(2, len(columns))),
        notes=(*notes, *_model_notes(models, oracle_name, not_applicable)),
    )


def ties_table(
    metrics: pd.DataFrame,
    *,
    cutoff: int,
    oracle_name: str,
    metric: str = "recall",
    ties: str = "conservative",
) -> Table:
    """One metric under the three tie rules, models in the order of `ties`: shows who profits from equal scores."""
    found = estimates(metrics)
    models = model_order(found, ties=ties, cutoff=cutoff, oracle_name=oracle_name)
    keys = [[(model, metric, cutoff, rule) for rule in TIE_RULES] for model in models]
    rows = []
    for model, row in zip(models, keys, strict=True):
        values = [found.get(key) for key in row]
        lowest, highest = values[0], values[-1]
        gap = f"{highest.value - lowest.value:+.4f}".replace("0.", ".", 1) if lowest and highest else MISSING
        rows.append((_label(model, oracle_name), *map(_number, values), gap))
    best = _best(found, keys, oracle_name)
    notes = [
        *(f"{rule.capitalize()}: {meaning}." for rule, meaning in TIE_RULES.items()),
        "Gap: optimistic minus conservative. 0 where no other item scores the same as a target.",
        *_marked_note(best),
        *missing_note(rows),
    ]
    return Table(
        f"{METRIC_LABELS[metric]}@{cutoff} by tie rule",
        ("Model", *(rule.capitalize() for rule in TIE_RULES), "Gap"),
        tuple(rows),
        best,
        numeric=frozenset(range(1, 5)),
        notes=tuple(notes),
    )


def markdown(table: Table) -> str:
    """The table as GitHub-flavoured markdown: title, rows with the marked cells in bold, notes as a list."""
    lines = [f"**{escape_markdown(table.title)}**", ""]
    if table.rows:
        lines.append(_markdown_row([escape_markdown(name) for name in table.columns]))
        lines.append(_markdown_row(["---:" if i in table.numeric else "---" for i in range(len(table.columns))]))
    else:
        lines.append("not available: there are no rows.")
    for row, cells in enumerate(table.rows):
        texts = [escape_markdown(cell) for cell in cells]
        lines.append(_markdown_row([f"**{t}**" if (row, i) in table.best else t for i, t in enumerate(texts)]))
    if table.notes:
        lines += ["", *(f"- {escape_markdown(note)}" for note in table.notes)]
    return "\n".join(lines) + "\n"


def escape_markdown(value: object) -> str:
    """`value` as one line of text that markdown shows as it is: no markup, no HTML, no link, no table cell."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    text = re.sub(r"[\\`*|~$]", r"\\\g<0>", text)
    text = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)
    text = text.replace("](", "]\\(").replace("][", "]\\[")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def decimal(value: float) -> str:
    """A share in five characters: `.4321`, `1.000`."""
    text = f"{value:.4f}"
    return text[1:] if text.startswith("0.") else text[:5]


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _label(model: str, oracle_name: str) -> str:
    return f"{model} (bound)" if model == oracle_name else model


def _number(estimate: Estimate | None) -> str:
    return decimal(estimate.value) if estimate else MISSING


def _interval(estimate: Estimate | None) -> str:
    if estimate is None or not estimate.has_interval:
        return _number(estimate)
    # No blank inside the brackets: where a terminal is too narrow, the line breaks before them.
    return f"{decimal(estimate.value)} [{decimal(estimate.low)}–{decimal(estimate.high)}]"


def _costs(cost: Mapping[str, float] | None) -> tuple[str, str]:
    if not cost:
        return "–", "–"
    seconds, peak = cost.get("seconds"), cost.get("peak_memory_bytes")
    return ("–" if seconds is None else _duration(seconds), "–" if peak is None else _memory(peak))


def _duration(seconds: float) -> str:
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _memory(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _best(found: Mapping[Key, Estimate], keys: Sequence[Sequence[Key]], oracle_name: str) -> frozenset[tuple[int, int]]:
    """Cells (row, column + 1) whose value, as shown, is the highest of the column among the real models."""
    best: set[tuple[int, int]] = set()
    for column, cells in enumerate(zip(*keys, strict=True)):
        shown = {row: _number(found[key]) for row, key in enumerate(cells) if key in found and key[0] != oracle_name}
        if len(shown) > 1:
            best |= {(row, column + 1) for row, text in shown.items() if float(text) == max(map(float, shown.values()))}
    return frozenset(best)


def _tie_note(ties: str) -> str:
    return f"Ties: {ties}, {TIE_RULES[ties]}." if ties in TIE_RULES else f"Ties: {ties}."


def _marked_note(best: object) -> list[str]:
    return ["Marked (bold): the highest of the models, as shown; the oracle does not take part."] if best else []


def missing_note(rows: Sequence[Sequence[str]]) -> list[str]:
    gaps = any(MISSING in row[1:] for row in rows)
    return [f"{MISSING}: not available in the artifacts of this run."] if gaps else []


def _interval_note(found: Mapping[Key, Estimate], confidence: float) -> str:
    if any(estimate.has_interval for estimate in found.values()):
        return f"Brackets: {confidence * 100:g} % interval, bootstrap over sessions."
    return "Intervals: not available: the metrics hold none."


def _model_notes(models: Sequence[str], oracle_name: str, not_applicable: Mapping[str, str]) -> list[str]:
    notes = []
    if oracle_name in models:
        notes.append(f"{oracle_name}: the Bayes-optimal ranking of the planted process, a bound and not a model.")
    return notes + [f"{model}: not applicable: {reason}" for model, reason in not_applicable.items()]
