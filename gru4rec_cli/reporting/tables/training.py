"""How every fit was trained: order of the data, loss, epochs, first and last loss."""

from collections.abc import Mapping
from typing import Any

from gru4rec_cli.base.names import FIT_FILE, FitName
from gru4rec_cli.reporting.tables import Cell, Table
from gru4rec_cli.reporting.tables.cells import NO_COST, improving_note, refit_note
from gru4rec_cli.reporting.tables.costs import loss_cell, order_cell
from gru4rec_cli.reporting.text.words import Words

_MEASURED = {"seconds", "second", "minutes", "time", "duration", "elapsed", "speed", "throughput", "memory", "bytes"}


def training_table(fits: Mapping[str, Mapping[str, Any]], models: Mapping[str, Any], words: Words) -> Table:
    """Return first and last loss of every fitted model, and what else fitting found out."""
    rows = []
    for fit, found in fits.items():
        losses = [row["loss"] for row in found.get("curve", []) if "loss" in row]
        facts = "; ".join(
            words("entry", key=words.label(key), value=words.plain(value))
            for key, value in lasting(found.get("facts", {})).items()
        )
        if losses or facts:
            about = models.get(FitName.parse(fit).model, {})
            source = f"{about.get('stage', 'STAGE')}/{fit}/{FIT_FILE} › curve"
            ends = [Cell(words.fixed(loss, 4), value=loss, source=source) for loss in (*losses[:1], *losses[-1:])]
            epochs = Cell(str(len(losses)), value=len(losses), source=source) if losses else NO_COST
            trained = (order_cell(about, words), loss_cell(about))
            rows.append((fit, *trained, epochs, *(ends or (NO_COST, NO_COST)), facts or NO_COST))
    columns = ("model", "training_order", "loss", "epochs_column", "first_loss", "last_loss", "facts")
    titles = tuple(words(column) for column in columns)
    return Table(
        words("fitting_title"),
        titles,
        tuple(rows),
        numeric=frozenset({3, 4, 5}),
        notes=(words("order_note"), *improving_note(models, words), *refit_note(models, words)),
        source=f"STAGE/MODEL/{FIT_FILE}",
    )


def lasting(value: Any) -> Any:
    """Return `value` without what differs from run to run: timings, speeds, memory."""
    if isinstance(value, list):
        return [lasting(entry) for entry in value]
    if not isinstance(value, Mapping):
        return value
    return {key: lasting(v) for key, v in value.items() if not _MEASURED & set(str(key).lower().split("_"))}
