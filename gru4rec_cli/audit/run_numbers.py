"""Checks of a finished run's numbers: if they are those of its artifacts, and possible at all."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from gru4rec_cli.audit.check import CannotCheck, Measured
from gru4rec_cli.audit.finished_run import RUN, FinishedRun, reading
from gru4rec_cli.base.names import EQUAL, GREATER, ITEM, METRICS_FILE, METRICS_TABLE, POSITION, SESSION, fits_of
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.metrics import METRICS, TIE_RULES, metric_values, target_ranks
from gru4rec_cli.evaluation.ranking import rank_targets
from gru4rec_cli.evaluation.slices import WHOLE
from gru4rec_cli.evaluation.summary import ALL_SEEDS
from gru4rec_cli.models import registry

_ROUNDING = 1e-9  # of a mean that is computed again
_RANKED_AGAIN = 20_000  # events of a fit, whole sessions spread over the test


@RUN.check(
    "R01-artifacts", "Every file has the bytes that its stage wrote", unit="files", warn=None, fail=1,
    remedy="restore the files from a copy, or run the stage again with --force",
)  # fmt: skip
def _artifacts(run: FinishedRun) -> Measured:
    """A file that was edited, exchanged or lost after its stage wrote it differs from the hash in the manifest."""
    wrong = [found for found in run.verification.wrong if found.state in ("damaged", "foreign")]
    said = "; ".join(f"{found.part}: {found.finding}" for found in wrong) or "all hashes are right"
    return Measured(len(wrong), said)


@RUN.check(
    "R02-metrics-from-ranks", "The metrics are those of the stored ranks", unit="values", warn=None, fail=1,
    remedy="evaluate again with --force, and ask who changed the file",
)  # fmt: skip
def _metrics(run: FinishedRun) -> Measured:
    """Recall, MRR and NDCG of every model, seed, tie rule and cutoff are computed again from the ranks of the events,
    and compared with metrics.json and with metrics.csv. A hash can be written anew by whoever edits a number; the ranks
    of all events would have to be invented, too."""
    expected = _recomputed(run)
    tables: dict[str, list[dict[Any, Any]]] = {
        METRICS_FILE: run.findings.frame.to_dict("records"),
        METRICS_TABLE: _rows_of_csv(run),
    }
    wrong, compared = [], 0
    for name, rows in tables.items():
        stored = {_key(row): row["value"] for row in rows if row["slice"] == WHOLE and row["metric"] in METRICS}
        for key, value in expected.items():
            compared += 1
            if key not in stored or abs(float(stored[key]) - value) > _ROUNDING:
                wrong.append(
                    f"{name} has {stored.get(key)} for {' '.join(map(str, key))}, and the ranks give {value:.6f}"
                )
    return Measured(len(wrong), wrong[0] if wrong else f"{compared:,} values are those of the ranks")


def _key(row: Mapping[str, Any]) -> tuple[str, str, str, int, str]:
    return str(row["model"]), str(row["seed"]), str(row["metric"]), int(row["k"]), str(row["ties"])


def _rows_of_csv(run: FinishedRun) -> list[dict[str, Any]]:
    path = run.path / "evaluate" / METRICS_TABLE
    return pl.read_csv(path, infer_schema=False).to_dicts() if path.is_file() else []


def _recomputed(run: FinishedRun) -> dict[tuple[str, str, str, int, str], float]:
    """Return every metric over all events: of each seed, and their mean."""
    found: dict[tuple[str, str, str, int, str], float] = {}
    targets = run.test.target_items()
    for model in run.findings.models:
        seeds = run.findings.seeds(model)
        values: dict[tuple[str, int, str], list[float]] = {}
        longest = _known_to(run, model)
        for seed, fit in zip(seeds, fits_of(model, run.ranks), strict=False):
            table = run.ranks[fit]
            greater, equal = table[GREATER].to_numpy(), table[EQUAL].to_numpy()
            if len(greater) != len(targets):
                continue  # another check names it
            for ties in TIE_RULES:
                rank = target_ranks(greater, equal, targets, ties)
                for metric in METRICS:
                    for k in (cutoff for cutoff in run.findings.protocol["cutoffs"] if cutoff <= longest):
                        mean = float(metric_values(rank, metric, k).mean())
                        found[model, seed, metric, k, ties] = mean
                        values.setdefault((metric, k, ties), []).append(mean)
        for (metric, k, rule), each in values.items():
            found[model, ALL_SEEDS, metric, k, rule] = float(np.mean(each))
    return found


def _known_to(run: FinishedRun, model: str) -> float:
    """Return the largest cutoff at which ranks are known: lists of other tools may be too short for larger ones."""
    longest = run.findings.models[model].get("lists", {}).get("longest", run.test.n_items)
    return float(longest) if longest < run.test.n_items else math.inf


@RUN.check(
    "R03-ranks-of-test", "Every model has a rank for every event of the test, and for no other",
    unit="events", warn=None, fail=1,
    remedy="evaluate again with --force",
)  # fmt: skip
def _ranked_events(run: FinishedRun) -> Measured:
    """A mean over other events is another result. Programs that drop the last, incomplete batch, or events that are
    hard to score, leave some out in silence."""
    sessions = run.test.event_sessions()
    events = pl.DataFrame(
        {
            SESSION: run.test.session_ids[sessions],
            POSITION: run.test.event_positions(),
            ITEM: _ids_of(run.test),
        }
    )
    wrong = {}
    for fit, table in run.ranks.items():
        ranked = table.select(events.columns).cast(events.schema)
        missing = events.join(ranked, on=events.columns, how="anti", nulls_equal=True)
        foreign = ranked.join(events, on=events.columns, how="anti", nulls_equal=True)
        wrong[fit] = missing.height + foreign.height + ranked.height - ranked.n_unique()
    printed = run.findings.protocol.get("events")
    if printed != events.height:
        return Measured(
            abs(int(printed or 0) - events.height),
            f"the results say {printed:,} events, and the test has {events.height:,}",
        )
    worst = max(wrong, key=lambda fit: wrong[fit], default="")
    if not worst:
        return Measured(events.height, "there are no ranks")
    return Measured(
        wrong[worst], f"{worst}: {wrong[worst]:,} events are missing, foreign or there twice, of {events.height:,}"
    )


def _ids_of(test: Sessions) -> pl.Series:
    """Return the id of every event's target; null where training lacks it."""
    targets = pl.Series(test.target_items())
    return pl.select(
        pl.when(targets >= 0).then(pl.Series(test.vocabulary.ids).gather(np.maximum(targets.to_numpy(), 0)))
    ).to_series()


