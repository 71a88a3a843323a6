"""The `tune:` section of the configuration."""

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from gru4rec_cli.base.settings import Settings
from gru4rec_cli.evaluation.metrics import metric_at_k


class Budget(Settings):
    """The trials or seconds that a search may use, the same for every model."""

    trials: int | None = Field(None, ge=1, le=9_999, description="settings that are tried; the model's own come first")
    seconds: float | None = Field(
        None, gt=0, description="time of all trials together; one that has begun ends; the choice differs by machine"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.trials is None) == (self.seconds is None):
            raise ValueError("give trials or seconds, one of both")
        return self


class TuneSettings(Settings):
    """Settings of the search for hyperparameters on validation sessions."""

    models: dict[str, dict[str, Any] | None] | None = Field(
        None,
        description="models of baseline and train that are tuned, each with its space: values by setting as a list, "
        "{from, to, step}, {from, to, scale: log} or {of_mean_session_length: [multiples]}; null instead of a space: "
        "the published one; null instead of models: all that have a published space",
    )
    budget: Budget = Field(Budget(trials=30), description="the same for every model: {trials: N} or {seconds: S}")
    metric: str = Field(
        "mrr@20",
        description="what is measured on the validation sessions, such as recall@20; a cutoff above the number of "
        "items means all items",
    )
    search: Literal["random", "tpe"] = Field(
        "random",
        description="how points are chosen: random: independently; tpe: from earlier trials (the extra [tune], Optuna)",
    )
    prune: bool = Field(
        True,
        description="end a trial after an epoch in which its best value so far is below the median of the first five "
        "trials; for models with epochs",
    )
    choose: Literal["best", "one-standard-error"] = Field(
        "best",
        description="best: the trial with the highest value; one-standard-error: the first one, the model's own "
        "settings before all others, that is within one standard error of it",
    )
    defaults: bool = Field(True, description="evaluate every tuned model with its own settings, too, as NAME_default")

    @field_validator("metric")
    @classmethod
    def _is_a_metric_at_k(cls, metric: str) -> str:
        metric_at_k(metric)
        return metric
