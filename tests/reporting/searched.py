"""A search for settings, written by hand, for pages and figures."""

from typing import Any

from gru4rec_cli.reporting.findings.search import Search

LEDGER = ("model", "trial", "state", "value")  # columns of trials.csv that are no settings


def ledger(**changes: Any) -> dict[str, Any]:
    """A search over a counting model, whose space had four points, and a neural one, of which a trial was pruned and
    one failed."""
    return {
        "metric": "mrr@20",
        "budget": {"trials": 5},
        "search": "random",
        "choose": "best",
        "models": {
            "knn": model(
                {"k": [50, 100], "weighting": ["same", "div"]},
                {"complete": 4, "pruned": 0, "failed": 0},
                own={"k": 100, "weighting": "div"},
                values=[0.1, 0.1, 0.1, 0.125],
                used_up=True,
                chosen={"trial": 4, "changed": {"k": 50}},
                importance={"k": 0.75, "weighting": 0.25},
            ),
            "gru4rec": model(
                {"learning_rate": {"from": 0.001, "to": 1.0, "scale": "log"}},
                {"complete": 3, "pruned": 1, "failed": 1},
                own={"learning_rate": 0.2},
                values=[0.2, 0.2, 0.2, 0.3, 0.3],
                epochs=14,
                chosen={"trial": 4, "changed": {"learning_rate": 0.01}},
                importance={"learning_rate": 1.0},
            ),
        },
        **changes,
    }


def model(
    space: dict[str, Any],
    states: dict[str, int],
    *,
    own: dict[str, Any],
    values: list[float],
    chosen: dict[str, Any],
    importance: dict[str, float],
    **changes: Any,
) -> dict[str, Any]:
    return {
        "space": space,
        "trials": len(values),
        "states": states,
        "epochs": None,
        "default": {"value": values[0], "standard_error": 0.03, "state": "complete", "settings": own},
        "best": {"best": chosen["trial"], "one-standard-error": 1},
        "chosen": chosen,
        "importance": importance,
        "importance_by_chance": dict.fromkeys(importance, 0.5),
        "best_so_far": values,
        "used_up": False,
        **changes,
    }


def trials() -> list[dict[str, str]]:
    """The rows of trials.csv; cells of other models' settings are empty."""
    empty = {"k": "", "weighting": "", "learning_rate": ""}
    knn = [("100.0", "div", "0.1"), ("50.0", "same", "0.075"), ("100.0", "same", "0.05"), ("50.0", "div", "0.125")]
    rows = [
        {**empty, "model": "knn", "trial": str(n), "state": "complete", "value": value, "k": k, "weighting": weighting}
        for n, (k, weighting, value) in enumerate(knn, start=1)
    ]
    gru4rec = [
        ("complete", "0.2", "0.2"),
        ("complete", "0.5", "0.15"),
        ("failed", "1.0", ""),
        ("complete", "0.01", "0.3"),
    ]
    rows += [
        {**empty, "model": "gru4rec", "trial": str(n), "state": state, "value": value, "learning_rate": rate}
        for n, (state, rate, value) in enumerate([*gru4rec, ("pruned", "0.9", "0.1")], start=1)
    ]
    return [in_table(row) for row in rows]


def in_table(row: dict[str, str]) -> dict[str, str]:
    """A row with the names of columns that the table has."""
    return {name if name in LEDGER else f"settings.{name}": cell for name, cell in row.items()}


def search(**changes: Any) -> Search:
    return Search.of(ledger(**changes), trials())


def seven() -> Search:
    """A search over seven settings of one model."""
    listed = ["linear", "quadratic", "same", "log", "div"]
    space: dict[str, Any] = {f"number_{n}": {"from": 0.0, "to": 1.0} for n in range(4)}
    space |= {"rate": {"from": 1e-4, "to": 1e-2, "scale": "log"}, "names": listed, "layers": [[64], [64, 32]]}
    values = [0.1 + 0.01 * (n % 7) for n in range(20)]
    rows = [
        {
            "model": "big",
            "trial": str(n + 1),
            "state": "pruned" if n % 5 == 3 else "complete",
            "value": str(value),
            **{f"number_{m}": str((n * (m + 3) % 10) / 10) for m in range(4)},
            "rate": str(10 ** (-4 + (n % 9) / 4)),
            "names": listed[n % 5],
            "layers": str([[64], [64, 32]][n % 2]),
        }
        for n, value in enumerate(values)
    ]
    own: dict[str, Any] = dict.fromkeys(space, 0.5)
    chosen = {"trial": 7, "changed": {"number_1": 0.5}}
    big = model(
        space,
        {"complete": 16, "pruned": 4, "failed": 0},
        own=own,
        values=values,
        chosen=chosen,
        importance=dict.fromkeys(space, 0.4),
    )
    return Search.of(ledger(models={"big": big}), [in_table(row) for row in rows])
