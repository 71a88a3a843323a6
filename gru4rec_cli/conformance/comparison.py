"""Comparison of a trace with a recording, within stated tolerances."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np

from gru4rec_cli.base.arrays import AnyArray, Float64Array, Int64Array
from gru4rec_cli.conformance.recording import Recording, Trace
from gru4rec_cli.evaluation.metrics import TieRule, metric_values, ranks
from gru4rec_cli.models.gru4rec.batches import walk_sessions

# Float32 in another order of operations: a number agrees if it is within either. A score's relative tolerance is of the
# largest score of its event: scores are sums of products, and those near zero are rounded like the others.
RELATIVE, ABSOLUTE = 1e-4, 1e-5
WEIGHT_ABSOLUTE = 1e-4  # Adagrad's first steps turn rounding of tiny gradients into visible differences of weights
_METRIC_ABSOLUTE = 1e-6

_TIE_MODES: dict[str, TieRule] = {"standard": "optimistic", "conservative": "conservative", "median": "median"}
MetricTable = Mapping[str, Mapping[str, Mapping[str, float]]]  # tie mode → metric → cutoff → value


@dataclass(frozen=True)
class Check:
    """One comparison. `deviation` is the largest difference, `excess` the largest in units of what is allowed."""

    name: str
    deviation: float
    excess: float
    where: str = ""

    @property
    def holds(self) -> bool:
        return self.excess <= 1.0


def compare(recording: Recording, trace: Trace) -> list[Check]:
    """Compare all parts of the trace with the recording."""
    checks = []
    if trace.batches is not None:
        checks.append(_batches(recording.batches(), trace.batches))
    checks.append(_numbers("loss", np.array(trace.losses), recording.arrays["step/loss"], ABSOLUTE, "step"))
    if trace.weights is not None:
        checks.append(_weights(recording, trace.weights))
    if trace.scores is not None:
        expected = recording.scores()
        scores = _numbers("scores", trace.scores, expected, ABSOLUTE, "event")
        differing, ambiguous = _rank_differences(recording, trace.scores, expected)
        checks += [scores, Check("ranks", float(differing), 2.0 * (differing > ambiguous))]
    metrics = trace.metrics or (None if trace.scores is None else metrics_of(recording, trace.scores))
    if metrics is not None and recording.metrics:
        checks.append(_metrics(recording, metrics))
    return checks


def largest_excess(checks: list[Check]) -> float:
    """Return the largest excess of the checks; at most 1 where all hold."""
    return max((check.excess for check in checks), default=0.0)


def _batches(expected: list[tuple[list[int], list[int]]], found: list[tuple[list[int], list[int]]]) -> Check:
    wrong = [step for step, (e, f) in enumerate(zip(expected, found, strict=False)) if e != f]
    wrong += list(range(min(len(expected), len(found)), max(len(expected), len(found))))
    where = f"first at step {wrong[0] + 1}" if wrong else ""
    return Check("batches", float(len(wrong)), 2.0 * bool(wrong), where)


def _numbers(name: str, found: AnyArray, expected: AnyArray, absolute: float, unit: str) -> Check:
    """Compare element by element; `unit` names the first axis in the message."""
    if found.shape != expected.shape:
        return Check(name, np.inf, np.inf, f"{found.shape} values in place of {expected.shape}")
    difference = np.abs(found.astype(np.float64) - expected)
    excess = difference / _allowed(expected, absolute, by_row=name == "scores")
    excess = np.where(np.isfinite(excess), excess, np.inf)
    if not excess.size:
        return Check(name, 0.0, 0.0)
    by_row = excess.reshape(len(excess), -1).max(axis=1)
    wrong = np.flatnonzero(by_row > 1)
    where = f"first at {unit} {wrong[0] + 1}" if len(wrong) else ""
    return Check(name, float(np.nanmax(difference)), float(by_row.max()), where)


def _allowed(expected: AnyArray, absolute: float, *, by_row: bool) -> Float64Array:
    """The largest difference that agrees, for every number."""
    size = np.abs(expected.astype(np.float64))
    if by_row:
        size = size.max(axis=1, keepdims=True)
    return np.maximum(absolute, RELATIVE * size)


def _weights(recording: Recording, found: Mapping[str, AnyArray]) -> Check:
    worst = Check("weights", 0.0, 0.0)
    for name, expected in recording.weights("final").items():
        if name not in found:
            return Check("weights", np.inf, np.inf, f"{name} is missing")
        check = _numbers("weights", np.asarray(found[name]).reshape(expected.shape), expected, WEIGHT_ABSOLUTE, "row")
        if check.excess > worst.excess:
            worst = Check("weights", check.deviation, check.excess, f"{name}, {check.where}" if check.where else name)
    return worst


def _rank_differences(recording: Recording, found: AnyArray, expected: AnyArray) -> tuple[int, int]:
    """The number of events whose rank differs, and of those among them where the tolerance of scores explains it."""
    if found.shape != expected.shape:
        return len(expected), 0
    targets = recording.test.target_items()
    rows = np.arange(len(targets))
    target_scores = (expected[rows, targets][:, None], found[rows, targets][:, None])
    slack = 2 * _allowed(expected, ABSOLUTE, by_row=True)  # both the target's score and the other may be off
    sure, possible = ((expected > target_scores[0] + sign * slack).sum(axis=1) for sign in (1, -1))
    greater = [(scores > target).sum(axis=1) for scores, target in zip((expected, found), target_scores, strict=True)]
    differs = greater[0] != greater[1]
    return int(differs.sum()), int((differs & (greater[1] >= sure) & (greater[1] <= possible)).sum())


def metrics_of(
    recording: Recording, scores: AnyArray, *, hit_at_k: bool = True
) -> dict[str, dict[str, dict[str, float]]]:
    """Return Recall and MRR as the author's evaluation does, for the recorded tie modes and cutoffs."""
    if scores.shape != (recording.test.n_targets, recording.test.n_items):
        return {}
    targets = recording.test.target_items()
    target_scores = scores[np.arange(len(targets)), targets][:, None]
    greater, equal = (scores > target_scores).sum(axis=1), (scores == target_scores).sum(axis=1) - 1
    tables = []
    for measured in _measured_events(recording):
        table: dict[str, dict[str, dict[str, float]]] = {}
        for mode, by_metric in recording.metrics.items():
            rank = ranks(greater[measured], equal[measured], _TIE_MODES[mode])
            table[mode] = {
                metric: {k: float(_values(rank, metric, int(k), hit_at_k=hit_at_k).mean()) for k in by_k}
                for metric, by_k in by_metric.items()
            }
        tables.append(table)
    return min(tables, key=lambda table: _metric_distance(recording.metrics, table))


