"""Settings that every neural model has."""

import re
from typing import Self

from pydantic import Field, field_validator, model_validator

from gru4rec_cli.base.settings import ModelSettings


class NeuralSettings(ModelSettings):
    """Settings of training: how long, on what device, and which epoch is kept."""

    epochs: int = Field(10, ge=1, description="passes over the training sessions")
    validate_on: str | None = Field(
        None,
        description="metric on the validation sessions after every epoch, such as recall@20; the best epoch is kept; "
        "needs split.valid; null: no validation, the last epoch is kept",
    )
    patience: int | None = Field(
        None,
        ge=1,
        description="stop after this many epochs without a better value of validate_on; null: train all epochs",
    )
    device: str = Field(
        "cpu",
        description="where to train and rank: auto (an NVIDIA GPU if there is one, else the CPU), cpu, cuda, cuda:1 "
        "and so on, mps",
    )

    @field_validator("validate_on")
    @classmethod
    def _is_a_metric_at_k(cls, validate_on: str | None) -> str | None:
        from gru4rec_cli.evaluation.metrics import METRIC_AT_K_PATTERN, METRICS

        if validate_on is not None and not re.fullmatch(METRIC_AT_K_PATTERN, validate_on):
            raise ValueError(f"given {validate_on!r}; allowed: {', '.join(METRICS)} with a cutoff, such as recall@20")
        return validate_on

    @field_validator("device")
    @classmethod
    def _is_a_device(cls, device: str) -> str:
        if not re.fullmatch(r"auto|cpu|cuda|cuda:[0-9]{1,3}|mps", device):
            raise ValueError(f"given {device!r}; allowed: auto, cpu, cuda, cuda:0 and so on, mps")
        return device

    @model_validator(mode="after")
    def _patience_for_something(self) -> Self:
        if self.patience is not None and self.validate_on is None:
            raise ValueError("patience: needs validate_on, the metric that must improve")
        return self

    def check_memory(self, n_items: int, where: str = "") -> None:
        """Check that a training with so many items fits into memory.

        Raises:
            UsageError: it does not.
        """
        from gru4rec_cli.data.memory import require_room

        for key, needed in self.memory_needed(n_items).items():
            require_room(needed, f"{where}{key}: {getattr(self, key)}", f"lower {key}")

    def check_ready(self, where: str, *, to_fit: bool) -> None:
        """Check that this machine has the device to train on; without it a fitted model is used on the CPU.

        Raises:
            UsageError: there is no such device, or training needs more memory than there is, whatever the data.
        """
        if not to_fit:
            return
        self.check_memory(2, f"{where}.")
        if self.device not in ("auto", "cpu"):  # those are always there, and torch takes long to load
            from gru4rec_cli.models.neural.devices import find_device

            find_device(self.device, f"{where}.device")
