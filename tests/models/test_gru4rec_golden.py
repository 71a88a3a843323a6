"""Replays what the author's implementation computed, step by step, with its weights, negatives and dropout."""

from pathlib import Path

import numpy as np
import pytest

from gru4rec_cli.conformance.comparison import compare
from gru4rec_cli.conformance.recording import Recording, read_recording
from gru4rec_cli.conformance.replay import StepKind, replay

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = sorted(path.stem for path in GOLDEN.glob("*.npz"))
# Tighter than the command's tolerances: loss relative, weights absolute, both float32 in another order of operations.
LOSS_TOLERANCE, WEIGHT_TOLERANCE = 1e-6, 5e-6
# Roundings grow here; at the end they make 3e-5 of the loss and 4e-5 of a weight, and 1e-6 and 5e-6.
GROWING = {"xe_shared_momentum_two_layers": (5e-5, 6e-5), "xe_shared_no_extra_negatives": (2e-6, 1e-5)}


kinds = pytest.mark.parametrize("kind", ["torch", "compiled"])


@pytest.fixture(params=CASES)
def recording(request: pytest.FixtureRequest) -> Recording:
    return read_recording(GOLDEN / request.param)


@kinds
def test_training_replays_step_by_step(recording: Recording, kind: StepKind):
    loss_tolerance, weight_tolerance = GROWING.get(recording.name, (LOSS_TOLERANCE, WEIGHT_TOLERANCE))
    trace = replay(recording, kind)
    assert trace.batches == recording.batches()
    np.testing.assert_allclose(trace.losses, recording.arrays["step/loss"], rtol=loss_tolerance)
    assert trace.weights is not None
    expected = recording.weights("final")
    assert set(trace.weights) == set(expected)
    for name, value in trace.weights.items():
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=weight_tolerance, err_msg=name)


@kinds
def test_the_trained_model_gives_the_recorded_scores_ranks_and_metrics(recording: Recording, kind: StepKind):
    checks = {check.name: check for check in compare(recording, replay(recording, kind))}
    assert {"scores", "ranks"} <= set(checks)
    assert checks["ranks"].deviation == 0
    assert ("metrics" in checks) == bool(recording.metrics)
    assert all(check.holds for check in checks.values())


def test_every_input_mode_and_loss_is_among_the_cases_with_dropout_and_without():
    seen = [read_recording(GOLDEN / case).settings for case in CASES]
    for drops in (False, True):
        these = [settings for settings in seen if (settings.dropout_p_hidden > 0) == drops]
        assert {settings.loss for settings in these} == {"cross-entropy", "bpr-max"}
        assert {"shared", "none"} < {settings.embedding for settings in these}
        assert any(isinstance(settings.embedding, int) for settings in these)


def test_every_case_has_narrow_batches():
    widths = {case: read_recording(GOLDEN / case).arrays["step/n_valid"] for case in CASES}
    assert all(width.min() < width.max() for width in widths.values())
