"""Settings of GRU4Rec, named as the author names them."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gru4rec_cli.base.settings import ModelSettings
from gru4rec_cli.models.neural.settings import NeuralSettings

Probability = Annotated[float, Field(ge=0, lt=1)]

_CROSS_ENTROPY, _BPR_MAX = "cross-entropy", "bpr-max"
_LARGEST = 1e38  # of a parameter that torch takes as a float32
COMPILED_LOSSES = (_CROSS_ENTROPY, _BPR_MAX)  # those that the compiled step knows; the torch step knows all
_BELONGS_TO = {"logq": _CROSS_ENTROPY, "bpreg": _BPR_MAX, "elu_param": _BPR_MAX}


class TrainingSettings(ModelSettings):
    """Settings that the author's code and ours have in common; the defaults are his parameter file for RSC15."""

    loss: Literal["cross-entropy", "bpr-max"] = Field("cross-entropy", description="training loss")
    layers: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (100,), min_length=1, description="hidden units of every GRU layer, first to last"
    )
    embedding: Literal["shared", "layersize", "none"] | Annotated[int, Field(ge=1)] = Field(
        "shared",
        description="input vectors: shared: the output item matrix; a number: a separate matrix of this width; "
        "layersize: one as wide as the first layer; none: one-hot, a row of the first layer's input weights",
    )
    epochs: int = Field(10, ge=1, description="passes over the training sessions")
    batch_size: int = Field(32, ge=2, description="slots B of a mini-batch: sessions processed in parallel")
    learning_rate: float = Field(0.2, gt=0, description="Adagrad learning rate")
    momentum: float = Field(0.2, ge=0, lt=1, description="momentum of the Adagrad steps; 0: none")
    n_sample: Annotated[int, Field(ge=0)] | Literal["all"] = Field(
        2048,
        description="extra negatives for each step, besides the targets of the other slots; all (cross-entropy only): "
        "the softmax is over all items, nothing is sampled, and every step changes every item",
    )
    sample_alpha: float = Field(0.5, ge=0, le=1, description="extra negatives are drawn with probability support^alpha")
    dropout_p_embed: Probability = Field(
        0.0, description="probability of dropping a unit of the input vector (one-hot: of the first layer's output)"
    )
    dropout_p_hidden: Probability = Field(
        0.4, description="probability of dropping a unit of a GRU layer's output (one-hot: not of the first layer's)"
    )
    logq: float | None = Field(
        None, ge=0, description="cross-entropy: strength of the logQ correction of sampled scores; 0: none; default 1"
    )
    bpreg: float | None = Field(None, ge=0, description="bpr-max: weight of the score regularisation; default 1")
    elu_param: float | None = Field(
        None,
        ge=0,
        le=_LARGEST,
        description="bpr-max: parameter of the ELU that scores pass through; 0: no ELU; default 0.5",
    )

    @model_validator(mode="after")
    def _loss_has_its_own(self) -> Self:
        for name, loss in _BELONGS_TO.items():
            if getattr(self, name) is not None and self.loss != loss:
                raise ValueError(f"{name} is for the loss {loss}, but the loss is {self.loss}; leave {name} out")
        if self.full_softmax and self.loss != _CROSS_ENTROPY:
            raise ValueError(f"n_sample: all is for the loss {_CROSS_ENTROPY}, but the loss is {self.loss}")
        if self.full_softmax and self.logq:
            raise ValueError("logq corrects for sampling, but with n_sample: all nothing is sampled; leave logq out")
        return self

    @property
    def full_softmax(self) -> bool:
        """True if the softmax is over all items."""
        return self.n_sample == "all"

    @property
    def n_negatives(self) -> int:
        """Number of negatives that a step draws."""
        return 0 if self.n_sample == "all" else self.n_sample

    @property
    def training_order(self) -> Literal["time"]:
        """The order in which an epoch takes the sessions: always that of time, as the author has it."""
        return "time"

    @property
    def logq_strength(self) -> float:
        """Strength of the logQ correction, 0 where there is none."""
        if self.loss != _CROSS_ENTROPY or self.full_softmax:
            return 0.0
        return 1.0 if self.logq is None else self.logq

    @property
    def regularisation(self) -> float:
        """`bpreg` of BPR-max."""
        return 1.0 if self.bpreg is None else self.bpreg

    @property
    def elu(self) -> float:
        """ELU parameter of BPR-max, 0 for linear scores."""
        return 0.5 if self.elu_param is None else self.elu_param

    def memory_needed(self, n_items: int) -> dict[str, int]:
        """Return the bytes that a training needs at least, by the setting that decides how many.

        Each parameter has an accumulator beside it, in float32. A step gathers the vectors of its negatives, and every
        slot has a score for each; both have a gradient. With a softmax over all items, so have all of these.
        """
        scored = n_items if self.n_sample == "all" else self.n_sample
        separate = self.input_width if self.embedding not in ("shared", "none") else 0
        first = n_items if self.embedding == "none" else 0
        gates = sum(
            3 * units * (below + units) for below, units in zip((first, *self.layers), self.layers, strict=False)
        )
        return {
            "embedding": 8 * separate * (n_items + 3 * self.layers[0]),
            "layers": 8 * (gates + n_items * self.layers[-1]),
            "batch_size": 4 * self.batch_size * sum(self.layers),
            "n_sample": 8 * scored * (self.layers[-1] + self.batch_size),
        }

    @property
    def input_width(self) -> int:
        """Width of the input vector of the first GRU layer; not used in one-hot mode."""
        if self.embedding == "shared":
            return self.layers[-1]
        return self.embedding if isinstance(self.embedding, int) else self.layers[0]


class Settings(NeuralSettings, TrainingSettings):  # pydantic takes fields from the last base first
    """Settings of our GRU4Rec."""

    step: Literal["auto", "torch", "compiled"] = Field(
        "auto",
        description="how a training step is computed: torch: on any device; compiled: on the CPU, several times "
        "faster, but compiling takes up to a minute once; auto: compiled if the training is long enough",
    )

    @model_validator(mode="after")
    def _can_be_compiled(self) -> Self:
        if self.step == "compiled" and self.device not in ("auto", "cpu"):
            raise ValueError(
                f"step: compiled runs on the CPU only, but the device is {self.device}; set step to torch or auto"
            )
        if self.step == "compiled" and self.full_softmax:
            raise ValueError("step: the softmax over all items has no compiled form; set step to torch or auto")
        if self.step == "compiled" and self.loss not in COMPILED_LOSSES:
            raise ValueError(f"step: the loss {self.loss} has no compiled form; set step to torch or auto")
        return self
