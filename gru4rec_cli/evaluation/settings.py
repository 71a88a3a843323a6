"""The `evaluate:` section of the configuration."""

from typing import Annotated

from pydantic import Field, field_validator

from gru4rec_cli.base.settings import Settings
from gru4rec_cli.evaluation.metrics import LARGEST_CUTOFF, TieRule


class EvaluateSettings(Settings):
    """Settings of how ranks are turned into metrics (the ranks themselves do not depend on it)."""

    cutoffs: tuple[Annotated[int, Field(ge=1, le=LARGEST_CUTOFF)], ...] = Field(
        (5, 10, 20),
        min_length=1,
        max_length=100,
        description="list lengths K at which every metric is measured; one above the number of items means all items",
    )
    ties: TieRule = Field(
        "conservative", description="tie rule of the headline results: conservative, median or optimistic"
    )
    resamples: int = Field(1000, ge=0, le=100_000, description="bootstrap resamples of sessions; 0: no intervals")
    confidence: float = Field(
        0.95, gt=0, lt=1, description="coverage of the intervals; differences are significant below p = 1 - confidence"
    )
    permutations: int = Field(
        10_000, ge=1, le=1_000_000, description="random sign flips of the sessions for the p-values of differences"
    )
    sensitivity: bool = Field(
        False,
        description="add the results of protocols with 100 and 1,000 sampled negatives, and of other tie rules",
    )

    predictions: dict[str, str] = Field(
        {},
        description="files of ranked lists that other tools wrote, by the name that each has in the results: TREC run, "
        ".csv, .tsv or .parquet; each is judged on the same events as the models: docs/predictions.md",
    )

    @field_validator("cutoffs")
    @classmethod
    def _ascending(cls, cutoffs: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(cutoffs)))
