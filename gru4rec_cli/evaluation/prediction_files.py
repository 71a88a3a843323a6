"""Files of ranked lists that another tool wrote: TREC run files, CSV, TSV and Parquet."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.names import ITEM, SESSION
from gru4rec_cli.data import delimited
from gru4rec_cli.data.delimited import Batch, Dialect

PLACE = "place"  # of the click to be predicted in its session, from 1; `names.POSITION` counts the clicks before it
SCORE = "score"
RANK = "rank"
VALUE = "value"  # orders a list, the highest first: the score, or the rank with its sign changed
FIRST_PLACE = 2

_TABLES = (".csv", ".tsv", ".parquet")
_COLUMNS = {  # accepted names, in lower case and without all but letters and digits
    SESSION: ("session", "sessionid"),
    PLACE: ("position",),
    ITEM: ("item", "itemid"),
    SCORE: ("score",),
    RANK: ("rank",),
}
_SHOWN = {SESSION: "session", PLACE: "position", ITEM: "item", SCORE: "score", RANK: "rank"}
_NUMBERS: Mapping[str, type[pl.DataType]] = {PLACE: pl.Int64, SCORE: pl.Float64, RANK: pl.Int64}
_RUN_LINE = r"^([^ \t]+):([^ \t:]+)[ \t]+[^ \t]+[ \t]+([^ \t]+)[ \t]+([^ \t]+)[ \t]+([^ \t]+)[ \t]+[^ \t]+$"
_ROW = "row"
_POSITION_HINT = (
    "the position is the place in its session of the click to be predicted, from 1, so that the first one is "
    f"{FIRST_PLACE}; if yours count the clicks before it, add 1"
)


@dataclass(frozen=True)
class Predictions:
    """The ranked lists of a file, a row an item of a list, in file order.

    `lists`: SESSION and ITEM (String), PLACE (Int64), VALUE (Float64), and SCORE (Float64) and RANK (Int64) where the
    file has them. With both, the score decides. Ranks may begin at any number.
    """

    path: Path
    lists: pl.DataFrame


def read_predictions(path: Path) -> Predictions:
    """Read a file of ranked lists; .csv, .tsv and .parquet by their names, all others as TREC run files (any of the
    texts may end in .gz).

    Raises:
        DataError: the file cannot be read or holds no lists, a column is missing or of the wrong type, or a value is
            empty, not a number, or a position below 2; names the line or row.
    """
    if not path.is_file():
        raise DataError(f"there is no file {path}", "check the path; it is relative to the current folder")
    suffix = Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix
    lists = _read_table(path) if suffix.lower() in _TABLES else _read_run(path)
    if lists.is_empty():
        raise DataError(f"{path}: holds no ranked list", "is this the right file?")
    value = pl.col(SCORE) if SCORE in lists.columns else -pl.col(RANK).cast(pl.Float64)
    return Predictions(path, lists.with_columns(value.alias(VALUE)))


def _read_run(path: Path) -> pl.DataFrame:
    """Return the lists of a TREC run file: `SESSION:POSITION Q0 ITEM RANK SCORE TAG`, a line an item."""
    delimited.require_plain_text(path)
    return pl.concat([_run_batch(path, batch) for batch in delimited.batches(path)] or [pl.DataFrame()])


def _run_batch(path: Path, batch: Batch) -> pl.DataFrame:
    try:
        text = batch.text.decode("utf-8-sig" if batch.first_line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        line = batch.first_line + batch.text.count(b"\n", 0, error.start)
        raise DataError(f"{path}: line {line} is not UTF-8", "convert the file to UTF-8") from None
    lines = pl.DataFrame({"line": text.split("\n")}).with_row_index(_ROW, offset=batch.first_line)
    lines = lines.with_columns(pl.col("line").str.strip_chars(" \t\r")).filter(pl.col("line") != "")
    fields = lines.with_columns(pl.col("line").str.extract_groups(_RUN_LINE)).unnest("line")
    fields = fields.rename(dict(zip("12345", (SESSION, PLACE, ITEM, RANK, SCORE), strict=True)))
    bad = fields.filter(pl.col(SESSION).is_null())
    if bad.height:
        line = bad[_ROW][0]
        found = lines.filter(pl.col(_ROW) == line)["line"][0]
        raise DataError(
            f"{path}: line {line} is {found[:80]!r}, not `SESSION:POSITION Q0 ITEM RANK SCORE TAG` of a TREC run",
            "a table needs a name in .csv, .tsv or .parquet, and the columns session, position, item, score; ids with "
            "spaces need a table",
        )
    return _checked(path, fields, lambda row: f"line {row}").drop(_ROW)


def _read_table(path: Path) -> pl.DataFrame:
    """Return the lists of a table with a header."""
    separator = delimited.separator_of(path, None)
    if separator is None:
        delimited.require_parquet(path)
        with _explained(path, None):
            columns = _columns_of(path, pl.read_parquet_schema(path))
            table = pl.read_parquet(path, columns=list(columns.values()), glob=False, hive_partitioning=False)
        _require_types(path, table, columns)
        return _named(path, table, columns, lambda row: f"row {row + 1}")
    dialect = Dialect(separator)
    columns = _columns_of(path, delimited.read_header(path, dialect))
    with _explained(path, dialect):
        table = pl.read_csv(path, separator=separator, infer_schema=False, glob=False)
    return _named(path, table, columns, lambda row: f"line {delimited.line_of_row(path, dialect, row)}")


@contextmanager
def _explained(path: Path, dialect: Dialect | None) -> Iterator[None]:
    """Turn what polars refuses into a `DataError`, which names the line of a text file where one is to blame."""
    try:
        yield
    except (PolarsError, OSError) as error:
        if dialect is not None:
            delimited.check_records(path, dialect)
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path}: cannot be read ({reason})", "is it complete? Write it again") from None


def _columns_of(path: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the columns of a file by what they hold."""
    names = list(names)
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^a-z0-9]", "", name.lower())
        kind = next((kind for kind, accepted in _COLUMNS.items() if plain in accepted), None)
        if kind is not None and kind in found:
            raise DataError(f"{path}: two columns name the {_SHOWN[kind]}: {found[kind]!r} and {name!r}", "drop one")
        if kind is not None:
            found[kind] = name
    lacking = [_SHOWN[kind] for kind in (SESSION, PLACE, ITEM) if kind not in found]
    lacking += ["score or rank"] if SCORE not in found and RANK not in found else []
    if lacking:
        raise DataError(
            f"{path}: there is no column {', '.join(lacking)}; the columns are {', '.join(names[:20])}",
            "it needs the columns session, position, item, and score or rank",
        )
    return found


