"""The tables that are known, and those of one's own, from their files."""

import json
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from gru4rec_cli.base.errors import ConfigError, UsageError
from gru4rec_cli.base.yaml_loader import YamlError, read_yaml_with_lines
from gru4rec_cli.reproducing.checking import require_valid
from gru4rec_cli.reproducing.table import PublishedTable

TABLES = Path(__file__).parent / "tables"


@cache
def table_names() -> tuple[str, ...]:
    """Return the names of all tables that are known."""
    return tuple(sorted(path.stem for path in TABLES.glob("*.yaml")))


def load_table(name: str) -> PublishedTable:
    """Return a table by its name, or from a YAML file of one's own.

    Raises:
        UsageError: there is no such table.
        ConfigError: the file is wrong; all problems are reported together, each with its line.
    """
    own = name.endswith((".yaml", ".yml"))
    path = Path(name) if own else TABLES / f"{name}.yaml"
    if not path.is_file():
        near = get_close_matches(name, table_names(), 1, 0.3)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"there is no table {name!r}", f"{hint}the tables are {', '.join(table_names())}")
    try:
        raw, lines = read_yaml_with_lines(path)
    except (YamlError, OSError) as error:
        raise ConfigError([str(error)], str(path)) from None
    if own:
        require_valid(raw, {keys: f"{path}:{line}" for keys, line in lines.items()}, str(path))
    return PublishedTable.model_validate_json(json.dumps(raw))


def require_rows(table: PublishedTable, chosen: Sequence[str]) -> tuple[str, ...]:
    """Return the chosen rows, or all where none is; raises `UsageError` where one is not in the table."""
    unknown = [row for row in chosen if row not in table.rows]
    if unknown:
        raise UsageError(f"there is no row {unknown[0]!r}", f"the rows are {', '.join(table.rows)}")
    return tuple(chosen or table.rows)
