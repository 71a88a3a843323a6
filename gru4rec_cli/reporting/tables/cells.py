"""Cells and notes that several tables share."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gru4rec_cli.base.names import ORACLE, PREDICTIONS
from gru4rec_cli.evaluation.metrics import TIE_RULES
from gru4rec_cli.reporting.findings.run import Estimate, Findings, Key, metric_source
from gru4rec_cli.reporting.tables import Cell
from gru4rec_cli.reporting.text.phrases import tie_name, with_interval
from gru4rec_cli.reporting.text.words import ENGLISH, Words

NO_COST = "–"
FEWEST_EVENTS = 100  # that a value is marked as the best by: one of few events is chance
_MANY_MODELS = 3  # from so many on, all of them are counted and not named
_SHORTEST = 0.05  # seconds; below it a time would be shown as none


def number_cell(estimate: Estimate | None, key: Key, words: Words, slice_name: str = "all") -> str:
    """Return the cell of an estimate, without its interval."""
    if estimate is None:
        return words("missing")
    source = metric_source(key, slice_name=slice_name)
    return Cell(words.share(estimate.value), value=estimate.value, source=source)


def interval_cell(estimate: Estimate | None, key: Key, words: Words, slice_name: str = "all") -> str:
    """Return the cell of an estimate with its interval, where it has one."""
    if estimate is None or not estimate.has_interval:
        return number_cell(estimate, key, words, slice_name)
    source = metric_source(key, slice_name=slice_name)
    return Cell(with_interval(estimate, words), value=estimate.value, source=source)


def cost_cells(cost: Mapping[str, float] | None, words: Words) -> tuple[str, str]:
    """Return time and memory, in units that a person reads."""
    seconds, peak = (cost or {}).get("seconds"), (cost or {}).get("peak_memory_bytes")
    return (
        NO_COST if seconds is None else Cell(duration(seconds, words), value=seconds),
        NO_COST if peak is None else Cell(_memory(peak, words), value=peak),
    )


def duration(seconds: float, words: Words) -> str:
    """Return a time in seconds, minutes or hours."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{words.fixed(seconds / size, 1)} {unit}"
    return f"{words.fixed(seconds, 1)} s" if seconds >= _SHORTEST else f"< {words.fixed(0.1, 1)} s"


def _memory(count: float, words: Words) -> str:
    return f"{words.fixed(count / 2**30, 1)} GiB" if count >= 2**30 else f"{words.fixed(count / 2**20, 0)} MiB"


def best_cells(
    found: Mapping[Key, Estimate], keys: Sequence[Sequence[Key]], words: Words
) -> frozenset[tuple[int, int]]:
    """Return cells (row, column + 1) whose value, as shown, is the highest of the column among the real models; none in
    a column of few events."""
    best: set[tuple[int, int]] = set()
    for column, cells in enumerate(zip(*keys, strict=True)):
        shown = {
            row: words.share(found[key].value)
            for row, key in enumerate(cells)
            if key in found and key[0] != ORACLE and not has_few_events(found[key])
        }
        if len(shown) > 1:
            best |= {(row, column + 1) for row, text in shown.items() if text == max(shown.values())}
    return frozenset(best)


def has_few_events(estimate: Estimate) -> bool:
    """Return whether a value is the mean of too few events to be marked."""
    return estimate.events is not None and estimate.events < FEWEST_EVENTS


def few_note(estimates: Iterable[Estimate], words: Words) -> list[str]:
    """Return a note that nothing is marked where there are few events, if that is so."""
    few = any(has_few_events(estimate) for estimate in estimates)
    return [words("few_note", fewest=words.count(FEWEST_EVENTS))] if few else []


def tie_note(ties: str, words: Words) -> str:
    """Return a note on how ties count."""
    rule = f", {words(f'{ties}_rule')}" if ties in TIE_RULES else ""
    return words("ties_note", ties=tie_name(ties, words), rule=rule)


def marked_note(best: object, words: Words) -> list[str]:
    """Return a note on the marked cells, where there are some."""
    return [words("marked_note")] if best else []


def mean_note(findings: Findings, words: Words) -> list[str]:
    """Return a note on the models whose values are means over several seeds."""
    several = [f"{model} ({len(findings.seeds(model))})" for model in findings.several_seeds]
    return [words("mean_note", models=words.listed(several))] if several else []


def missing_note(rows: Sequence[Sequence[str]], words: Words = ENGLISH) -> list[str]:
    """Return a note on missing values, where there are some."""
    gaps = any(words("missing") in row[1:] for row in rows)
    return [words("missing_note", missing=words("missing"))] if gaps else []


def interval_note(found: Mapping[Key, Estimate], confidence: float, words: Words) -> str:
    """Return a note on the intervals."""
    if any(estimate.has_interval for estimate in found.values()):
        return words("brackets_note", level=words.level(confidence))
    return words("no_intervals_note")


def improving_note(models: Mapping[str, Mapping[str, Any]], words: Words) -> list[str]:
    """Return a note on the fits whose last epoch still improved the model, by the sign of it."""
    kinds = dict.fromkeys(sign for about in models.values() for sign in (about.get("improving") or {}).values())
    return [words(f"improving_{kind}", fits=_improving_fits(models, kind, words)) for kind in kinds]


def _improving_fits(models: Mapping[str, Mapping[str, Any]], kind: str, words: Words) -> str:
    """Return the names of the fits with this sign; a model's name for all of its seeds, and for all trained models one
    text, if there are many."""
    named: list[str] = []
    whole: list[str] = []
    for model, about in models.items():
        fits = [fit for fit, sign in (about.get("improving") or {}).items() if sign == kind]
        if fits and len(fits) == len(about.get("seeds") or ()):
            whole.append(model)
            fits = [model]
        named += fits
    trained = [model for model, about in models.items() if about.get("stage") == "train"]
    if len(trained) >= _MANY_MODELS and whole == named == trained:
        return words("all_trained_models", count=words.count(len(trained)))
    return words.listed(named)


def default_note(findings: Findings, words: Words) -> list[str]:
    """Return a note on the rows of tuned models with their own settings, where there are some."""
    rows = [words("default_row", row=row, model=model) for model, row in findings.default_rows.items()]
    return [words("default_note", rows=words.enumerated(rows))] if rows else []


def refit_note(models: Mapping[str, Mapping[str, Any]], words: Words) -> list[str]:
    """Return a note on the fits that were fitted again, on more than training, and for how many epochs."""
    refits = {fit: about for model in models.values() for fit, about in (model.get("refit") or {}).items()}
    fits = [
        words("refit_epochs", fit=fit, epochs=about["epochs"]) if about.get("epochs") else fit
        for fit, about in refits.items()
    ]
    return [words("refit_note", fits=words.enumerated(fits))] if fits else []


def predictions_note(models: Mapping[str, Mapping[str, Any]], words: Words) -> list[str]:
    """Return a note on the lists that other tools wrote: how long they are, and what cannot be told of them."""
    told = [
        words("predictions_longest", model=name, longest=words.count(about.get("lists", {}).get("longest", 0)))
        for name, about in models.items()
        if about.get("stage") == PREDICTIONS
    ]
    return [words("predictions_note", models=words.enumerated(told))] if told else []


def model_notes(models: Sequence[str], not_applicable: Mapping[str, str], words: Words) -> list[str]:
    """Return notes on the oracle, and on models that do not apply."""
    notes = [words("oracle_note", oracle=ORACLE)] if ORACLE in models else []
    return notes + [
        words("not_applicable", model=model, reason=words.phrase(reason)) for model, reason in not_applicable.items()
    ]
