"""What fitting and ranking took. It differs from run to run, so it stands where no later stage is made from it."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gru4rec_cli.base.files import MANIFEST, read_json
from gru4rec_cli.base.names import COSTS, FIT_FILE, RANKING_FILE, FitName


def fit_costs(folder: Path) -> dict[str, dict[str, float]]:
    """Return the cost of each fit of `baseline` or `train`, by the fit's name."""
    manifests = sorted(folder.glob(f"*/{MANIFEST}"))
    return {path.parent.name: read_json(path)["cost"] for path in manifests}


def search_seconds(folder: Path, models: Iterable[str]) -> dict[str, list[float]]:
    """Return how long each trial of a search took, in order, by model."""
    files = {name: sorted((folder / COSTS / name).glob("*.json")) for name in models}
    return {name: [read_json(path)["seconds"] for path in found] for name, found in files.items()}


def ranking_costs(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what ranking the test events by each fit took, by the fit's name: events, cost, machine.

    Nothing where `evaluate` was made by a version that did not measure it.
    """
    path = folder / COSTS / RANKING_FILE
    found: dict[str, dict[str, Any]] = read_json(path) if path.exists() else {}
    return found


def costs_by_model(fitted: Sequence[Path], evaluated: Path) -> dict[str, dict[str, Any]]:
    """Return what the models in these stages took, ready for JSON. Of several seeds, all are means but the memory.

    `fits`: how many there are; `seconds` of a fit, all sittings together, without compiling; `epochs` trained, and
    `kept_epoch`; `seconds_per_epoch`: the former divided by the latter; `peak_memory_bytes`: the largest;
    `ranking_seconds_per_event`; `machines`: those that fitted and ranked. None: there is no such thing, or it was not
    measured.
    """
    fits: dict[str, list[dict[str, Any]]] = {}
    ranking = ranking_costs(evaluated)
    for section in fitted:
        for name in fit_costs(section):
            fits.setdefault(FitName.parse(name).model, []).append(_of_fit(section / name, ranking.get(name, {})))
    return {model: _together(found) for model, found in fits.items()}


def _of_fit(folder: Path, ranked: dict[str, Any]) -> dict[str, Any]:
    manifest, fit = read_json(folder / MANIFEST), read_json(folder / FIT_FILE)
    again = fit.get("refit", {}).get("curve", [])  # of a second fit, whose time counts, too
    machines = [_machine(manifest.get("device"), fit["facts"].get("device")), _machine(ranked.get("device"))]
    return {
        "seconds": manifest["cost"]["seconds"],
        "peak_memory_bytes": manifest["cost"]["peak_memory_bytes"],
        "epochs": len(fit["curve"]) + len(again) or None,
        "kept_epoch": None if again else fit["facts"].get("kept_epoch"),
        "ranking_seconds": ranked["cost"]["seconds"] if ranked else None,
        "events": ranked.get("events"),
        "machines": [machine for machine in machines if machine],
    }


def _machine(device: dict[str, Any] | None, computed: str | None = None) -> dict[str, Any] | None:
    """Return a machine's processor, its threads, and what computed, if that is not the processor."""
    if device is None:
        return None
    accelerator = {"accelerator": computed} if computed not in (None, "cpu") else {}
    return {"processor": device["processor"] or device["machine"], "threads": device["threads"], **accelerator}


def _together(fits: list[dict[str, Any]]) -> dict[str, Any]:
    def values(key: str) -> list[Any]:
        return [fit[key] for fit in fits]

    return {
        "fits": len(fits),
        "seconds": _ratio(values("seconds"), [1] * len(fits)),
        "epochs": _ratio(values("epochs"), [1] * len(fits)),
        "kept_epoch": _ratio(values("kept_epoch"), [1] * len(fits)),
        "seconds_per_epoch": _ratio(values("seconds"), values("epochs")),
        "peak_memory_bytes": max(values("peak_memory_bytes")),
        "ranking_seconds_per_event": _ratio(values("ranking_seconds"), values("events")),
        "machines": _distinct(machine for machines in values("machines") for machine in machines),
    }


def _distinct(machines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return every machine once, as the fits name it: ranking does not say what computed."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for machine in machines:
        found.setdefault((machine["processor"], machine["threads"]), machine)
    return [*found.values()]


def _ratio(above: Sequence[float | None], below: Sequence[float | None]) -> float | None:
    """Return the ratio of two sums; None where a value is missing."""
    tops, bottoms = _complete(above), _complete(below)
    return None if tops is None or not bottoms else tops / bottoms


def _complete(values: Iterable[float | None]) -> float | None:
    known = list(values)
    return None if None in known else sum(value for value in known if value is not None)
