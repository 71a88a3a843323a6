"""What tables there are, and what each of them needs."""

from typing import Any

from gru4rec_cli.reporting.tables import Table
from gru4rec_cli.reproducing.loading import load_table, table_names
from gru4rec_cli.reproducing.table import PublishedTable

_COLUMNS = ("table", "title", "rows", "data", "size")


def table() -> Table:
    """Return a row for each table."""
    tables = {name: load_table(name) for name in table_names()}
    rows = tuple((name, it.title, str(len(it.rows)), it.data.name, it.data.size) for name, it in tables.items())
    notes = (
        "gru4rec-study reproduce TABLE says where the data is, and on what terms; --estimate how long it takes on this "
        "machine; --data FOLDER runs it.",
    )
    return Table("Published tables", _COLUMNS, rows, numeric=frozenset({2}), notes=notes)


def document() -> list[dict[str, Any]]:
    """Return what `about` says of every table."""
    return [about(name, load_table(name)) for name in table_names()]


def about(name: str, published: PublishedTable) -> dict[str, Any]:
    """Return what a table needs, by name; `files` are those of each form in which the data may be there."""
    data = published.data
    return {
        "table": name,
        "title": published.title,
        "source": published.source,
        "rows": list(published.rows),
        "data": data.name,
        "where": data.where,
        "terms": data.terms,
        "size": data.size,
        "files": [list(form.files) for form in data.forms],
        "deviations": list(published.deviations),
        "as_published": list(published.as_published.sentences()),
    }


def facts(name: str, published: PublishedTable) -> dict[str, str]:
    """Return what `about` says, in words."""
    found = about(name, published)
    faults = "; ".join(found.pop("as_published"))
    words = {
        "rows": ", ".join(found["rows"]),
        "files": ", or ".join(" and ".join(files) for files in found["files"]),
        "deviations": "; ".join(found["deviations"]),
        "faults": faults and f"{faults}; made with --as-published alone",
        "time": f"gru4rec-study reproduce {name} --estimate measures a little, and estimates it for this machine",
    }
    return {key: text for key, text in (found | words).items() if text}
