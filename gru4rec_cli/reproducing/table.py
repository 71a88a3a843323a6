"""A published table as a file: the data, the rows with their models and settings, and the printed figures."""

import json
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.base.settings import Settings
from gru4rec_cli.base.yaml_loader import YamlError, read_yaml
from gru4rec_cli.evaluation.metrics import METRICS

TABLES = Path(__file__).parent / "tables"


class Counts(Settings):
    """Counts that a split must have, as far as the source prints them."""

    train_events: int | None = Field(None, description="events of training")
    test_events: int | None = Field(None, description="events of the test")
    train_targets: int | None = Field(None, description="events to predict in training: all but the first of a session")
    test_targets: int | None = Field(None, description="events to predict in the test")
    items: int | None = Field(None, description="items of training")


class Form(Settings):
    """A form in which the data may be in a folder: its files, and the sections of a configuration that read them."""

    files: tuple[str, ...] = Field(min_length=1, description="names of the files; FOLDER in `study` stands for theirs")
    study: dict[str, Any] = Field(description="`data` and `split` of a configuration")


class Source(Settings):
    """The data of a table, which the user fetches."""

    name: str = Field(description="the data set")
    where: str = Field(description="where it is")
    terms: str = Field(description="terms of use, as the source states them")
    size: str = Field(description="how large it is")
    forms: tuple[Form, ...] = Field(min_length=1, description="forms in which it may be there; the first found is used")
    counts: Counts = Field(description="what the split must come to")


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
            metric, _, cutoff = name.partition("@")
            if metric not in METRICS or not cutoff.isdigit():
                raise ValueError(f"given {name!r}; allowed: {', '.join(METRICS)} with a cutoff, such as recall@20")
        return figures


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

    @property
    def cutoffs(self) -> tuple[int, ...]:
        """Return the cutoffs of all printed figures, ascending."""
        return tuple(sorted({int(name.split("@")[1]) for row in self.rows.values() for name in row.figures}))


@cache
def table_names() -> tuple[str, ...]:
    """Return the names of all tables."""
    return tuple(sorted(path.stem for path in TABLES.glob("*.yaml")))


def load_table(name: str) -> PublishedTable:
    """Return a table by its name, or from a YAML file of one's own.

    Raises:
        UsageError: there is no such table, or the file is wrong.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else TABLES / f"{name}.yaml"
    if not path.is_file():
        near = get_close_matches(name, table_names(), 1, 0.3)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"there is no table {name!r}", f"{hint}the tables are {', '.join(table_names())}")
    try:
        raw: Mapping[str, Any] = read_yaml(path)
    except (YamlError, OSError) as error:
        raise UsageError(f"{path}: {error}", "correct the file") from None
    try:
        return PublishedTable.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in error.errors()]
        raise UsageError(
            f"{path}: {len(problems)} problem{'s' * (len(problems) > 1)}\n  " + "\n  ".join(problems),
            "correct the file",
        ) from None
