"""The HTML report: nothing from the data becomes markup, every number leads to its artifact, nothing is fetched."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from gru4rec_cli.reporting.pages.html import inline_svg, page_html
from gru4rec_cli.reporting.text.words import ENGLISH
from tests.reporting.pages import write_page
from tests.reporting.rich import metrics_json

EVIL = (
    "</style></title><script>alert(1)</script><img src=x onerror=alert(2)>\"'${7*7}{{7*7}}{%x%} **b** `c` [a](http://b)"
)
VOID = {"meta", "line", "circle", "path", "use", "rect", "link", "img", "br", "input"}


class Page(HTMLParser):
    """Elements with their attributes and text, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.inside.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.inside.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.inside[-1] if self.inside else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.elements if found == tag]


@pytest.fixture(scope="module")
def metrics() -> dict[str, Any]:
    return metrics_json()


@pytest.fixture(scope="module")
def source(metrics: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_page(tmp_path_factory.mktemp("page"), metrics).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


def chosen(rows: list[dict[str, Any]], fields: str) -> list[dict[str, Any]]:
    """The rows that a source such as `model=a, k=20` names."""
    told = dict(field.split("=", 1) for field in fields.split(", "))
    return [row for row in rows if all(str(row[name]) == value for name, value in told.items())]


def test_every_number_of_the_metrics_leads_to_the_row_that_holds_it(page: Page, metrics: dict[str, Any]):
    seen = 0
    for cell in page.all("td"):
        place, value = cell.get("title") or "", cell.get("data-value")
        found = re.fullmatch(r"evaluate/metrics\.json › metrics\[(.*)\]", place)
        if found is None or value is None or "seed=*" in place:
            continue
        rows = chosen(metrics["metrics"], found[1])
        assert len(rows) == 1, place
        gap = "ties=optimistic" in place and float(value) == 0  # a difference of two tie rules
        assert float(value) == rows[0]["value"] or gap, place
        seen += 1
    assert seen > 150


@pytest.mark.parametrize("part", ["differences", "sensitivity.rows"])
def test_every_number_of_a_comparison_leads_to_its_entry(page: Page, metrics: dict[str, Any], part: str):
    entries = metrics["sensitivity"]["rows"] if part == "sensitivity.rows" else metrics[part]
    numbers = [{abs(v) for v in entry.values() if isinstance(v, float)} for entry in entries]
    seen = 0
    for cell in page.all("td"):
        found = re.fullmatch(rf"evaluate/metrics\.json › {re.escape(part)}\[(.*)\]", cell.get("title") or "")
        if found and cell.get("data-value"):
            (place,) = [i for i, e in enumerate(entries) if chosen([e], found[1])]
            assert abs(float(cell["data-value"] or "nan")) in numbers[place]
            seen += 1
    assert seen > 30


def test_no_number_in_a_table_is_without_a_source(page: Page):
    for cell in page.all("td"):
        if cell.get("data-value") is not None:
            assert cell.get("title"), cell


def test_nothing_is_fetched_and_only_our_own_script_runs(source: str, page: Page):
    addresses = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "data", "action", "poster", "srcset")
    ]
    assert addresses
    assert all(
        address and (address[0] == "#" or address in ("other.html", "costs/costs.html")) for address in addresses
    )
    assert not page.all("link")
    assert not page.all("img")
    assert "@import" not in source
    assert not re.search(r"url\((?!#)", source)
    (policy,) = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    (script,) = [text for tag, text in page.texts if tag == "script"]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{digest}'" in policy


def test_names_on_the_page_are_unique_and_every_link_leads_somewhere(page: Page):
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    inside = [a["href"] for a in page.all("a") if (a["href"] or "").startswith("#")]
    assert len(inside) == 15
    assert {(link or "")[1:] for link in inside} <= set(names)
    used = [a["xlink:href"] for a in page.all("use")]
    assert {(link or "")[1:] for link in used} <= set(names)


