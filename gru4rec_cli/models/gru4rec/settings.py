"""Settings of GRU4Rec, named as the author names them."""

from typing import Annotated, Literal

from pydantic import Field

from gru4rec_cli.models.base import ModelSettings

Probability = Annotated[float, Field(ge=0, lt=1)]


class Settings(ModelSettings):
    """The defaults are the author's parameter file for RSC15."""

    loss: Literal["cross-entropy"] = Field("cross-entropy", description="training loss")
    layers: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (100,), min_length=1, description="hidden units of every GRU layer, first to last"
    )
    embedding: Literal["shared"] = Field("shared", description="input vectors: shared with the output item matrix")
    epochs: int = Field(10, ge=1, description="passes over the training sessions")
    batch_size: int = Field(32, ge=2, description="lanes B: sessions walked in parallel")
    learning_rate: float = Field(0.2, gt=0, description="Adagrad learning rate")
    momentum: float = Field(0.2, ge=0, lt=1, description="momentum of the Adagrad steps; 0: none")
    n_sample: int = Field(2048, ge=0, description="extra negatives a step, beside the other lanes' targets")
    sample_alpha: float = Field(0.5, ge=0, le=1, description="extra negatives are drawn with probability support^alpha")
    dropout_p_embed: Probability = Field(0.0, description="probability of dropping a unit of the input vector")
    dropout_p_hidden: Probability = Field(0.4, description="probability of dropping a unit of a GRU layer's output")
    logq: float = Field(1.0, ge=0, description="strength of the logQ correction of sampled scores; 0: none")
