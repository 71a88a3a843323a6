"""A published table as a file: the data, the rows with their models and settings, and the printed figures."""

from collections.abc import Iterator
from typing import Any

from pydantic import Field, field_validator

from gru4rec_cli.base.settings import Settings
from gru4rec_cli.evaluation.metrics import TieRule, metric_at_k


class Counts(Settings):
    """Counts that a split must have, as far as the source prints them."""

    train_events: int | None = Field(None, description="events of training")
    test_events: int | None = Field(None, description="events of the test")
    train_targets: int | None = Field(None, description="events to predict in training: all but the first of a session")
    test_targets: int | None = Field(None, description="events to predict in the test")
    items: int | None = Field(None, description="items of training")


class Reading(Settings):
    """The sections of a configuration that read and divide the files."""

    data: dict[str, Any] = Field(description="`data` of a configuration; FOLDER stands for the folder of the files")
    split: dict[str, Any] = Field({}, description="`split` of a configuration")


class Form(Settings):
    """A form in which the data may be in a folder: its files, and how they are read."""

    files: tuple[str, ...] = Field(min_length=1, description="names of the files")
    study: Reading


class Source(Settings):
    """The data of a table, which the user fetches."""

    name: str = Field(description="the data set")
    where: str = Field(description="where it is")
    terms: str = Field(description="terms of use, as the source states them")
    size: str = Field(description="how large it is")
    forms: tuple[Form, ...] = Field(min_length=1, description="forms in which it may be there; the first found is used")
    counts: Counts = Field(Counts(), description="what the split must come to")


class Row(Settings):
    """A row of the table: what was printed, and the model that is run for it."""

    figures: dict[str, float] = Field(
        {}, description="printed values, such as recall@20: .5; none: the table left it out"
    )
    stated: dict[str, Any] = Field({}, description="settings that the source states, by the names of our settings")
    model: dict[str, Any] = Field(description="our model: kind and settings")
    note: str = Field("", description="what a reader should know of the row")

    @field_validator("figures")
    @classmethod
    def _are_metrics(cls, figures: dict[str, float]) -> dict[str, float]:
        for name in figures:
            metric_at_k(name)
        return figures


class AsPublished(Settings):
    """Choices of the source that are faults; `--as-published` makes them, for figures below the corrected ones."""

    ties: TieRule | None = Field(None, description="the tie rule of the source; conservative is the corrected one")
    best_test_epoch: str | None = Field(
        None,
        description="metric, such as recall@20, by which the source keeps the epoch that is best on the test",
    )

    @field_validator("best_test_epoch")
    @classmethod
    def _is_a_metric_at_k(cls, best_test_epoch: str | None) -> str | None:
        if best_test_epoch is not None:
            metric_at_k(best_test_epoch)
        return best_test_epoch

    def sentences(self) -> Iterator[str]:
        """Yield every choice in words."""
        if self.ties:
            yield f"ties are {self.ties}"
        if self.best_test_epoch:
            yield f"of the epochs, the one is kept that is best on the test by {self.best_test_epoch}"


class PublishedTable(Settings):
    """A published table."""

    title: str = Field(description="what the table is")
    source: str = Field(description="paper or page, and where in it")
    data: Source
    rows: dict[str, Row] = Field(min_length=1, description="rows by name")
    seeds: tuple[int, ...] = Field((1, 2, 3), min_length=1, description="seeds of models that are random")
    deviations: tuple[str, ...] = Field(
        (), description="what the source does and this program does not, or the reverse"
    )
    as_published: AsPublished = AsPublished()

    @property
    def cutoffs(self) -> tuple[int, ...]:
        """Return the cutoffs of all printed figures, ascending."""
        return tuple(sorted({metric_at_k(name)[1] for row in self.rows.values() for name in row.figures}))


def model_name(row: str) -> str:
    """Return the name of a row's model in the configuration: ASCII letters, digits and - alone."""
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in row.lower()).strip("-")
