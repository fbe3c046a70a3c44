"""The HTML page in a browser: nothing to complain about, sorted and filtered by mouse and keys, printed."""

from __future__ import annotations

import re
import shutil
import subprocess

import pandas as pd
import pytest
from browser import CHROMIUM, WHY_NOT, chromium
from test_report import HOSTILE, many_metrics, other, picture, wsol

from attribeval.report.page import write_report
from attribeval.results.result import Result

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=WHY_NOT)
BAD = HOSTILE[:6]
ROWS = """Array.from(document.querySelector("table").tBodies[0].rows).filter((row) => !row.hidden)
    .map((row) => row.cells[0].textContent.slice(0, 6)).join("|")"""
SORTED = """Array.from(document.querySelector("table").tHead.rows[0].cells)
    .map((cell) => cell.getAttribute("aria-sort") || "").join(",")"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    return write_report(path, [wsol(), other(), many_metrics()], pictures={"maps": picture()}, command="x --y")


@pytest.fixture
def page(browser, file):
    browser.open(file)
    return browser


def long(n: int) -> Result:
    rows = [(f"method {i}", "accuracy", i / n, i / n - 0.01, i / n + 0.01) for i in range(n)]
    table = pd.DataFrame(rows, columns=["method", "metric", "value", "low", "high"])
    return Result("long", table.assign(**{f"extra {i}": "a few words" for i in range(8)}), {}, ["A summary."])


def test_it_opens_without_complaint_and_asks_for_nothing_else(page, file):
    assert page.run("document.title") == "attribeval report"
    assert page.complaints == []
    asked = [address for address in page.requests if not address.startswith("data:image/png;base64,")]
    assert asked == [file.as_uri()]
    assert page.run("Array.from(document.images).every((image) => image.naturalWidth > 0)")
    texts = page.run("Array.from(document.querySelectorAll('.tools span')).map((e) => e.textContent)")
    assert texts == ["5 rows", "2 rows", "2 rows"]


def test_its_policy_stops_foreign_scripts(page):
    page.run("""(() => { const s = document.createElement("script"); s.textContent = "window.foreign = 1";
        document.body.append(s); })()""")
    assert page.run("window.foreign") is None
    assert any("Content Security Policy" in text for text in page.complaints)


def test_clicks_sort(page):
    def click(column: int) -> str:
        page.click(f"th:nth-child({column + 1}) button")
        return page.run(ROWS)

    assert click(3) == f"gradca|{BAD}|vargra|center|random"  # value, largest first
    assert click(3) == f"random|center|vargra|{BAD}|gradca"  # and turned round
    assert click(0) == f"{BAD}|center|gradca|random|vargra"  # names from A
    assert click(4) == f"gradca|{BAD}|vargra|random|center"  # intervals by their lower end; the one without is last
    assert click(5) == f"random|{BAD}|gradca|vargra|center"  # thresholds as numbers: 128, 40, 31, 9
    assert click(5) == f"vargra|gradca|{BAD}|random|center"  # turned round, and the one without is last still
    assert page.run(SORTED) == ",,,,,ascending,,"
    assert page.complaints == []


def test_keys_sort_and_filter(page):
    page.run("document.querySelector('.tools input').focus()")
    for letter in "GUIDED":
        page.press(letter)
    assert (
        page.run(ROWS) == "vargra" and page.run("document.querySelector('[role=status]').textContent") == "1 of 5 rows"
    )
    for _ in "GUIDED":
        page.press("Backspace")
    page.press("Tab")  # the table, which scrolls
    page.press("Tab")  # its first heading
    assert page.run("document.activeElement.textContent") == "method"
    page.press("Enter")
    assert page.run(ROWS) == f"{BAD}|center|gradca|random|vargra" and page.run(SORTED) == "ascending,,,,,,,"
    page.press(" ")
    assert page.run(ROWS) == f"vargra|random|gradca|center|{BAD}" and page.run(SORTED) == "descending,,,,,,,"
    assert page.run("document.activeElement.textContent") == "method"  # the focus stays


def test_several_words_filter_and_nothing_matches(page):
    def type_in(text: str) -> str:
        page.run(f"""(() => {{ const e = document.querySelector(".tools input"); e.value = "{text}";
            e.dispatchEvent(new Event("input")); }})()""")
        return page.run(ROWS)

    assert type_in("METHOD maxbox guided") == "vargra"
    assert type_in("no such row") == ""
    assert type_in("").count("|") == 4


def test_infinities_and_texts_with_numbers_sort(browser, tmp_path):
    table = pd.DataFrame(
        {
            "method": list("abcde"),
            "gap": [1.0, float("inf"), -2.0, float("-inf"), float("inf")],
            "cell": ["0.41\n#3 a", "−1.5e+03\n#5 b", "failed\nout of memory", "10.5\n#1 a", "–"],
        }
    )
    browser.open(write_report(tmp_path / "a.html", [Result("made up", table)]))
    browser.click("th:nth-child(2) button")
    assert browser.run(ROWS) == "b|e|a|c|d"
    browser.click("th:nth-child(3) button")
    assert browser.run(ROWS) == "d|a|b|e|c"  # what has no number is last, in the order it had
    browser.click("th:nth-child(3) button")
    assert browser.run(ROWS) == "b|a|d|e|c"


def test_without_scripts_everything_is_there_and_nothing_is_dead(browser, file):
    browser.open(file, scripts=False)
    nodes = browser.names()
    assert ("rowheader", "gradcam") in nodes and ("cell", "66.1 %") in nodes
    assert not [name for role, name in nodes if role in ("button", "searchbox")]


def test_screen_readers_are_told_what_is_what(page):
    nodes = page.names()
    assert {"main", "banner", "navigation"} <= {role for role, _ in nodes}
    tables = [name for role, name in nodes if role == "table"]
    assert tables[0].startswith("Weakly supervised object localisation: 5 rows. A bar is the interval")
    assert all(
        name for role, name in nodes if role in ("image", "img", "link", "button", "region", "searchbox", "table")
    )
    assert ("columnheader", "interval") in nodes and ("button", "interval") in nodes


def test_marks_stand_where_the_intervals_are(page):
    """From 6.301 % … 69.17 % on the page's scale: 0.08 (the least low) to 0.6917 (the largest high)."""
    path, at = page.run("""(() => { const row = document.querySelector("table").tBodies[0].rows[0];
        const svg = row.querySelector("svg"); return [svg.querySelector(".span").getAttribute("d"),
        svg.querySelector("circle").getAttribute("cx")]; })()""")
    low, value, high = (3 + 74 * (x - 0.08) / (0.6917 - 0.08) for x in (0.6301, 0.66125, 0.6917))
    assert path == f"M{low:.1f} 4.5H{high:.1f}" and at == f"{value:.1f}"