def test_nothing_from_the_data_becomes_markup(tmp_path: Path):
    hostile = metrics_json(gru4rec=EVIL, knn="a\nb")
    for about in hostile["models"].values():
        about |= {"description": EVIL, "kind": EVIL, "settings": {EVIL: EVIL}}
    hostile["not_applicable"] = {f"{EVIL}2": EVIL}
    hostile["protocol"] |= {"unit": EVIL, EVIL: EVIL}
    page = Page(write_page(tmp_path, hostile, name=EVIL).read_text(encoding="utf-8"))
    assert len(page.all("script")) == len(page.all("style")) == len(page.all("title")) == 1
    assert not page.all("img")
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert not [a for a in page.all("a") if "http" in (a.get("href") or "")]
    rows = [text for tag, text in page.texts if tag == "th"]
    assert EVIL in rows
    assert EVIL in [text for tag, text in page.texts if tag == "h1"]


def test_what_old_artifacts_lack_is_a_gap_with_a_name(tmp_path: Path, metrics: dict[str, Any]):
    rows = [r for r in metrics["metrics"] if r["slice"] == "all" and r["ties"] != "any"]
    protocol = {k: v for k, v in metrics["protocol"].items() if k not in ("permutations", "seeds", "slices")}
    old = {"protocol": protocol, "models": metrics["models"], "not_applicable": {}, "metrics": rows}
    source = write_page(tmp_path, old, draw=False).read_text(encoding="utf-8")
    for gap in ("differences between models", "sensitivity to the protocol", "metrics by position", "coverage, pop"):
        assert f'<p class="gap">not available: {gap}' in source
    told = [text for tag, text in Page(source).texts if tag not in ("script", "style")]
    assert not [text for text in told if re.search(r"\b(nan|None|null|undefined)\b", text)]


def test_a_run_without_metrics_is_a_page_of_gaps(tmp_path: Path):
    page = Page(write_page(tmp_path, {}, draw=False).read_text(encoding="utf-8"))
    gaps = [text for tag, text in page.texts if tag == "p" and text.startswith("not available: ")]
    assert "not available: metrics" in gaps
    assert len(page.all("section")) == 15


def test_the_same_artifacts_give_the_same_bytes(tmp_path: Path, metrics: dict[str, Any]):
    first = write_page(tmp_path / "1", metrics, draw=False).read_bytes()
    assert write_page(tmp_path / "2", json.loads(json.dumps(metrics)), draw=False).read_bytes() == first


def test_the_spanish_page_says_so_and_writes_numbers_as_spanish_does(tmp_path: Path, metrics: dict[str, Any]):
    source = write_page(tmp_path, metrics, "es").read_text(encoding="utf-8")
    page = Page(source)
    assert page.all("html") == [{"lang": "es"}]
    assert "Qué conviene tener en cuenta" in [text for tag, text in page.texts if tag == "h3"]
    cells = [text for tag, text in page.texts if tag == "td"]
    assert not [text for text in cells if re.match(r"[+−]?\.\d", text)]
    assert [text for text in cells if re.match(r"0,\d{4}", text)]
    figures = [text for tag, text in page.texts if tag == "text"]
    assert "Época" in figures
    assert not [text for text in figures if re.fullmatch(r"\d+\.\d+", text)]


def test_a_page_without_sections_is_still_a_page():
    page = Page(page_html("t", [], ENGLISH, drawings={}))
    assert [text for tag, text in page.texts if tag == "h1"] == ["t"]


def test_an_inline_figure_takes_the_colours_of_the_page_and_names_of_its_own():
    svg = (
        '<?xml version="1.0"?><!DOCTYPE svg><svg width="5pt" height="4pt" viewBox="0 0 5 4"><metadata>m</metadata>'
        '<style type="text/css">*{}</style><g id="a" style="fill: #ffffff; stroke: #000000"/><use xlink:href="#a" '
        'clip-path="url(#a)" style="fill: #0072b2"/><text>#000000</text></svg>'
    )
    assert inline_svg(svg, "x") == (
        '<svg aria-hidden="true" viewBox="0 0 5 4"><g id="x-a" style="fill: none; stroke: currentColor"/>'
        '<use xlink:href="#x-a" clip-path="url(#x-a)" style="fill: var(--model-0)"/><text>#000000</text></svg>'
    )