def _require_types(path: Path, table: pl.DataFrame, columns: Mapping[str, str]) -> None:
    """Raise `DataError` where a column of a Parquet file has a type that its values cannot have."""
    for kind, name in columns.items():
        dtype = table.schema[name]
        text = dtype in (pl.String, pl.Categorical, pl.Enum)
        right = dtype.is_integer() or (dtype.is_float() if kind == SCORE else text and kind in (SESSION, ITEM))
        if not right:
            wanted = "numbers" if kind in _NUMBERS else "text or whole numbers"
            raise DataError(f"{path}: column {name!r} holds {dtype}, not {wanted}", "write the file with that type")


def _named(path: Path, table: pl.DataFrame, columns: Mapping[str, str], place_of: Callable[[int], str]) -> pl.DataFrame:
    chosen = [pl.col(name).alias(kind) for kind, name in columns.items()]
    ids = pl.col(SESSION, ITEM).cast(pl.String)
    return _checked(path, table.select(chosen).with_columns(ids).with_row_index(_ROW), place_of).drop(_ROW)


def _checked(path: Path, lists: pl.DataFrame, place_of: Callable[[int], str]) -> pl.DataFrame:
    """Return the lists with numbers in place of text; raise `DataError` for the first value that is none, or empty."""
    numbers = [name for name in lists.columns if name in _NUMBERS]
    texts = [name for name in numbers if lists.schema[name] == pl.String]
    parsed = lists.with_columns(pl.col(texts).str.strip_chars())
    parsed = parsed.with_columns(pl.col(name).cast(_NUMBERS[name], strict=False) for name in numbers)
    number, position = "write a number in every row", _POSITION_HINT
    rules = [(name, pl.col(name).fill_null("") == "", "is empty", "every row needs one") for name in (SESSION, ITEM)]
    rules += [(name, pl.col(name).is_null(), "is not a whole number", number) for name in numbers if name != SCORE]
    rules += [(SCORE, pl.col(SCORE).is_null() | pl.col(SCORE).is_nan(), "is not a number", number)] * (SCORE in numbers)
    rules += [(PLACE, pl.col(PLACE) < FIRST_PLACE, f"is below {FIRST_PLACE}", position)]
    for name, is_bad, what, hint in rules:
        bad = parsed.select(is_bad.arg_true()).to_series()
        if len(bad):
            row = lists.row(int(bad[0]), named=True)
            raise DataError(f"{path}: {place_of(row[_ROW])}: the {_SHOWN[name]} {row[name]!r} {what}", hint)
    return parsed
