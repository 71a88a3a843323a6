"""What tables there are, and what each of them needs."""

from typing import Any

from gru4rec_cli.reporting.tables import Table
from gru4rec_cli.reproducing.table import PublishedTable, load_table, table_names

_COLUMNS = ("table", "title", "rows", "data", "size")


def table() -> Table:
    """Return a row for each table."""
    tables = {name: load_table(name) for name in table_names()}
    rows = tuple((name, it.title, str(len(it.rows)), it.data.name, it.data.size) for name, it in tables.items())
    notes = ("gru4rec-study reproduce TABLE says where the data is, and on what terms; --data FOLDER then runs it.",)
    return Table("Published tables", _COLUMNS, rows, numeric=frozenset({2}), notes=notes)


def document() -> list[dict[str, Any]]:
    """Return what `about` says of every table."""
    return [about(name, load_table(name)) for name in table_names()]


def about(name: str, published: PublishedTable) -> dict[str, Any]:
    """Return what a table needs, by name."""
    data = published.data
    return {
        "table": name,
        "title": published.title,
        "source": published.source,
        "rows": ", ".join(published.rows),
        "data": data.name,
        "where": data.where,
        "terms": data.terms,
        "size": data.size,
        "files": " or ".join(", ".join(form.files) for form in data.forms),
    }