def test_nothing_is_wider_than_a_telephone(browser, file):
    browser.open(file)
    browser._call("Emulation.setDeviceMetricsOverride", width=360, height=700, deviceScaleFactor=1, mobile=True)
    try:
        assert browser.run("document.documentElement.scrollWidth") <= 360
    finally:
        browser._call("Emulation.clearDeviceMetricsOverride")


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="no pdftotext on PATH (poppler-utils) to read the print")
def test_print_repeats_headings_keeps_every_row_and_hides_tools(browser, tmp_path):
    browser.open(write_report(tmp_path / "long.html", [long(120)]))
    (tmp_path / "long.pdf").write_bytes(browser.pdf())
    command = ["pdftotext", "-layout", str(tmp_path / "long.pdf"), "-"]
    pages = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\f")
    with_rows = [page for page in pages if "method 1" in page or "method 5" in page]
    assert len(with_rows) >= 3 and all("interval" in page and "extra 7" in page for page in with_rows)
    words = " ".join(" ".join(pages).split())
    for i in range(120):
        assert f"method {i} " in words
    assert "Filter rows" not in words and "↕" not in words
    about = subprocess.run(
        ["pdfinfo", "-l", "2", "-f", "1", str(tmp_path / "long.pdf")], capture_output=True, text=True
    )
    sizes = [line.split() for line in about.stdout.splitlines() if line.startswith("Page") and "size" in line]
    (first, second) = ((float(words[3]), float(words[5])) for words in sizes)
    assert first[0] < first[1] and second[0] > second[1]  # words upright, the broad table along


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="no pdftotext on PATH (poppler-utils) to read the print")
def test_print_loses_no_column_of_a_board_of_thirty_benchmarks(browser, tmp_path):
    names = [f"relative_input_stability(images={i}) ↓" for i in range(30)]
    methods = ["smoothgrad(integrated_gradients, samples=6)", *(f"method {i}" for i in range(8))]
    table = pd.DataFrame({"method": methods, "mean rank": 8.67, "low": 7.9, "high": 9.33})
    cells = pd.DataFrame({name: [(f"0.{125 + i}\n#10 cdefg !", i)] * 9 for i, name in enumerate(names)})
    browser.open(write_report(tmp_path / "wide.html", [Result("x", table.join(cells).assign(kind="method"))]))
    (tmp_path / "wide.pdf").write_bytes(browser.pdf())
    command = ["pdftotext", "-bbox", str(tmp_path / "wide.pdf"), "-"]
    pages = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("<page ")[1:]
    found = set()
    for page in pages:
        width = float(re.match(r'width="([0-9.]+)"', page)[1])
        for right, word in re.findall(r'xMax="([0-9.]+)"[^>]*>([^<]*)</word>', page):
            assert float(right) <= width, word
            found.add(word)
    assert {f"0.{125 + i}" for i in range(30)} <= found
