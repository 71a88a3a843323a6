"""A training that ended while it still improved: fault 44."""

import pytest

from gru4rec_cli.models.neural.ending import improving_at_the_end


def rows(losses: list[float], valid: list[float] | None = None) -> list[dict[str, float]]:
    curve = [{"epoch": n, "loss": loss} for n, loss in enumerate(losses, start=1)]
    for row, value in zip(curve, valid or [], strict=False):
        row["valid_recall@20"] = value
    return curve


@pytest.mark.parametrize(
    ("losses", "valid", "sign"),
    [
        ([5.0, 4.0], None, "loss"),
        ([5.0, 4.0, 3.921], None, None),  # 1.975 %
        ([5.0, 4.0, 3.919], None, "loss"),  # 2.025 %
        ([5.0, 4.0, 4.5], None, None),
        ([5.0], None, None),  # one epoch shows nothing
        ([], None, None),
        ([5.0, 4.0, 3.0], [0.1, 0.2, 0.3], "validation"),
        ([5.0, 4.0, 3.0], [0.1, 0.3, 0.2], None),  # the loss falls, the ranking does not get better
        ([5.0, 4.0, 3.0], [0.1, 0.3, 0.3], None),  # the first of equal epochs is kept
        ([5.0], [0.1], None),
    ],
)
def test_fault_44_the_last_epoch_still_improved(losses: list[float], valid: list[float] | None, sign: str | None):
    assert improving_at_the_end(rows(losses, valid)) == sign
