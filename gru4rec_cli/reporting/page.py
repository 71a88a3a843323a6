"""The report as markdown: the same bytes for the same artifacts, so no timings and no dates of the run itself."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from gru4rec_cli.columns import ORACLE
from gru4rec_cli.reporting.data_tables import data_table, removals_table
from gru4rec_cli.reporting.figures import Figure
from gru4rec_cli.reporting.tables import (
    METRIC_LABELS,
    TIE_RULES,
    Estimate,
    Key,
    Table,
    all_cutoffs_table,
    decimal,
    estimates,
    markdown,
    model_order,
    results_table,
    ties_table,
)
from gru4rec_cli.reporting.tables import escape_markdown as escape

_TOLD = {"task", "candidates", "items", "events", "sessions", "ties", "cutoffs", "unit"}
_TOLD |= {"confidence", "interval", "resamples"}
_MEASURED = {"seconds", "second", "minutes", "time", "duration", "elapsed", "speed", "throughput", "memory", "bytes"}


def report_markdown(
    *,
    name: str,
    metrics_json: Mapping[str, Any],
    statistics: Mapping[str, Any],
    fits: Mapping[str, Mapping[str, Any]],
    figures: Sequence[Figure],
    provenance: Mapping[str, Any],
    figure_folder: str = "figures",
) -> str:
    """The whole report. `figures` lie in `figure_folder`, relative to the report.

    `provenance` holds `run`, `inputs` (stage: {artifact: hash}) and `versions` (package: version);
    what is missing there or in the other artifacts becomes a gap that is named.
    """
    protocol = metrics_json.get("protocol", {})
    models = metrics_json.get("models", {})
    drawn = {figure.stem: figure for figure in figures}
    sections = [
        f"# {escape(name)}\n",
        *_results(metrics_json, protocol, models),
        "## Figures\n",
        *(_figure(stem, drawn.get(stem), figure_folder) for stem in ("recall_by_k", "mrr_by_k")),
        "## Training\n",
        *_training(fits, drawn.get("training_curve"), figure_folder),
        "## Data\n",
        markdown(data_table(statistics)),
        _settings(statistics.get("settings")),
        "### What was removed\n",
        markdown(removals_table(statistics)),
        *(_figure(stem, drawn.get(stem), figure_folder) for stem in ("session_lengths", "item_popularity")),
        "## Protocol\n",
        _protocol(protocol),
        "## Models\n",
        _models(models, metrics_json.get("not_applicable", {})),
        "## Provenance\n",
        _provenance(provenance),
    ]
    return "\n".join(sections)


def _results(metrics_json: Mapping[str, Any], protocol: Mapping[str, Any], models: Mapping[str, Any]) -> list[str]:
    """The sections that follow from the metrics."""
    metrics = pd.DataFrame(metrics_json.get("metrics", []))
    found = estimates(metrics) if len(metrics) else {}
    if not found:
        return ["## Results\n", _gap("metrics")]
    ties, cutoff = str(protocol.get("ties", "conservative")), max(protocol.get("cutoffs") or [key[2] for key in found])
    shared: dict[str, Any] = {
        "ties": ties,
        "oracle_name": ORACLE,
        "not_applicable": metrics_json.get("not_applicable", {}),
    }
    confidence = protocol.get("confidence", 0.95)
    results = results_table(metrics, cutoff=cutoff, confidence=confidence, **shared)
    return [
        "## Summary\n",
        _summary(found, ties, cutoff, models),
        "## Results\n",
        markdown(results),
        markdown(all_cutoffs_table(metrics, **shared)),
        "## Ties\n",
        markdown(ties_table(metrics, ties=ties, cutoff=cutoff, oracle_name=ORACLE)),
    ]


def _summary(found: Mapping[Key, Estimate], ties: str, cutoff: int, models: Mapping[str, Any]) -> str:
    """Best against next, best trained against best baseline, distance from the bound; in careful words."""
    recall = {
        model: found[model, "recall", cutoff, ties]
        for model in model_order(found, ties=ties, cutoff=cutoff, oracle_name=ORACLE)
        if (model, "recall", cutoff, ties) in found
    }
    oracle = recall.pop(ORACLE, None)
    label = f"Recall@{cutoff}"
    if not recall:
        return _gap(f"{label} of a model")
    best, *others = recall
    lines = [f"- The best model by {label} is **{escape(best)}**: {_with_interval(recall[best])}."]
    compared = [(best, other) for other in others[:1]]
    stages = {stage: [m for m in recall if models.get(m, {}).get("stage") == stage] for stage in ("train", "baseline")}
    if all(stages.values()):
        first, second = sorted((stages["train"][0], stages["baseline"][0]), key=list(recall).index)
        compared += [pair for pair in [(first, second)] if pair not in compared]
    lines += [f"- {_comparison(first, second, recall, models)}" for first, second in compared]
    if compared:
        lines.append("- The author of GRU4Rec calls relative differences below 5 % the same level.")
    if oracle is not None and oracle.value > 0:
        share = recall[best].value / oracle.value * 100
        lines.append(f"- The bound ({ORACLE}) is {_with_interval(oracle)}; {escape(best)} reaches {share:.1f} % of it.")
        lines += [
            f"- **{escape(model)} lies above the bound with its whole interval: look for a leak.**"
            for model, estimate in recall.items()
            if estimate.low > oracle.value
        ]
    return "\n".join(lines) + "\n"


def _comparison(first: str, second: str, recall: Mapping[str, Estimate], models: Mapping[str, Any]) -> str:
    """How far `first` is above `second`; of intervals it only says whether they overlap."""
    better, worse = recall[first], recall[second]
    names = [_with_stage(model, models) for model in (first, second)]
    if better.value == worse.value:
        return f"{names[0]} and {names[1]} are equal: {decimal(better.value)}."
    ahead = f" ({(better.value / worse.value - 1) * 100:.1f} % relative)" if worse.value > 0 else ""
    text = f"{names[0]} is {decimal(better.value - worse.value)}{ahead} above {names[1]}, {_with_interval(worse)}"
    if not (better.has_interval and worse.has_interval):
        return f"{text}; intervals: not available."
    overlap = "overlap" if better.low <= worse.high and worse.low <= better.high else "do not overlap"
    return f"{text}; their intervals {overlap}."


def _with_stage(model: str, models: Mapping[str, Any]) -> str:
    stage = {"train": " (trained)", "baseline": " (baseline)"}.get(models.get(model, {}).get("stage"), "")
    return escape(model) + stage


def _with_interval(estimate: Estimate) -> str:
    interval = f" [{decimal(estimate.low)}–{decimal(estimate.high)}]" if estimate.has_interval else ""
    return decimal(estimate.value) + interval


def _figure(stem: str, figure: Figure | None, folder: str) -> str:
    if figure is None:
        return _gap(f"the figure {stem}, which was not drawn")
    alt = escape(figure.alt.replace("[", "(").replace("]", ")"))  # a bracket would end it
    picture = f"{folder}/{figure.stem}"
    return f"![{alt}]({picture}.png)\n\n*{escape(figure.caption)}* ([SVG]({picture}.svg))\n"


def _training(fits: Mapping[str, Mapping[str, Any]], figure: Figure | None, folder: str) -> list[str]:
    """The curves, then first and last loss of every model, and what else fitting found out."""
    rows = []
    for model, fit in fits.items():
        losses = [row["loss"] for row in fit.get("curve", []) if "loss" in row]
        ends = (f"{losses[0]:.4f}", f"{losses[-1]:.4f}") if losses else ("–", "–")
        facts = "; ".join(f"{key}: {_plain(value)}" for key, value in _lasting(fit.get("facts", {})).items())
        if losses or facts:
            rows.append((model, str(len(losses)) if losses else "–", *ends, facts or "–"))
    if any(fit.get("curve") for fit in fits.values()):
        curves = _figure("training_curve", figure, folder)
    else:
        curves = _gap("training curves, no model of this run is trained in epochs")
    columns = ("Model", "Epochs", "First loss", "Last loss", "Facts")
    fitting = Table("Fitting", columns, tuple(rows), numeric=frozenset({1, 2, 3}))
    return [curves, markdown(fitting)] if rows else [curves]


def _lasting(value: Any) -> Any:
    """`value` without what differs from run to run: timings, speeds, memory."""
    if isinstance(value, list):
        return [_lasting(entry) for entry in value]
    if not isinstance(value, Mapping):
        return value
    return {key: _lasting(v) for key, v in value.items() if not _MEASURED & set(str(key).lower().split("_"))}


def _protocol(protocol: Mapping[str, Any]) -> str:
    def told(key: str) -> str:
        value = protocol.get(key)
        return f"(not available: {key})" if value is None else escape(_plain(value))

    ties, confidence = str(protocol.get("ties")), protocol.get("confidence")
    labels = ", ".join(f"{label}@K" for label in METRIC_LABELS.values())
    level = told("confidence") if confidence is None else f"{confidence * 100:g} %"
    lines = [
        f"- Task: {told('task')}.",
        f"- Full ranking: every model scores {told('candidates')}, {told('items')} of them, for each of "
        f"{told('events')} events in {told('sessions')} test sessions; no sampled negatives.",
        f"- Ties: {told('ties')}" + (f"; {TIE_RULES[ties]}." if ties in TIE_RULES else "."),
        f"- Metrics: {labels} for K = {told('cutoffs')}, means over {told('unit')}.",
        f"- Intervals: {level}, {told('interval')}, {told('resamples')} resamples."
        if protocol.get("resamples") != 0
        else "- Intervals: none, no bootstrap resamples were drawn.",
    ]
    lines += [
        f"- {escape(key)}: {escape(_plain(value))}" for key, value in sorted(protocol.items()) if key not in _TOLD
    ]
    return "\n".join(lines) + "\n"


def _settings(settings: Mapping[str, Any] | None) -> str:
    """How the data was cleaned and divided."""
    if settings is None:
        return _gap("settings of the split")
    return "Split: " + escape("; ".join(f"{key} = {_plain(value)}" for key, value in settings.items())) + ".\n"


def _models(models: Mapping[str, Any], not_applicable: Mapping[str, str]) -> str:
    lines = []
    for model, about in models.items():
        kind, stage = about.get("kind", "not available"), about.get("stage", "not available")
        description = about.get("description") or "not available: description"
        lines.append(f"- **{escape(model)}** (kind {escape(kind)}, stage {escape(stage)}): {escape(description)}")
        settings = about.get("settings")
        if settings is None:
            lines.append("  - not available: settings")
        elif settings:
            lines.append("  - Settings: " + escape("; ".join(f"{k} = {_plain(v)}" for k, v in settings.items())))
    lines += [f"- **{escape(m)}**: not applicable: {escape(reason)}" for m, reason in not_applicable.items()]
    return "\n".join(lines) + "\n" if lines else _gap("models")


def _provenance(provenance: Mapping[str, Any]) -> str:
    def told(key: str) -> str:
        return escape(provenance[key]) if provenance.get(key) else f"not available: {key}"

    lines = [f"- Run: {told('run')}"]
    versions = provenance.get("versions")
    lines.append(
        "- Versions: "
        + (", ".join(f"{escape(k)} {escape(v)}" for k, v in versions.items()) if versions else told("versions"))
    )
    inputs = provenance.get("inputs")
    if not inputs:
        return "\n".join([*lines, f"- Inputs: {told('inputs')}"]) + "\n"
    rows = tuple((s, str(file), str(digest)) for s, files in inputs.items() for file, digest in files.items())
    return "\n".join(lines) + "\n\n" + markdown(Table("Inputs of each stage", ("Stage", "Input", "SHA-256"), rows))


def _plain(value: Any) -> str:
    """A JSON value as text: long numbers with separators, lists without brackets."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value)) or "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _gap(what: str) -> str:
    return f"not available: {escape(what)}\n"
