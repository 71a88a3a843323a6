"""The known faults of third-party implementations, and the search for one that explains a deviation.

The list is that of Hidasi & Czapp, The Effect of Third Party Implementations on Reproducibility, RecSys 2023, with the
author's own fault of counting a narrow batch's logQ columns. Every fault is planted in the plain implementation, run on
the same recording, and compared with the trace in question.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from gru4rec_cli.conformance.comparison import Check, compare, largest_excess, metrics_of
from gru4rec_cli.conformance.plain import Behaviour, plain_trace
from gru4rec_cli.conformance.recording import Recording, Trace

# Name of a fault: the ways in which it is seen.
FAULTS: dict[str, list[dict[str, Any]]] = {
    "hidden state not reset": [{"reset": "never"}],
    "reset mask stale": [{"reset": "a step late"}, {"reset": "until the next one"}],
    "softmax twice": [{"loss": "softmax twice"}],
    "softmax before sampling": [{"loss": "softmax first"}, {"loss": "softmax first, then log"}],
    "BPR-max regularisation missing": [{"regularised": False}],
    "dropout as keep rate": [{"keep_rate": True}],
    "rank < K": [{"hit_at_k": False}],
    "epoch tail lost": [{"whole_epoch": False}],
    "duplicate rows squared before summing": [{"squares": "summed"}, {"squares": "by role"}],
    "dropped hidden state not carried": [{"carries_dropped": False}],
    "logQ on the wrong columns": [
        {"logq": how} for how in ("all as targets", "all as samples", "targets only", "samples only", "by width")
    ],
}


@dataclass(frozen=True)
class Diagnosis:
    """The names of the faults that explain a trace; none where it is right. `explained`: they explain all of it.

    Several faults are present `together`, or else each of them alone has the same effect on this recording.
    """

    faults: tuple[str, ...]
    explained: bool
    together: bool = False


def diagnose(recording: Recording, trace: Trace) -> Diagnosis:
    """Find the fault, or else the pair of faults, with which the plain implementation computes what the trace shows."""
    if largest_excess(compare(recording, trace)) <= 1:
        return Diagnosis((), True)
    variants = [(name, how) for name, ways in FAULTS.items() for how in ways]
    seen = [(name, how, _distance(recording, trace, how)) for name, how in variants]
    fitting = [name for name, _, distance in seen if distance <= 1]
    if fitting:
        return Diagnosis(tuple(dict.fromkeys(fitting)), True)
    for (one, this), (other, that) in _pairs(variants):
        if _distance(recording, trace, this | that) <= 1:
            return Diagnosis((one, other), True, together=True)
    nearest = min(seen, key=lambda entry: entry[2])
    return Diagnosis((nearest[0],), False)


def _pairs(variants: list[tuple[str, dict[str, Any]]]) -> Iterator[tuple[tuple[str, dict[str, Any]], ...]]:
    for one, other in combinations(variants, 2):
        if one[0] != other[0] and not one[1].keys() & other[1].keys():
            yield one, other


def _distance(recording: Recording, trace: Trace, how: dict[str, Any]) -> float:
    """How far the trace is from the plain implementation with a fault, in units of what is allowed."""
    behaviour = replace(Behaviour(), **how)
    faulty = plain_trace(recording, behaviour)
    assert faulty.scores is not None
    return largest_excess(_against(recording, faulty, trace, hit_at_k=behaviour.hit_at_k))


def _against(recording: Recording, faulty: Trace, trace: Trace, *, hit_at_k: bool) -> list[Check]:
    """Compare with a faulty run as if that had been recorded."""
    assert faulty.scores is not None
    assert faulty.weights is not None
    assert faulty.batches is not None
    order = recording.test.event_positions() - 1
    owners = recording.test.session_ids[recording.test.event_sessions()]
    as_recorded = {name: value for name, value in recording.arrays.items() if not name.startswith("final/")}
    as_recorded |= {f"final/{name}": value for name, value in faulty.weights.items()}
    as_recorded["step/loss"] = np.array(faulty.losses)
    as_recorded["test_scores"] = faulty.scores
    as_recorded["test_keys"] = np.stack([owners, order, recording.test.target_items()], axis=1)
    metrics = metrics_of(recording, faulty.scores, hit_at_k=hit_at_k) if recording.metrics else {}
    pretended = replace(recording, arrays=as_recorded, metrics=metrics)
    checks = compare(pretended, replace(trace, batches=None))
    if trace.batches is not None:
        same = trace.batches == faulty.batches
        checks.append(Check("batches", float(not same), 2.0 * (not same)))
    return checks
