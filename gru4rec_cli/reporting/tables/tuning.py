"""What a search for settings did with its budget, and what the chosen settings are worth on the test part."""

from collections.abc import Mapping, Sequence
from typing import Any

from gru4rec_cli.base.names import COSTS
from gru4rec_cli.evaluation.metrics import METRICS
from gru4rec_cli.reporting.findings.run import Findings, source_path
from gru4rec_cli.reporting.findings.search import TUNE_SOURCE, Search
from gru4rec_cli.reporting.tables import Cell, Table
from gru4rec_cli.reporting.tables.cells import NO_COST, duration, missing_note, number_cell
from gru4rec_cli.reporting.tables.pairs import difference_notes, difference_row, turned
from gru4rec_cli.reporting.text.words import Words

_STATES = ("complete", "pruned", "failed")


def search_table(search: Search, words: Words) -> Table:
    """Return a row for every tuned model: its trials and epochs, its own settings and the best trial on validation, the
    trial by the one-standard-error rule, and the settings that the choice changed."""
    rows = tuple(_search_row(search, name, words) for name in search.models)
    columns = ("model", "trials", *_STATES, "epochs_column", "own_settings", "best_value", "best_trial", "se_trial")
    chosen = "search_chosen_best" if search.document["choose"] == "best" else "search_chosen_se"
    return Table(
        words("search_title", metric=search.label),
        tuple(words(column) for column in (*columns, "changed_settings")),
        rows,
        numeric=frozenset(range(1, 10)),
        notes=(words("search_error_note"), words("search_se_note"), words(chosen), *missing_note(rows, words)),
        source=TUNE_SOURCE,
    )


def _search_row(search: Search, name: str, words: Words) -> tuple[str, ...]:
    model, source = search.models[name], f"{TUNE_SOURCE} › models.{name}"

    def count(value: int | None, key: str) -> str:
        return NO_COST if value is None else Cell(words.count(value), value=value, source=f"{source}.{key}")

    own, best = model["default"], model["best"]["best"]
    return (
        name,
        count(model["trials"], "trials"),
        *(count(model["states"][state], f"states.{state}") for state in _STATES),
        count(model["epochs"], "epochs"),
        _value(own["value"], own["standard_error"], f"{source}.default", words),
        _value(search.value(name, best), None, f"{source}.best_so_far", words),
        count(best, "best.best"),
        count(model["best"]["one-standard-error"], "best.one-standard-error"),
        _changed(model, words),
    )


def _value(value: float | None, error: float | None, source: str, words: Words) -> str:
    """Return the cell of a value on validation, with its standard error where there is one."""
    if value is None:
        return words("missing")
    spread = "" if error is None else f"\u00a0±\u00a0{words.share(error)}"
    return Cell(words.share(value) + spread, value=value, source=source)


def _changed(model: Mapping[str, Any], words: Words) -> str:
    """Return the settings that differ from the model's own, with both values."""
    own, changed = model["default"]["settings"], model["chosen"]["changed"]
    told = [f"{key} {words.plain(own[key])} → {words.plain(value)}" for key, value in changed.items()]
    return "; ".join(told) or words("nothing_changed")


def own_or_tuned_table(search: Search, findings: Findings, words: Words) -> Table:
    """Return every tuned model on the test part, with its own settings and with the chosen ones: the metrics at the
    largest cutoff and their paired difference; no rows where the own settings were not evaluated."""
    pairs = [(name, findings.default_rows[name]) for name in search.models if name in findings.default_rows]
    tested = [(name, own, metric, findings.difference(name, own, metric)) for name, own in pairs for metric in METRICS]
    rows = tuple(
        (
            name,
            findings.metric_label(metric, findings.cutoff),
            *(
                number_cell(findings.found.get(key), key, words)
                for key in (findings.key(m, metric) for m in (own, name))
            ),
            *_difference_cells(findings, entry, name, words),
            _verdict(search, findings, entry, name, words),
        )
        for name, own, metric, entry in tested
    )
    columns = ("model", "metric", "own_settings", "tuned_settings", "tuned_minus_own", "interval", "p_holm", "verdict")
    entries = [entry for *_, entry in tested if entry is not None]
    return Table(
        words("own_or_tuned_title", k=findings.cutoff),
        tuple(words(column) for column in columns),
        rows,
        numeric=frozenset({2, 3, 4, 5, 6}),
        notes=(*difference_notes(findings, entries, words, about="tuned_note"), *missing_note(rows, words)),
        source=source_path("differences"),
    )


def _difference_cells(
    findings: Findings, entry: Mapping[str, Any] | None, tuned: str, words: Words
) -> tuple[str, str, str]:
    """Return difference, interval and p of a pair, the tuned model first."""
    if entry is None:
        return (words("missing"),) * 3
    cells = difference_row(findings, turned(entry, tuned), words)
    return cells[3], cells[5], cells[6]


def _verdict(search: Search, findings: Findings, entry: Mapping[str, Any] | None, tuned: str, words: Words) -> str:
    if not search.models[tuned]["chosen"]["changed"]:
        return words("own_were_chosen")
    return words("missing") if entry is None else difference_row(findings, turned(entry, tuned), words)[7]


def search_time_table(search: Search, seconds: Mapping[str, Sequence[float]], words: Words) -> Table:
    """Return how long the trials of every tuned model took; `seconds` of each trial by model."""
    rows = tuple(
        (
            name,
            Cell(words.count(len(seconds[name])), value=len(seconds[name])),
            *(
                Cell(duration(time, words), value=time)
                for time in (sum(seconds[name]), sum(seconds[name]) / len(seconds[name]))
            ),
        )
        for name in search.models
    )
    return Table(
        words("search_time_title"),
        tuple(words(column) for column in ("model", "trials", "search_time", "per_trial")),
        rows,
        numeric=frozenset({1, 2, 3}),
        notes=(words("search_time_note"),),
        source=f"tune/{COSTS}/MODEL/TRIAL.json",
    )
