"""How to cite: CITATION.cff is what its format asks for, and BibTeX says the same."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import gru4rec_cli

ROOT = Path(__file__).parents[1]
ARXIV = {"1511.06939", "1706.03847", "2307.14956", "2307.14951"}  # the papers that this study is about


@pytest.fixture(scope="module")
def citation() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def test_the_file_has_what_the_format_asks_for(citation: dict[str, Any]):
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    assert citation["type"] == "software"
    for entry in (citation, *citation["references"]):
        assert entry["title"]
        assert all("name" in author or {"given-names", "family-names"} <= set(author) for author in entry["authors"])
    assert all({"type", "title", "authors"} <= set(entry) for entry in citation["references"])


def test_the_version_and_licence_are_those_of_the_package(citation: dict[str, Any]):
    assert citation["version"] == gru4rec_cli.__version__
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith(f"{citation['license']} License")


def test_bibtex_has_the_same_works_with_the_same_facts(citation: dict[str, Any]):
    page = (ROOT / "docs" / "citing.md").read_text(encoding="utf-8")
    entries = re.findall(r"@(\w+)\{\w+,\n(.*?)\n\}", page, flags=re.DOTALL)
    found = {}
    for kind, body in entries:
        fields = dict(re.findall(r"^  (\w+)\s*= \{+(.*?)\}+,?$", body, flags=re.MULTILINE))
        found[fields["title"]] = {"kind": kind, **fields}
    assert found[citation["title"]]["version"] == citation["version"]
    assert len(found) == 1 + len(citation["references"])
    for work in citation["references"]:
        entry = found[work["title"]]
        assert entry["kind"] == "inproceedings"
        assert entry["booktitle"] == work["collection-title"]
        assert (entry["year"], entry["url"]) == (str(work["year"]), work["url"])
        assert entry.get("doi") == work.get("doi")
        assert entry.get("pages") == (f"{work['start']}--{work['end']}" if "start" in work else None)
        assert entry["author"].count(" and ") == len(work["authors"]) - 1
    assert {url.rpartition("/")[2] for url in (work["url"] for work in citation["references"])} == ARXIV
