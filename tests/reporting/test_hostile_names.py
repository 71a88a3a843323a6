"""Names that users choose stay text in every page of a run, of its windows and of a comparison, and in every figure."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pytest

from tests.reporting.test_html import Page
from tests.small import study, write_config
from tests.study.test_given import clicks

pytestmark = pytest.mark.slow

EVIL = "<img src=x onerror=alert(1)>&amp;\"'$x$ <b>"
TITLE = f"</title></h1><script>alert(2)</script>{EVIL}{{{{7*7}}}}"
STUDY: dict[str, Any] = {
    "name": "hostile",
    "baseline": {"models": {"popularity": {}, "markov": {}}},
    "train": {"models": {"random": {}}},
    "evaluate": {"resamples": 20, "permutations": 20},
    "report": {"title": TITLE, "languages": ["en", "es"]},
}


def log() -> pl.DataFrame:
    """Every session id, item id, user id and column name is hostile; a word for a missing value is warned of."""
    named = [(pl.lit(f"{EVIL} ") + pl.col(name).cast(pl.String)).alias(name) for name in ("SessionId", "ItemId")]
    renamed = clicks(200).with_columns(*named, pl.lit(EVIL).alias("UserId"))
    return renamed.rename({"SessionId": f"s{EVIL}", "ItemId": f"i{EVIL}", "UserId": f"u{EVIL}"})


def settings(folder: Path, data: dict[str, str], **sections: Any) -> Path:
    columns = {"session": f"s{EVIL}", "item": f"i{EVIL}", "user": f"u{EVIL}"}
    return write_config(folder, {**STUDY, "data": {**data, "columns": columns}, **sections})


def page_of(path: Path) -> Page:
    """A page in which our own script is the only one, and all elements are closed in order."""
    page = Page(path.read_text(encoding="utf-8"))
    assert len(page.all("script")) == len(page.all("style")) == len(page.all("title")) == 1, path
    assert not page.all("img"), path
    assert not page.all("b"), path
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")], path
    return page


def shown(page: Page) -> Iterator[str]:
    """All text of a page that a reader sees or is told by a mouse."""
    yield from (text for tag, text in page.texts if tag not in ("script", "style"))
    yield from (value for _, attributes in page.elements for value in attributes.values() if value)


def check_figures(folder: Path) -> None:
    for path in folder.rglob("*.svg"):
        tags = {element.tag.rpartition("}")[2] for element in ElementTree.parse(path).iter()}
        assert not tags & {"img", "b", "script", "foreignObject"}, path


def test_a_report_of_given_files_with_hostile_names(tmp_path: Path):
    """Files whose name, columns and ids are markup, and share sessions, which a warning names in the report."""
    events = log()
    folder = tmp_path / "<i>&\"'"
    folder.mkdir()
    train, test = folder / "<img src=x>.csv", folder / "test <b>.csv"
    ids = events[f"s{EVIL}"].unique(maintain_order=True)
    events.filter(pl.col(f"s{EVIL}").is_in(ids[:150].implode())).write_csv(train)
    events.filter(pl.col(f"s{EVIL}").is_in(ids[148:].implode())).write_csv(test)
    config = settings(tmp_path, {"train": str(train), "test": str(test)})
    done = study("run", "--config", config, "--run-dir", tmp_path / "run", "--quiet")
    assert done.returncode == 0, done.stderr
    for name in ("report.html", "report.es.html"):
        page = page_of(tmp_path / "run" / "report" / name)
        assert TITLE in [text for tag, text in page.texts if tag == "h1"]
        said = [text for text in shown(page) if "session ids occur in both data.train and data.test" in text]
        assert said
        assert all("<img src=x onerror=alert(1)>&amp;" in text for text in said), "the warning names a session"
    check_figures(tmp_path / "run")
    done = study("compare", tmp_path / "run", "--to", tmp_path / "compared")
    assert done.returncode == 0, done.stderr
    page_of(tmp_path / "compared" / "comparison.html")


def test_a_report_of_windows_with_hostile_names(tmp_path: Path):
    source = tmp_path / "<script>alert(3).csv"
    log().write_csv(source)
    config = settings(tmp_path, {"source": str(source)}, split={"windows": 2, "min_item_support": 1})
    done = study("run", "--config", config, "--run-dir", tmp_path / "run", "--quiet")
    assert done.returncode == 0, done.stderr
    pages = sorted((tmp_path / "run").rglob("*.html"))
    assert len(pages) == 2 * (2 * 2 + 1)  # two languages of report and costs of two windows, and of the joint report
    for path in pages:
        assert TITLE in " ".join(text for tag, text in page_of(path).texts if tag == "h1")
    check_figures(tmp_path / "run")
