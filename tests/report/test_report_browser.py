"""The HTML page in a browser: nothing to complain about, sorted and filtered by mouse and keys, printed."""

from __future__ import annotations

import io
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from helpers.browser import CHROMIUM, WHY_NOT, chromium
from helpers.leaderboard import made_up
from helpers.results import HOSTILE, many_metrics, other, picture, wsol
from helpers.roar import synthetic
from PIL import Image

from attribeval.attributions import Attributions
from attribeval.benchmarks.bam.sentences import UNITS
from attribeval.benchmarks.leaderboard.summary import summarise
from attribeval.benchmarks.roar.summary import summarise as summarise_roar
from attribeval.benchmarks.sanity.summary import Curve
from attribeval.benchmarks.sanity.summary import summarise as summarise_sanity
from attribeval.plots import overlays
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
    asked = [address for address in page.requests if not address.startswith("data:image/")]
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
    page.click(".all")

    def click(column: int) -> str:
        page.click(f"th:nth-child({column + 1}) button")
        return page.run(ROWS)

    assert click(1) == f"gradca|{BAD}|vargra|center|random"  # value, largest first
    assert click(1) == f"random|center|vargra|{BAD}|gradca"  # and turned round
    assert click(0) == f"{BAD}|center|gradca|random|vargra"  # names from A
    assert click(3) == f"random|{BAD}|gradca|vargra|center"  # thresholds as numbers: 128, 40, 31, 9
    assert click(3) == f"vargra|gradca|{BAD}|random|center"  # turned round, and the one without is last still
    assert page.run(SORTED) == ",,,ascending,,"
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
    page.press("Tab")  # the box for all columns
    page.press("Tab")  # the table, which scrolls
    page.press("Tab")  # its first heading
    assert page.run("document.activeElement.textContent") == "method"
    page.press("Enter")
    assert page.run(ROWS) == f"{BAD}|center|gradca|random|vargra" and page.run(SORTED) == "ascending,,,,,"
    page.press(" ")
    assert page.run(ROWS) == f"vargra|random|gradca|center|{BAD}" and page.run(SORTED) == "descending,,,,,"
    assert page.run("document.activeElement.textContent") == "method"  # the focus stays


def test_several_words_filter_and_nothing_matches(page):
    def type_in(text: str) -> str:
        page.run(f"""(() => {{ const e = document.querySelector(".tools input"); e.value = "{text}";
            e.dispatchEvent(new Event("input")); }})()""")
        return page.run(ROWS)

    assert type_in("METHOD guided 46.7") == "vargra"
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
    assert ("rowheader", "gradcam") in nodes
    assert any(role == "cell" and name.startswith("66.1 %") for role, name in nodes)
    assert not [name for role, name in nodes if role in ("button", "searchbox")]


def test_screen_readers_are_told_what_is_what(page):
    nodes = page.names()
    assert {"main", "banner", "navigation"} <= {role for role, _ in nodes}
    tables = [name for role, name in nodes if role == "table"]
    assert tables[0].startswith("Weakly supervised object localisation: 5 rows. A bar is the interval")
    assert all(
        name for role, name in nodes if role in ("image", "img", "link", "button", "region", "searchbox", "table")
    )
    assert ("columnheader", "MaxBoxAcc") in nodes and ("button", "MaxBoxAcc") in nodes


def test_marks_stand_where_the_intervals_are(page):
    """From 6.301 % … 69.17 % on the page's scale: 0.08 (the least low) to 0.6917 (the largest high)."""
    path, at = page.run("""(() => { const row = document.querySelector("table").tBodies[0].rows[0];
        const svg = row.querySelector("svg"); return [svg.querySelector(".span").getAttribute("d"),
        svg.querySelector("circle").getAttribute("cx")]; })()""")
    low, value, high = (3 + 74 * (x - 0.08) / (0.6917 - 0.08) for x in (0.6301, 0.66125, 0.6917))
    assert path == f"M{low:.1f} 4.5H{high:.1f}" and at == f"{value:.1f}"


def board() -> Result:
    values = np.random.default_rng(0).random((6, 9, 20))
    names = {f"m{i}": f"{wrapper}method_{i}" for i, wrapper in enumerate(["", "smoothgrad(", "", "vargrad(", "", ""])}
    result = summarise(made_up(values), {"images": 20, "benchmarks": [f"b{i}" for i in range(9)], "level": 0.95})
    result.table["method"] = result.table["method"].replace(names)
    for row in result.settings["average_ranks"]:
        row["method"] = names.get(row["method"], row["method"])
    result.settings["kinds"] = {names.get(name, name): kind for name, kind in result.settings["kinds"].items()}
    return result


def sanity() -> Result:
    rng = np.random.default_rng(1)
    names = ["spearman_abs", "spearman", "ssim", "hog"]
    curves = [
        Curve(label, kind, mode, [1, 2, 3], ["head", "block/high", "block/low"],
              {name: rng.random((3, 30)) for name in names}, np.full(3, 0.01))
        for label, kind in (("smoothgrad(integrated_gradients)", "method"), ("random", "control"), ("sobel", "control"))
        for mode in ("cascading", "independent")
    ]  # fmt: skip
    settings = {"similarities": names, "modes": ["cascading", "independent"], "images": 30, "left_out": [],
                "unchanged_layers": []}  # fmt: skip
    return summarise_sanity(curves, settings)


