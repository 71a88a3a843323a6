"""The base of every section of the configuration."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A frozen, strict section: unknown keys and wrong types are errors, never guessed at."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class ModelSettings(Settings):
    """Base of the settings of every model kind."""

    @property
    def training_order(self) -> Literal["time", "shuffled"] | None:
        """The order in which an epoch takes the training data; None where there are no epochs."""
        return None

    def check_ready(self, where: str, *, to_fit: bool) -> None:
        """Check that this machine can fit such a model, or use a fitted one; `where` is its key in the configuration.

        Raises:
            StudyError: something that the model needs is missing.
        """

    def memory_needed(self, n_items: int) -> dict[str, int]:
        """Return the bytes that fitting needs at least with so many items, by the setting that decides how many."""
        return {}
