"""Pages as one HTML file: style, script and figures inside, so that it opens anywhere and asks for nothing."""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from gru4rec_cli.reporting.figures.drawing import COLOURS, COLOURS_ON_DARK
from gru4rec_cli.reporting.pages.blocks import Section
from gru4rec_cli.reporting.tables import Cell, Table
from gru4rec_cli.reporting.text.summary import KeyFigure
from gru4rec_cli.reporting.text.words import Sentence, Words, page_file, words_of

_TEMPLATES = Path(__file__).parent / "templates"
_SHORT = 24  # characters of a text that does not break
_DIGEST = 64  # characters of a SHA-256 in hexadecimal


def page_html(
    title: str,
    sections: Sequence[Section],
    words: Words,
    *,
    drawings: Mapping[str, Markup],
    key_figures: Sequence[KeyFigure] = (),
    identity: str = "",
    others: Sequence[tuple[str, str]] = (),
) -> str:
    """Return sections below a title. `drawings` are inline figures by stem; `others` the same page in other languages,
    by language and file name. Whatever comes from the data is escaped: the template escapes all but what is
    `Markup`."""
    script = (_TEMPLATES / "page.js").read_text(encoding="utf-8")
    page = _template().render(
        title=title,
        sections=sections,
        words=words,
        drawings=drawings,
        key_figures=key_figures,
        identity=identity,
        others=others,
        names={language: words_of(language)("language_name") for language, _ in others},
        cells=_cells,
        page_file=page_file,
        percent=lambda place: f"{place:.2f}%",
        gap=lambda what: _gap(what, words),
        style=Markup(_style()),
        script=Markup(script),
        script_hash=_hash(script),
    )
    return page.lstrip()


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("gru4rec_cli.reporting.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html.jinja")


def _style() -> str:
    """Return the style of the page, the colours of models in figures first."""
    light, dark = (
        " ".join(f"--model-{place}: {colour};" for place, colour in enumerate(colours))
        for colours in (COLOURS, COLOURS_ON_DARK)
    )
    scheme = "@media screen and (prefers-color-scheme: dark)"
    own = (_TEMPLATES / "page.css").read_text(encoding="utf-8")
    return f":root {{ {light} }}\n{scheme} {{ :root {{ {dark} }} }}\n{own}"


def _hash(script: str) -> str:
    """Return what a browser compares the script with before it runs it; no other script runs."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"sha256-{digest}"


def _gap(what: Sentence, words: Words) -> Markup:
    return Markup(words("gap", what="{}")).format(what.html())


def _cells(table: Table) -> Iterator[list[dict[str, Any]]]:
    """Return every row's cells as the template shows them: the first heads its row, an interval stands back."""
    for row, texts in enumerate(table.rows):
        yield [_cell(table, row, column, text) for column, text in enumerate(texts)]


def _cell(table: Table, row: int, column: int, text: str) -> dict[str, Any]:
    cell = text if isinstance(text, Cell) else Cell(text)
    main, bracket, rest = text.partition(" [") if column in table.numeric else (text, "", "")
    kinds = ["number"] if column in table.numeric else []
    kinds += ["best"] if (row, column) in table.best else []
    kinds += [cell.tone] if cell.tone else []
    kinds += ["short"] if column not in table.numeric and len(text) <= _SHORT else []
    kinds += ["digest"] if len(text) == _DIGEST and text.isalnum() else []
    return {
        "element": "td" if column else "th",
        "main": main,
        "rest": bracket.strip() + rest,
        "attributes": {
            "scope": None if column else "row",
            "class": " ".join(kinds) or None,
            "title": cell.source or None,
            "data-value": None if cell.value is None else repr(float(cell.value)),
        },
    }


# What the page decides, by its colour scheme.
_PAGE_COLOURS = {"#000000": "currentColor", "#ffffff": "none", "#dddddd": "var(--grid)", "#666666": "var(--axis)"}
_PAGE_COLOURS |= {colour.lower(): f"var(--model-{place})" for place, colour in enumerate(COLOURS)}
_LEFT_OUT = re.compile(r"<(metadata|style|title)\b.*?</\1>|<!--.*?-->", re.DOTALL)
_TAG = re.compile(r"<[a-z][^>]*>", re.DOTALL)  # matplotlib escapes what is between tags and in attributes
_NAME = re.compile(r'(\bid="|url\(#|href="#)')
_SIZE = re.compile(r'\s(?:width|height)="[^"]*"')


def inline_svg(svg: str, stem: str) -> Markup:
    """Return an SVG that matplotlib wrote as a part of a page. `stem` keeps the names of several figures apart."""
    svg = _LEFT_OUT.sub("", svg[svg.index("<svg") :])

    def fitted(tag: re.Match[str]) -> str:
        named = _NAME.sub(rf"\g<1>{stem}-", tag[0])
        if named.startswith("<svg"):
            named = _SIZE.sub("", named).replace("<svg", '<svg aria-hidden="true"', 1)
        return re.sub("|".join(_PAGE_COLOURS), lambda colour: _PAGE_COLOURS[colour[0]], named)

    return Markup(_TAG.sub(fitted, svg).strip())
