"""The HTML report in a real browser: it sorts, it fits a phone, it can be read in both colour schemes, it is silent."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gru4rec_cli.reporting.pages.html import page_html
from gru4rec_cli.reporting.pages.windows import joint_sections
from gru4rec_cli.reporting.text.words import words_of
from tests.reporting.pages import write_page
from tests.reporting.rich import metrics_json
from tests.reporting.test_windows import joint_findings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--allow-file-access-from-files",  # the page that looks into the others is a file too
    "--virtual-time-budget=8000",
    "--enable-logging=stderr",
]
SCHEMES = {"dark": "0", "light": "1"}
PHONE, DESKTOP = 390, 1280

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: the HTML report is not opened")


def opened(folder: Path, pages: list[tuple[Path, int]], scheme: str) -> tuple[list[dict[str, Any]], list[str]]:
    """What was found on each page at its width, and what the browser's console said."""
    folder.mkdir(parents=True, exist_ok=True)
    harness = (Path(__file__).parent / "browser.html").read_text(encoding="utf-8")
    listed = json.dumps([(page.as_uri(), width) for page, width in pages])
    (folder / "harness.html").write_text(harness.replace("PAGES", listed, 1), encoding="utf-8")
    flags = [
        *FLAGS,
        f"--user-data-dir={folder / 'profile'}",
        f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}",
    ]
    done = subprocess.run(
        [str(CHROMIUM), *flags, "--dump-dom", (folder / "harness.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, flags=re.DOTALL)
    assert found is not None, done.stderr
    assert found[1], done.stderr
    return json.loads(html.unescape(found[1])), [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, int]]:
    folder, metrics = (
        tmp_path_factory.mktemp("pages"),
        metrics_json(knn="a-model-with-a-name-of-fifty-characters-and-no-blank"),
    )
    english, spanish = (write_page(folder / language, metrics, language) for language in ("en", "es"))
    return [(english, DESKTOP), (english, PHONE), (spanish, PHONE)]


@pytest.fixture(scope="module", params=SCHEMES)
def found(
    request: pytest.FixtureRequest, pages: list[tuple[Path, int]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, list[dict[str, Any]], list[str]]:
    return (request.param, *opened(tmp_path_factory.mktemp("browser"), pages, request.param))


def test_the_browser_has_nothing_to_say_and_fetches_nothing(found: tuple[str, list[dict[str, Any]], list[str]]):
    _, seen, console = found
    assert console == []
    assert [page["fetched"] for page in seen] == [[], [], []]


def test_no_page_is_wider_than_its_window(found: tuple[str, list[dict[str, Any]], list[str]]):
    for page, width in zip(found[1], (DESKTOP, PHONE, PHONE), strict=True):
        assert width - 20 <= page["width"] <= width  # less a scroll bar
        assert page["scroll"] <= page["width"]


def test_both_schemes_are_their_own_and_all_text_has_the_contrast_that_wcag_asks_for(
    found: tuple[str, list[dict[str, Any]], list[str]],
):
    scheme, seen, _ = found
    for page in seen:
        assert page["dark"] == (scheme == "dark")
        brightness = sum(map(int, re.findall(r"\d+", page["ground"])[:3])) / 3
        assert brightness < 60 if scheme == "dark" else brightness > 200
        assert page["contrast"][0] >= 4.5, page["contrast"]
        assert (4.5 if scheme == "dark" else 3) <= page["lines"][0] < 21, page["lines"]  # popularity's blue had 3.2


def test_what_is_wider_than_the_screen_says_so(found: tuple[str, list[dict[str, Any]], list[str]]):
    # screen and page: figures scrolled sideways on a phone without a sign
    for page in found[1]:
        assert all(wide == said for wide, said in page["scrolled"])
    desktop, *phones = (sum(wide for wide, _ in page["scrolled"]) for page in found[1])
    assert all(wide > max(3, desktop) for wide in phones)


def test_a_column_sorts_when_its_heading_is_pressed(found: tuple[str, list[dict[str, Any]], list[str]]):
    for page in found[1]:
        table = page["sorted"]
        assert table["focused"]
        assert table["states"] == [None, "descending", "ascending", None]
        descending, ascending = table["orders"]
        values = [float("0" + re.sub(r"^0", "", text.split()[0]).replace(",", ".")) for text in descending]
        assert values == sorted(values, reverse=True)
        assert ascending == descending[::-1]
        assert sorted(descending) == sorted(table["before"])
        assert table["names"] == sorted(table["names"], key=str.lower)


def test_the_page_of_several_windows_fits_a_phone_and_can_be_read(tmp_path: Path):
    words = words_of("en")
    joint = joint_findings(*({f"model-number-{n}": 0.1 * n + 0.01 * k for n in range(1, 9)} for k in range(12)))
    page = tmp_path / "joint.html"
    page.write_text(page_html("demo", joint_sections(joint, {}, words), words, drawings={}), encoding="utf-8")
    found, console = opened(tmp_path / "browser", [(page, DESKTOP), (page, PHONE)], "dark")
    assert console == []
    for seen in found:
        assert seen["fetched"] == []
        assert seen["scroll"] <= seen["width"]
        assert seen["contrast"][0] >= 4.5, seen["contrast"]


def test_the_checks_see_a_page_that_is_too_wide_faint_and_talks(tmp_path: Path):
    bad = tmp_path / "bad.html"
    bad.write_text(
        '<!doctype html><body style="background:#fff"><p style="color:#999;width:900px">faint</p>'
        '<img src="http://127.0.0.1:9/x.png"><script>console.error("loud")</script>',
        encoding="utf-8",
    )
    (page,), console = opened(tmp_path / "browser", [(bad, PHONE)], "light")
    assert page["scroll"] > PHONE
    assert page["contrast"][0] == pytest.approx(2.85, abs=0.01)  # #999 on white: 1.05 / (0.3185 + 0.05)
    assert page["fetched"] == ["http://127.0.0.1:9/x.png"]  # nobody listens there
    assert any("loud" in line for line in console)