def _values(rank: Float64Array, metric: str, k: int, *, hit_at_k: bool) -> Float64Array:
    values = metric_values(rank, metric, k)
    return values if hit_at_k else np.where(rank < k, values, 0.0)


def _measured_events(recording: Recording) -> Iterator[Int64Array]:
    """The events that the author's evaluation may have measured.

    It walks the test sessions in mini-batches, as training does. Without extra negatives these stop when one session is
    left, and the last events are not measured. Which ones depends on the batch size, which is not recorded.
    """
    test = recording.test
    if recording.settings.n_negatives > 0:
        yield np.arange(test.n_targets)
        return
    event = np.cumsum(np.isin(np.arange(test.n_events), test.input_rows())) - 1
    seen: set[bytes] = set()
    for slots in range(2, test.n_sessions + 1):
        steps = chain.from_iterable(walk_sessions(test.offsets, slots, min_slots=2))
        measured = np.sort(np.concatenate([event[step.rows] for step in steps]))
        if measured.tobytes() not in seen:
            seen.add(measured.tobytes())
            yield measured


def _metrics(recording: Recording, found: MetricTable) -> Check:
    return Check("metrics", distance := _metric_distance(recording.metrics, found), distance / _METRIC_ABSOLUTE)


def _metric_distance(expected: MetricTable, found: MetricTable) -> float:
    """The largest difference over the values that both have; infinite where there is none."""
    differences = [
        abs(found[mode][metric][k] - value)
        for mode, by_metric in expected.items()
        for metric, by_k in by_metric.items()
        for k, value in by_k.items()
        if k in found.get(mode, {}).get(metric, {})
    ]
    return max(differences, default=float("inf"))
