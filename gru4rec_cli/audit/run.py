"""Checks of a finished run: if its numbers are those of its artifacts, and if they may be believed."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from gru4rec_cli.audit.check import Audit, CannotCheck, Checks, Choice, Measured
from gru4rec_cli.base.errors import StageError, StudyError, UsageError
from gru4rec_cli.base.files import read_json
from gru4rec_cli.base.names import (
    EQUAL,
    FIT_FILE,
    GREATER,
    ITEM,
    ITEMS_FILE,
    METRICS_FILE,
    METRICS_TABLE,
    ORACLE,
    POSITION,
    RANKS_FOLDER,
    SESSION,
    TEST_FILE,
    fits_of,
)
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.data.sessions import Sessions, read_sessions, read_vocabulary, without_unseen
from gru4rec_cli.evaluation.metrics import METRICS, TIE_RULES, metric_values, target_ranks
from gru4rec_cli.evaluation.ranking import rank_targets
from gru4rec_cli.evaluation.slices import WHOLE
from gru4rec_cli.evaluation.summary import ALL_SEEDS
from gru4rec_cli.models import registry
from gru4rec_cli.reporting.findings.run import Estimate, Findings
from gru4rec_cli.study.config import StudyConfig, load_config
from gru4rec_cli.study.fits import study_fits
from gru4rec_cli.study.run_directory import CONFIG
from gru4rec_cli.study.stages.table import WINDOWS
from gru4rec_cli.study.verifying import Verification, verify

RUN: Checks["FinishedRun"] = Checks()

NEIGHBOURS = ("sknn", "vsknn", "stan", "vstan")
_ROUNDING = 1e-9  # of a mean that is computed again
_RANKED_AGAIN = 20_000  # events of a fit, whole sessions spread over the test
_SAME_LEVEL = 0.05  # relative: GRU4Rec's author calls smaller differences the same level


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Let a check that needs a damaged file say so; that it is damaged is another check's finding."""
    try:
        yield
    except (StudyError, PolarsError, OSError) as error:
        raise CannotCheck(f"{what} cannot be read: {str(error).partition(chr(10))[0]}") from error


class FinishedRun:
    """The artifacts of a run, as they are on the disk, whatever their manifests say."""

    def __init__(self, path: Path) -> None:
        """Read what there is.

        Raises:
            StageError: there is no run, or it is not evaluated.
            UsageError: it holds the runs of several windows.
        """
        if (path / WINDOWS).is_dir():
            windows = sorted(str(folder) for folder in (path / WINDOWS).iterdir())
            raise UsageError(
                f"{path} holds several windows, each with its own run", f"give one: {' or '.join(windows)}"
            )
        self.path = path
        self.verification: Verification = verify(path)
        metrics = path / "evaluate" / METRICS_FILE
        if not metrics.is_file():
            raise StageError(
                f"{path} is not evaluated: there is no {metrics}", f"gru4rec-study run --config {path / CONFIG}"
            )
        self.findings = Findings(read_json(metrics))
        self.config: StudyConfig = load_config(path / CONFIG)

    @cached_property
    def test(self) -> Sessions:
        """Return the test sessions as they are ranked."""
        split = self.path / "split"
        with _reading("the test"):
            whole = read_sessions(split / TEST_FILE, read_vocabulary(split / ITEMS_FILE))
        return without_unseen(whole) if self.config.split.unseen == "keep" else whole.with_targets()

    @cached_property
    def ranks(self) -> Mapping[str, pl.DataFrame]:
        """Return the stored ranks by fit."""
        files = sorted((self.path / "evaluate" / RANKS_FOLDER).glob("*.parquet"))
        with _reading("the ranks"):
            return {path.stem: pl.read_parquet(path) for path in files}

    @property
    def models(self) -> list[str]:
        """Return the models with metrics, without the oracle."""
        return [model for model in self.findings.models if model != ORACLE]

    def folders(self) -> Iterator[tuple[str, Path]]:
        """Yield the name and folder of every fit."""
        for section in ("baseline", "train"):
            for fit in study_fits(self.config, section):
                yield fit.name, self.path / section / fit.name


def audit_run(path: Path, choice: Choice | None = None, progress: Progress = SILENT) -> Audit:
    """Return the results of all checks of a run directory.

    Raises:
        StageError: there is no run, or it is not evaluated.
        UsageError: an id is that of no check.
    """
    return Audit(str(path), RUN.run(FinishedRun(path), choice or Choice(), progress))


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
        with _reading(f"the model {fit}"):
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


@RUN.check(
    "R08-strong-baseline", "A neighbourhood method is among the baselines", unit="missing", warn=1, fail=None,
    remedy="add vsknn and stan to baseline.models",
)  # fmt: skip
def _baseline(run: FinishedRun) -> Measured:
    """On most public click logs, neighbourhood methods are as good as neural ones. A comparison with popularity and
    Markov chains alone makes any model look good."""
    kinds = {str(facts.get("kind")) for facts in run.findings.models.values()}
    found = [kind for kind in NEIGHBOURS if kind in kinds]
    return Measured(
        not found, f"neighbourhood methods: {', '.join(found) or 'none'}; needed is one of {', '.join(NEIGHBOURS)}"
    )


