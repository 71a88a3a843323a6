"""Signs that a training ended too early: its last epoch still made the model better."""

from collections.abc import Mapping, Sequence
from typing import Literal

STILL_FALLING = 0.02  # of the loss of the epoch before; docs/warnings.md says why

Sign = Literal["validation", "loss"]


def improving_at_the_end(curve: Sequence[Mapping[str, float]]) -> Sign | None:
    """Return what shows that the last epoch still improved a model, or None.

    `curve` has a row an epoch: its loss and, where epochs are validated, `valid_METRIC`. With validation, the sign is
    that the last epoch is the best one. Without it, the training loss fell by more than STILL_FALLING in the last
    epoch. One epoch alone shows nothing.
    """
    if len(curve) < 2:
        return None
    *earlier, last = curve
    key = next((name for name in last if name.startswith("valid_")), None)
    if key is not None:
        return "validation" if all(last[key] > row[key] for row in earlier) else None
    fell = earlier[-1]["loss"] - last["loss"]
    return "loss" if fell > STILL_FALLING * abs(earlier[-1]["loss"]) else None
