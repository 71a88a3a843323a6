"""Settings of the author's GRU4Rec, with the names of ours: the same entry can be used for both."""

from typing import Any, Self

from pydantic import model_validator

from gru4rec_cli.models.gru4rec.settings import TrainingSettings


class Settings(TrainingSettings):
    """Names, meanings and defaults are those of kind `gru4rec`, without what the author's code lacks: validation."""

    @model_validator(mode="after")
    def _author_has_it(self) -> Self:
        if self.full_softmax:
            raise ValueError("n_sample: all: the author's code has no softmax over all items; give a number")
        return self

    def check_ready(self, where: str, *, to_fit: bool) -> None:
        """Check that the author's code is there, as pinned, and that a training fits into memory.

        Raises:
            StageError: it is not there, or has changed.
            UsageError: training needs more memory than there is, whatever the data.
        """
        from gru4rec_cli.data.memory import require_room

        for key, needed in self.memory_needed(2).items() if to_fit else ():
            require_room(needed, f"{where}.{key}: {getattr(self, key)}", f"lower {key}")
        from gru4rec_cli.models.official.fetching import verified_checkout

        verified_checkout()

    @property
    def compatible(self) -> bool:
        """True if the author's default initialisation can make these shapes; otherwise his second one is used."""
        widths = {*self.layers} if self.embedding == "none" else {self.input_width, *self.layers}
        return len(widths) == 1 and (self.embedding != "none" or len(self.layers) == 1)

    def author_parameters(self) -> dict[str, Any]:
        """Return these settings under the author's names."""
        return {
            "loss": self.loss,
            "constrained_embedding": self.embedding == "shared",
            "embedding": 0 if self.embedding in ("shared", "none") else self.input_width,
            "layers": list(self.layers),
            "n_epochs": self.epochs,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "momentum": self.momentum,
            "n_sample": self.n_sample,
            "sample_alpha": self.sample_alpha,
            "dropout_p_embed": self.dropout_p_embed,
            "dropout_p_hidden": self.dropout_p_hidden,
            "logq": self.logq_strength,
            "bpreg": self.regularisation,
            "elu_param": self.elu,
        }