def bam() -> Result:
    methods = (("guided_gradcam", "method"), ("random", "control"))
    rows = [(*one, metric, 0.5, 0.4, 0.6, 0.1, 0.3, 60, 0.01) for metric in UNITS for one in methods]
    columns = ["method", "kind", "metric", "value", "low", "high", "deviation", "baseline", "images",
               "seconds_per_image"]  # fmt: skip
    return Result("bam", pd.DataFrame(rows, columns=columns), {}, ["A sentence."])


def roar() -> Result:
    return summarise_roar(synthetic(), {"level": 0.95})


STUDIES = [wsol, many_metrics, board, sanity, bam, roar]


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies")
    return {make.__name__: make().report(folder / f"{make.__name__}.html") for make in STUDIES}


@pytest.mark.parametrize("width", [390, 820, 1400])
@pytest.mark.parametrize("study", [make.__name__ for make in STUDIES])
def test_every_study_fits_a_telephone_a_tablet_and_a_desk(browser, studies, study, width):
    browser.resize(width, 900)
    browser.open(studies[study])
    assert browser.complaints == []
    assert browser.run("document.documentElement.scrollWidth") <= width
    wide = "Array.from(document.querySelectorAll('.table .scroll')).map((e) => e.scrollWidth - e.clientWidth)"
    assert max(browser.run(wide)) <= 0  # the table fits its frame as well
    shown = "Array.from(document.querySelectorAll('thead th')).filter((e) => e.offsetWidth).length"
    before = browser.run(shown)
    assert before >= 2
    captions = "Array.from(document.querySelectorAll('.caption, figcaption'))"
    ends = ".map((e) => [e.getBoundingClientRect().right, e.scrollWidth - e.clientWidth])"
    assert all(right <= width and cut <= 0 for right, cut in browser.run(captions + ends))
    if browser.run("document.querySelector('.all') !== null && document.querySelector('.all').offsetWidth > 0"):
        browser.click(".all")
        assert browser.run(shown) == browser.run("document.querySelectorAll('thead th').length") > before
        assert browser.run("document.documentElement.scrollWidth") <= width  # what is more scrolls in its frame
    else:
        assert before == browser.run("document.querySelectorAll('thead th').length")


def test_the_columns_that_matter_come_first(browser, studies):
    heads = "Array.from(document.querySelectorAll('thead th')).filter((e) => e.offsetWidth).map((e) => e.textContent)"
    browser.resize(1400, 900)
    browser.open(studies["many_metrics"])
    assert browser.run(heads) == ["method", "MaxBoxAcc", "BoxAcc", "PxAP", "PixelAUC", "threshold"]
    browser.resize(390, 900)
    assert browser.run(heads)[:2] == ["method", "MaxBoxAcc"]
    browser.open(studies["roar"])
    assert {"method", "mode", "gain (points)"} <= set(browser.run(heads))


@pytest.mark.parametrize("study", ["wsol", "board", "roar"])
def test_charts_follow_the_readers_scheme(browser, studies, study):
    """A chart is light on light and dark on dark; its ink is the opposite."""
    browser.resize(1400, 900)
    shades = {}
    for scheme in ("light", "dark"):
        browser.prefer(scheme)
        browser.open(studies[study])
        browser.run("document.querySelector('figure img').scrollIntoView({block: 'start'})")
        box = browser.run("(({x, y, width, height}) => [x, y, x + width, y + height])"
                          "(document.querySelector('figure img').getBoundingClientRect())")  # fmt: skip
        left, top, right, bottom = (int(edge) for edge in box)
        shot = np.asarray(Image.open(io.BytesIO(browser.screenshot())).convert("L"), np.float64)
        chart = shot[max(top, 0) + 12 : min(bottom, 900) - 12, left + 12 : right - 12]
        shades[scheme] = np.median(chart), np.percentile(chart, 0.2), np.percentile(chart, 99.8)
    browser.prefer("light")
    assert shades["light"][2] > 240 and shades["light"][1] < 70
    assert shades["dark"][1] < 50 and shades["dark"][2] > 200
    if study != "board":  # whose cells keep their colours
        assert shades["light"][0] > 240 and shades["dark"][0] < 50


def test_pages_are_small(studies):
    assert all(path.stat().st_size < 3_000_000 for path in studies.values())


def test_a_page_of_many_photographs_is_small(tmp_path):
    """Eight maps of three noisy photographs of 224 × 224, and a board's worth of text."""
    rng = np.random.default_rng(0)
    smooth = np.kron(rng.random((3, 14, 14, 3)), np.ones((1, 16, 16, 1)))
    images = np.clip(255 * smooth + rng.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)
    maps = {f"m{i}": Attributions(rng.normal(size=(3, 224, 224, 1)).cumsum(1).cumsum(2).astype(np.float32),
                                  np.zeros(3, np.int32), "m") for i in range(24)}  # fmt: skip
    page = wsol().report(tmp_path / "a.html", pictures={"maps": overlays(images, maps)})
    assert page.stat().st_size < 3_000_000


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