@RUN.check(
    "R09-seeds", "Models that depend on a seed are fitted with several", unit="models", warn=1, fail=None,
    remedy="set seeds: [1, 2, 3]",
)  # fmt: skip
def _seeds(run: FinishedRun) -> Measured:
    """Two fits of the same neural model differ by about one percent. With one seed, such a difference between two
    models says nothing. The trivial ranking at random does not count."""
    single = [
        model
        for model in run.models
        if run.findings.models[model].get("random")
        and run.findings.models[model].get("stage") == "train"
        and len(run.findings.seeds(model)) < 2
    ]
    return Measured(len(single), f"fitted with one seed: {', '.join(single) or 'none'}")


@RUN.check(
    "R10-training-order", "All trained models read the training sessions in the same order",
    unit="orders", warn=2, fail=None,
    remedy="set order: time, or order: shuffled, for all of them, or name the difference",
)  # fmt: skip
def _order(run: FinishedRun) -> Measured:
    """GRU4Rec reads sessions in order of time, most other programs shuffle them. Where popularity drifts, the last
    sessions then count more, which is a difference of protocol, not of models."""
    facts = run.findings.models
    orders = {model: str(facts[model]["training_order"]) for model in run.models if facts[model].get("training_order")}
    said = ", ".join(f"{model}: {order}" for model, order in orders.items())
    return Measured(len(set(orders.values())), said or "no model is trained on sessions in an order")


@RUN.check(
    "R11-epochs", "Training was long enough, and the epoch was chosen on validation", unit="models", warn=1, fail=None,
    remedy="raise epochs, and set split.valid and validate_on",
)  # fmt: skip
def _epochs(run: FinishedRun) -> Measured:
    """An undertrained rival is the cheapest way to win: GRU4Rec has a Recall@20 of .2945 in the SR-GNN paper, and .5017
    by the author's code. Counted are models that still improved in their last epoch, and those without validation."""
    improving = [model for model in run.models if run.findings.models[model].get("improving")]
    files = {fit: folder / FIT_FILE for fit, folder in run.folders()}
    curves = {fit: read_json(file).get("curve") or [] for fit, file in files.items() if file.is_file()}
    blind = [fit for fit, curve in curves.items() if curve and not any(name.startswith("valid_") for name in curve[-1])]
    said = [("still improving", improving), ("epoch not chosen on validation", blind)]
    return Measured(
        len(improving) + len(blind), "; ".join(f"{what}: {', '.join(names) or 'none'}" for what, names in said)
    )


@RUN.check(
    "R12-clear-winner", "The best model is clearly the best", unit="doubts", warn=1, fail=None,
    remedy="do not call it a win: name both models, or use a larger test and more seeds",
)  # fmt: skip
def _winner(run: FinishedRun) -> Measured:
    """A lead of less than 5 % is what a seed or a setting makes; GRU4Rec's author calls it the same level. A lead
    inside the uncertainty over events may be chance. Tables print such leads in bold."""
    ranked = list(run.findings.ranked.items())
    if len(ranked) < 2:
        raise CannotCheck("there is one model")
    (best, first), (other, second) = ranked[:2]
    lead = first.value / second.value - 1 if second.value else 1.0
    difference = run.findings.difference(best, other) or {}
    p = difference.get("p_holm")
    doubts = [f"the lead is {100 * lead:.1f} %"] if lead < _SAME_LEVEL else []
    doubts += [f"p = {p:.3f}"] if p is not None and p > 1 - run.findings.confidence else []
    said = f"{best} has {run.findings.label} {first.value:.4f}, {other} {second.value:.4f}"
    return Measured(len(doubts), f"{said}: {'; '.join(doubts)}" if doubts else said)


@RUN.check(
    "R13-oracle", "No model is better than the best possible one", unit="models", warn=None, fail=1,
    remedy="look for targets in the input: the model sees the future",
)  # fmt: skip
def _oracle(run: FinishedRun) -> Measured:
    """On planted data the best possible ranking is known. A model that is clearly above it sees what it must not see:
    DGNN (WSDM 2023) used the targets of a test batch, and lost 11 points of Recall@20 once batches were shuffled."""
    bound: Estimate | None = run.findings.oracle
    if bound is None:
        raise CannotCheck("the clicks are not planted, so the best possible ranking is not known")
    limit = bound.high if bound.has_interval else bound.value
    above = [model for model, value in run.findings.headlines.items() if value > limit]
    return Measured(
        len(above),
        f"the oracle has {run.findings.label} {bound.value:.4f}; above its interval: {', '.join(above) or 'none'}",
    )
