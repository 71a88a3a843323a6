"""Checks of a finished run as a comparison: if its numbers, which `run_numbers` checks, say what they seem to say."""

from pathlib import Path

from gru4rec_cli.audit import run_numbers
from gru4rec_cli.audit.check import Audit, CannotCheck, Choice, Measured
from gru4rec_cli.audit.finished_run import RUN, FinishedRun, reading
from gru4rec_cli.base.files import read_json
from gru4rec_cli.base.names import FIT_FILE, ORACLE, TUNE_FILE
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.reporting.findings.run import Estimate
from gru4rec_cli.study.ledger import settings_tried
from gru4rec_cli.tuning.space import has_published_space

__all__ = ["RUN", "audit_run", "run_numbers"]  # whose checks come first

NEIGHBOURS = ("sknn", "vsknn", "stan", "vstan")
_SAME_LEVEL = 0.05  # relative: GRU4Rec's author calls smaller differences the same level


def audit_run(path: Path, choice: Choice | None = None, progress: Progress = SILENT) -> Audit:
    """Return the results of all checks of a run directory.

    Raises:
        StageError: there is no run, or it is not evaluated.
        UsageError: an id is that of no check.
    """
    return Audit(str(path), RUN.run(FinishedRun(path), choice or Choice(), progress))


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


@RUN.check(
    "R14-test-uses", "No settings were chosen by their results on the test", unit="uses", warn=5, fail=None,
    remedy="choose settings on validation sessions, and report on a test not used before, such as later days",
)  # fmt: skip
def _test_uses(run: FinishedRun) -> Measured:
    """Settings that are changed until the results on the test are good fit this test. The author's search script for
    GRU4Rec tunes and evaluates on one file, and SR-GNN's program keeps the epoch that is best on the test. Counted are
    the times that the test was ranked with settings of a kind that were not ranked before, of the kind that has most;
    several variants in one evaluation count once."""
    uses, kinds = run.test_uses(), {str(facts["kind"]) for facts in run.findings.models.values()} - {ORACLE}
    tried = settings_tried(uses)
    if not kinds <= tried.keys():
        raise CannotCheck("test_uses.jsonl does not name the evaluation of all models: it was removed, or never kept")
    most = max(tried, key=lambda kind: tried[kind], default="")
    if not most:
        raise CannotCheck("no model is evaluated")
    times = "once" if len(uses) == 1 else f"{len(uses):,} times"
    return Measured(
        tried[most], f"the test was ranked {times}; settings of {most} that were new to it: {tried[most]:,} times"
    )


@RUN.check(
    "R15-tuning-budgets", "All models were tuned with the same budget, or none", unit="models", warn=1, fail=None,
    remedy="tune all models in one search: leave out tune.models",
)  # fmt: skip
def _budgets(run: FinishedRun) -> Measured:
    """Papers tune their own model and leave the others at defaults, or give it more trials. Counted are the models with
    a published space that were not tuned where others were. Those of one search have the same budget."""
    if run.searched is None:
        return Measured(0, "no model was tuned by this run: all have the settings of the configuration")
    with reading("the ledger of the search"):
        ledger = read_json(run.searched / TUNE_FILE)
    own = run.config.default_rows()
    kinds = {name: str(facts["kind"]) for name, facts in run.findings.models.items()}
    others = sorted(kinds.keys() - ledger["models"].keys() - own.keys())
    left = [name for name in others if has_published_space(kinds[name])]
    trials = ledger["budget"].get("trials")
    budget = f"{ledger['budget'].get('seconds', 0):g} seconds" if trials is None else f"{trials:,} trials"
    return Measured(len(left), f"all that were tuned had {budget}; not tuned: {', '.join(left) or 'none'}")
