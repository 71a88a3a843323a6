"""Settings that every neural model has, and those of the models that torch's Adam trains."""

import re
from copy import copy
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from gru4rec_cli.base.settings import ModelSettings

Loss = Literal["cross-entropy", "sampled-softmax", "bce", "gbce"]


class NeuralSettings(ModelSettings):
    """Settings of training: how long, on what device, and which epoch is kept."""

    epochs: int = Field(10, ge=1, description="passes over the training sessions")
    validate_on: str | None = Field(
        None,
        description="metric on the validation sessions after every epoch, such as recall@20; the best epoch is kept; "
        "a cutoff above the number of items means all items; needs split.valid; null: no validation, the last epoch is "
        "kept",
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
        from gru4rec_cli.evaluation.metrics import metric_at_k

        if validate_on is not None:
            metric_at_k(validate_on)
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


class GradientSettings(NeuralSettings):
    """Settings of the models that Adam trains on batches of sessions: batches, optimiser, loss.

    The defaults are those of Klenitskiy & Vasilev (RecSys 2023) where nothing else is said.
    """

    hidden_size: int = Field(64, ge=1, description="units D of item vectors and states")
    length: int = Field(50, ge=1, description="number of last clicks of a history that are used")
    batch_size: int = Field(128, ge=1, description="sessions of a training step")
    order: Literal["shuffled", "time"] = Field(
        "shuffled",
        description="order of the training sessions: shuffled: new in every epoch; time: as in the data. 16 batches at "
        "a time are then sorted by length, which saves padding, and used in random order",
    )
    learning_rate: float = Field(0.001, gt=0, description="Adam learning rate")
    lr_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="factor on the learning rate after every lr_decay_every epochs; 1: the rate stays",
    )
    lr_decay_every: int = Field(3, ge=1, description="epochs from one lr_decay to the next")
    beta2: float = Field(0.999, ge=0, lt=1, description="Adam's decay of the mean squared gradient; beta1 is 0.9")
    sparse_adam: bool = Field(
        False,
        description="true: Adam does not change vectors and moments of items that a step does not use "
        "(torch's SparseAdam): faster with hundreds of thousands of items; false: as published",
    )
    loss: Loss = Field(
        "sampled-softmax",
        description="cross-entropy: softmax over all items; sampled-softmax: over the target and the negatives "
        "(Klenitskiy & Vasilev, 2023); bce: binary cross-entropy of the target and the negatives (Kang & McAuley, "
        "2018); gbce: the same, with the target's part made smaller to make up for sampling (Petrov & Macdonald, 2023)",
    )
    n_sample: int = Field(
        2048,
        ge=1,
        description="negatives of an event, drawn with replacement (published for sampled-softmax: 3,000 for each "
        "session; for bce: 1; for gbce: 256); one that is the event's target does not count; not used by cross-entropy",
    )
    negatives: Literal["shared", "own"] = Field(
        "shared",
        description="shared: all events of a step have the same negatives; own: every event has its own, as published "
        "for bce and gbce, which takes much longer with many of them",
    )
    sample_alpha: float = Field(
        0.0,
        ge=0,
        le=1,
        description="negatives are drawn with probability q ∝ support^alpha, and log q is subtracted from their "
        "scores, up to a constant that makes it 0 for alpha 0 (logQ correction)",
    )
    gbce_t: float = Field(
        0.75,
        ge=0,
        le=1,
        description="calibration t of gbce: 0 is bce, 1 makes up for sampling entirely (Petrov & Macdonald, 2023)",
    )

    def rate_factor(self, epoch: int) -> float:
        """Return the factor on the learning rate in epoch 1, 2, …"""
        return float(self.lr_decay ** ((epoch - 1) // self.lr_decay_every))

    @property
    def training_order(self) -> Literal["time", "shuffled"]:
        """The order in which an epoch takes the training data."""
        return self.order

    def memory_needed(self, n_items: int) -> dict[str, int]:
        """Return the bytes that a training needs at least, by the setting that decides how many.

        Each parameter has a gradient and Adam's two means beside it, in float32. Each session of a batch has at least
        one state, with a score for every item or negative. Scores and gathered vectors have a gradient.
        """
        own = self.batch_size if self.negatives == "own" else 1
        every_item = self.loss == "cross-entropy"
        return {
            "hidden_size": 16 * n_items * self.hidden_size,
            "batch_size": 8 * self.batch_size * (n_items if every_item else self.hidden_size),
            "n_sample": 0 if every_item else 8 * self.n_sample * (own * self.hidden_size + self.batch_size),
        }

    @model_validator(mode="after")
    def _sparse_with_sampling(self) -> Self:
        if self.sparse_adam and self.loss == "cross-entropy":
            raise ValueError("sparse_adam: cross-entropy uses every item in every step; set another loss, or false")
        return self

    @model_validator(mode="after")
    def _bce_draws_alike(self) -> Self:
        if self.loss in ("bce", "gbce") and self.sample_alpha:
            raise ValueError(f"sample_alpha: {self.loss} has no logQ correction; set 0, or loss: sampled-softmax")
        return self


def with_default(settings: type[NeuralSettings], name: str, default: object) -> Any:
    """Return a field of other settings with another default, for a model that was published with it."""
    field = copy(settings.model_fields[name])
    field.default = default
    return field
