"""What every model took, beside its accuracy."""

from collections.abc import Mapping
from typing import Any

from gru4rec_cli.base.names import COSTS, RANKING_FILE
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.tables import Cell, Table
from gru4rec_cli.reporting.tables.cells import NO_COST, cost_cells, duration, number_cell
from gru4rec_cli.reporting.text.words import ENGLISH, Words

_FITTING = "STAGE/MODEL/manifest.json › cost"
_RANKING = f"evaluate/{COSTS}/{RANKING_FILE}"
_SHORTEST = 0.01  # milliseconds; below it a time would be shown as none


def costs_table(findings: Findings, costs: Mapping[str, Mapping[str, Any]], words: Words = ENGLISH) -> Table:
    """Return a row for every model that was fitted, the best first; `costs` as `costs_by_model` gives them.

    With one blank between columns, 80 characters hold names of up to 17, without the last two columns.
    """
    models = [model for model in findings.order if model in costs]
    rows = []
    for model in models:
        cost, key = costs[model], findings.key(model)
        seconds, memory = cost_cells(cost, words)
        each = cost["seconds_per_epoch"]
        rows.append(
            (
                model,
                number_cell(findings.found.get(key), key, words),
                seconds,
                _epochs(cost, words),
                NO_COST if each is None else Cell(duration(each, words), value=each, source=_FITTING),
                memory,
                _milliseconds(cost["ranking_seconds_per_event"], words),
                order_cell(findings.models.get(model, {}), words),
                loss_cell(findings.models.get(model, {})),
            )
        )
    columns = ("fit_time", "epochs_column", "per_epoch", "memory", "ranking", "training_order", "loss")
    return Table(
        words("costs_title"),
        (words("model"), findings.label, *map(words, columns)),
        tuple(rows),
        numeric=frozenset(range(1, 7)),
        optional=frozenset({7, 8}),
        notes=(*_notes(costs, words), words("order_note"), *machine_notes(costs, words)),
        optional_notes=frozenset({words("order_note")}),
        source=f"{_FITTING}, {_RANKING}",
    )


def _notes(costs: Mapping[str, Mapping[str, Any]], words: Words) -> list[str]:
    several = [f"{model} ({cost['fits']})" for model, cost in costs.items() if cost["fits"] > 1]
    kept = any(_kept_another(cost) for cost in costs.values())
    return [
        *([words("mean_costs_note", models=words.listed(several))] if several else []),
        words("fit_time_note"),
        *([words("kept_note")] if kept else []),
        words("memory_note"),
        words("ranking_note"),
    ]


def machine_notes(costs: Mapping[str, Mapping[str, Any]], words: Words) -> list[str]:
    """Return on which machine the times were measured; if it was not the same for all models, of which."""
    models_of: dict[str, list[str]] = {}
    for model, cost in costs.items():
        machines = "; ".join(_machine(machine, words) for machine in cost["machines"])
        models_of.setdefault(machines, []).append(model)
    if len(models_of) == 1:
        models_of = {machine: [] for machine in models_of}
    return [
        words("measured_on", machine=machine)
        if not models
        else words("measured_models_on", models=words.listed(models), machine=machine or words("missing"))
        for machine, models in models_of.items()
        if machine or models
    ]


def _machine(machine: Mapping[str, Any], words: Words) -> str:
    parts = [machine["processor"], words("threads", count=machine["threads"]), machine.get("accelerator")]
    return ", ".join(filter(None, parts))


def order_cell(about: Mapping[str, Any], words: Words) -> str:
    """Return the order in which an epoch takes the training data, of a model as `metrics.json` describes it."""
    order = about.get("training_order")
    return words(f"order_{order}") if order in ("time", "shuffled") else NO_COST


def loss_cell(about: Mapping[str, Any]) -> str:
    """Return the loss by which a model is trained, as its settings name it."""
    loss = (about.get("settings") or {}).get("loss")
    return loss if isinstance(loss, str) else NO_COST


def _kept_another(cost: Mapping[str, Any]) -> bool:
    """Return whether another epoch than the last one was kept, of some fit at least."""
    return bool(cost["kept_epoch"] is not None and cost["kept_epoch"] != cost["epochs"])


def _epochs(cost: Mapping[str, Any], words: Words) -> str:
    if cost["epochs"] is None:
        return NO_COST
    trained = _count(cost["epochs"], words)
    if not _kept_another(cost):
        return Cell(trained, value=cost["epochs"])
    kept = _count(cost["kept_epoch"], words)
    return Cell(words("kept_of", kept=kept, trained=trained), value=cost["epochs"])


def _count(mean: float, words: Words) -> str:
    return words.fixed(mean, 0 if mean == int(mean) else 1)


def _milliseconds(seconds: float | None, words: Words) -> str:
    if seconds is None:
        return NO_COST
    shown = 1000 * seconds
    digits = 2 if shown < 10 else 0
    text = f"{words.fixed(shown, digits)} ms" if shown >= _SHORTEST / 2 else f"< {words.fixed(_SHORTEST, 2)} ms"
    return Cell(text, value=seconds, source=_RANKING)
