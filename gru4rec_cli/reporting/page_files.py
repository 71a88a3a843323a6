"""The file names of pages in several languages."""

_FIRST = "en"  # the language whose files have no mark in their names


def page_file(file: str, language: str) -> str:
    """Return the name of a page in a language: `report.md`, `report.es.md`."""
    stem, _, kind = file.rpartition(".")
    return file if language == _FIRST else f"{stem}.{language}.{kind}"
