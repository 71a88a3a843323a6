"""Item ids as users give them: text on a command line or in a file, compared as text with those of a model."""

import csv
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from gru4rec_cli.base.errors import DataError, UsageError
from gru4rec_cli.base.names import ITEM
from gru4rec_cli.data import delimited
from gru4rec_cli.data.delimited import Dialect
from gru4rec_cli.models.fitted import FittedModel

_TABLES = (".csv", ".tsv", ".parquet")
_COLUMNS = ("ItemId", ITEM, "item")  # of a table, where none is named


@dataclass(frozen=True)
class GivenIds:
    """Ids as they were given: those that the model knows, as it has them, and the others."""

    known: list[int | str]
    unknown: list[str]


def given_ids(texts: list[str], fitted: FittedModel) -> GivenIds:
    """Return which of some ids a model knows. The number 7 is the text 7 alone, and not 07."""
    ids = {str(item): item for item in fitted.id_list}
    return GivenIds([ids[text] for text in texts if text in ids], [text for text in texts if text not in ids])


def ids_in(text: str, option: str) -> list[str]:
    """Return the ids that an option names, with commas between them; one that holds a comma is put in quotes.

    Raises:
        UsageError: it names none, or an id is empty.
    """
    texts = [part.strip() for row in csv.reader([text], skipinitialspace=True) for part in row]
    if not any(texts):
        raise UsageError(f"{option}: no item is named", f"give ids with commas between them, such as {option} A,B")
    if not all(texts):
        raise UsageError(f"{option}: there is an empty id in {text!r}", "is there a comma too many?")
    return texts


def read_id_file(path: Path, column: str | None) -> list[str]:
    """Return the ids in a file: one a line, or those of a column of a .tsv, .csv (either may end in .gz) or .parquet.

    Raises:
        DataError: it cannot be read, has no such column, or holds no ids.
    """
    if not path.is_file():
        raise DataError(f"there is no file {path}", "check the path; it is relative to the current folder")
    suffix = Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix
    ids = _column(path, column) if suffix.lower() in _TABLES else _lines(path)
    found = [text for text in dict.fromkeys(ids) if text]
    if not found:
        raise DataError(f"{path}: holds no item id", "write one a line, or a table with a column of them")
    return found


def _lines(path: Path) -> list[str]:
    delimited.require_plain_text(path)
    try:
        return [line.decode().strip() for _, line in delimited.numbered_lines(path)]
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not text in UTF-8", "convert it to UTF-8, one item id a line") from None


def _column(path: Path, column: str | None) -> list[str]:
    separator = delimited.separator_of(path, None)
    try:
        if separator is None:
            delimited.require_parquet(path)
            name = _named(path, list(pl.read_parquet_schema(path)), column)
            values = pl.read_parquet(path, columns=[name], glob=False, hive_partitioning=False)[name]
        else:
            name = _named(path, delimited.read_header(path, Dialect(separator)), column)
            table = pl.read_csv(path, separator=separator, infer_schema=False, glob=False)
            values = table[name]
        if not (values.dtype.is_integer() or values.dtype in (pl.String, pl.Categorical, pl.Enum)):
            raise DataError(f"{path}: column {name!r} holds {values.dtype}, not ids", "write text or whole numbers")
        texts: list[str] = values.drop_nulls().cast(pl.String).to_list()
    except (PolarsError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path}: cannot be read ({reason})", "is it complete? Write it again") from None
    return texts


def _named(path: Path, columns: list[str], column: str | None) -> str:
    """Return the column of the ids."""
    wanted = _COLUMNS if column is None else (column,)
    found = next((name for name in wanted if name in columns), None)
    if found is None:
        raise DataError(
            f"{path}: there is no column {' or '.join(wanted)}; the columns are {', '.join(columns[:20])}",
            "name the column of item ids with --item",
        )
    return found
