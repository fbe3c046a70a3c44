"""The documentation in a browser: as wide as its window on a desk and on a telephone, light and dark, no complaint."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.browser import CHROMIUM, WHY_NOT, chromium

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=WHY_NOT)
PAGES = [
    "index", "getting_started", "leaderboard", "roar", "wsol", "api", "generated/gallery", "generated/methods/index",
    "generated/methods/lrp", "generated/benchmarks/index", "generated/benchmarks/deletion",
    "generated/walkthroughs/every_method", "genindex",
]  # fmt: skip
TOO_WIDE = """Array.from(document.querySelectorAll("article *")).filter((node) => {
    let at = node;
    while (at && at.tagName !== "ARTICLE") {
        if (["auto", "scroll", "hidden"].includes(getComputedStyle(at).overflowX)) return false;
        at = at.parentElement;
    }
    return node.getBoundingClientRect().right > document.documentElement.clientWidth + 1;
}).map((node) => node.tagName + " " + node.textContent.slice(0, 40)).slice(0, 5).join("; ")"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("name", PAGES)
def test_no_page_is_wider_than_its_window(browser, docs_html, name, width):
    browser.resize(width, 900)
    browser.open(docs_html / f"{name}.html")
    assert browser.complaints == []
    assert all(address.startswith(("file:", "data:")) for address in browser.requests)
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run(TOO_WIDE) == ""


DOCS = Path(__file__).resolve().parents[1] / "docs"
WRITTEN = sorted({path.stem for path in DOCS.glob("*.md")} - {"api"})  # docstrings have lines of 120


@pytest.mark.parametrize("name", WRITTEN)
def test_no_line_of_code_on_a_page_is_cut_off_on_a_desk(browser, docs_html, name):
    browser.resize(1400, 900)
    browser.open(docs_html / f"{name}.html")
    blocks = "Array.from(document.querySelectorAll('article div.highlight pre'))"
    too_long = ".filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.textContent.slice(0, 60)).join('; ')"
    assert browser.run(blocks + too_long) == ""


def test_rows_of_methods_are_paragraphs_on_a_telephone(browser, docs_html):
    heights = """Array.from(document.querySelectorAll('.cards tbody tr')).map((row) => row.offsetHeight).sort((a, b) =>
        a - b)"""
    for page, least in (("methods", 35), ("benchmarks", 30)):
        browser.resize(390, 900)
        browser.open(docs_html / f"generated/{page}/index.html")
        found = browser.run(heights)
        assert len(found) >= least and found[len(found) // 2] < 150  # not a column of single words
        assert browser.run("getComputedStyle(document.querySelector('.cards thead')).display") == "none"
    browser.resize(1400, 900)
    browser.open(docs_html / "generated/methods/index.html")
    assert browser.run("getComputedStyle(document.querySelector('.cards thead')).display") == "table-header-group"


def test_dark_where_the_reader_likes_it_dark(browser, docs_html):
    shade = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number).reduce((a, b) => a + b)"
    ink = "getComputedStyle(document.querySelector('.formula svg')).fill.match(/\\d+/g).map(Number)[0]"
    light, dark = {}, {}
    for scheme, found in (("light", light), ("dark", dark)):
        browser.prefer(scheme)
        browser.open(docs_html / "generated/methods/lrp.html")
        found |= {"page": browser.run(shade), "ink": browser.run(ink)}
    browser.prefer("light")
    assert light["page"] > 700 and dark["page"] < 150
    assert light["ink"] < 60 and dark["ink"] > 180  # formulas are seen as well


def test_code_is_copied_without_prompts_by_a_button(browser, docs_html):
    browser.open(docs_html / "getting_started.html")
    blocks = browser.run("document.querySelectorAll('div.highlight pre').length")
    assert blocks == browser.run("document.querySelectorAll('button.copybtn').length") > 5
    browser.run("document.addEventListener('copy', () => { window.copied = document.activeElement.value })")
    browser.click(".highlight-pycon button.copybtn")
    text = browser.run("window.copied")
    assert text.startswith("from attribeval import") and ">>>" not in text


def test_the_start_page_has_three_doors_a_picture_and_a_search(browser, docs_html):
    browser.open(docs_html / "index.html")
    doors = browser.run("Array.from(document.querySelectorAll('.door a')).map((a) => a.textContent).join()")
    assert doors == "Explain,Evaluate,Retrain"
    assert browser.run("parseFloat(getComputedStyle(document.querySelector('.door')).paddingLeft)") > 8
    assert browser.run("document.querySelector('article figure img').naturalWidth") > 600
    assert browser.run("document.querySelector('.sidebar-logo').naturalWidth") > 0
    assert browser.run("document.querySelectorAll('input[name=q]').length") >= 1