@RUN.check(
    "R04-ranks-from-models", "The stored models give the stored ranks", unit="events", warn=None, fail=1,
    remedy="evaluate again with --force; if models and results were made apart, find out which belong together",
)  # fmt: skip
def _ranked_again(run: FinishedRun) -> Measured:
    """Models are loaded and rank again: all events, or whole sessions with about 20,000 of them, spread over the test.
    A model that was exchanged after it was evaluated, or ranks of another model, give other ranks."""
    every = max(1, -(-run.test.n_targets // _RANKED_AGAIN))
    sessions = np.arange(0, run.test.n_sessions, every)
    part = run.test.select(sessions) if every > 1 else run.test
    chosen = np.isin(run.test.event_sessions(), sessions)
    worst = Measured(0, "")
    for fit, folder in run.folders():
        if fit not in run.ranks or run.ranks[fit].height != len(chosen):
            return Measured(run.test.n_targets, f"{fit}: there are no ranks of all events")
        with reading(f"the model {fit}"):
            found = rank_targets(registry.load_model(folder).score(part), part)
        stored = run.ranks[fit].filter(pl.Series(chosen))
        other = (found.greater != stored[GREATER].to_numpy()) | (found.equal != stored[EQUAL].to_numpy())
        worst = max(worst, Measured(int(other.sum()), fit), key=lambda measured: measured.figure)
    if worst.figure:
        return Measured(
            worst.figure, f"{worst.evidence}: {worst.figure:,} of {part.n_targets:,} events have another rank now"
        )
    return Measured(0, f"all models give the stored ranks of {part.n_targets:,} of {run.test.n_targets:,} events")


@RUN.check(
    "R05-impossible-values", "MRR ≤ NDCG ≤ Recall, and all rise with the cutoff", unit="values", warn=None, fail=1,
    remedy="evaluate again with --force",
)  # fmt: skip
def _impossible(run: FinishedRun) -> Measured:
    """With one target an event, 1 / rank ≤ 1 / log₂(1 + rank) ≤ 1, so a table where this does not hold mixes metrics of
    different epochs, cutoffs or events. SR-GNN's program prints the best Recall and the best MRR of different
    epochs."""
    wrong = []
    found = {key: estimate.value for key, estimate in run.findings.found.items()}
    for (model, metric, k, ties), value in found.items():
        if metric not in METRICS:
            continue
        smaller = [
            other for (*same, at, rule), other in found.items() if same == [model, metric] and at < k and rule == ties
        ]
        if not 0 <= value <= 1 or any(value < each - _ROUNDING for each in smaller):
            wrong.append(f"{model}: {metric}@{k} is {value:.4f}")
    for model, metric, k, ties in found:
        if metric == "recall":
            recall, ndcg, mrr = (found.get((model, name, k, ties), math.nan) for name in ("recall", "ndcg", "mrr"))
            if not mrr - _ROUNDING <= ndcg <= recall + _ROUNDING:
                wrong.append(f"{model}@{k}: MRR {mrr:.4f}, NDCG {ndcg:.4f}, Recall {recall:.4f}")
    return Measured(len(wrong), wrong[0] if wrong else "all values are possible")


@RUN.check(
    "R06-ties", "Equal scores do not decide the result", warn=0.02, fail=0.2,
    remedy="compare under conservative ties, and find out why scores are equal (few decimals, saturation)",
)  # fmt: skip
def _ties(run: FinishedRun) -> Measured:
    """Where many items have the target's score, the tie rule makes the result: TensorFlow's top_k and most programs
    count ties for the model. The figure is the largest share of Recall, at the largest cutoff, that any model loses
    from counting half of the ties above the target to counting all of them."""
    worst = Measured(0, "no model has a target that ties")
    cutoff = run.findings.cutoff
    for model in run.models:
        rules = ("median", "conservative")
        median, all_above = (run.findings.found.get((model, "recall", cutoff, ties)) for ties in rules)
        if median is None or all_above is None or not median.value:
            continue
        lost = (median.value - all_above.value) / median.value
        values = f"{median.value:.4f} with half of the ties above, {all_above.value:.4f} with all"
        said = f"{model}: Recall@{cutoff} is {values}"
        worst = max(worst, Measured(lost, said), key=lambda measured: measured.figure)
    return worst


@RUN.check(
    "R07-constant-scores", "Hardly any event has the same score for most items", warn=0.01, fail=0.1,
    remedy="look for a saturated output, an empty history, or items without a score",
)  # fmt: skip
def _constant(run: FinishedRun) -> Measured:
    """A model that gives one score to all items ranks nothing, and under an optimistic tie rule it looks perfect. The
    share is that of the events, of the worst model, whose target ties with more than half of the items."""
    shares = {fit: float((table[EQUAL] > run.test.n_items / 2).mean() or 0) for fit, table in run.ranks.items()}  # type: ignore[arg-type]
    worst = max(shares, key=lambda fit: shares[fit], default="")
    if not worst:
        raise CannotCheck("there are no ranks")
    return Measured(
        shares[worst], f"{worst} gives one score to most items at {100 * shares[worst]:.2f} % of the events"
    )
