"""The HTML page, read back with an HTML parser; test_report_browser.py opens it."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from helpers.results import HOSTILE, many_metrics, other, picture, wsol
from matplotlib.figure import Figure
from PIL import Image

from attribeval.errors import AttribevalError
from attribeval.report import cells, page
from attribeval.report.page import write_report
from attribeval.results import numbers
from attribeval.results.result import Result

VOID = {"meta", "img", "input", "link", "br", "wbr", "hr"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)

    def all(self, tag: str) -> list[Element]:
        inner = [c for c in self.children if isinstance(c, Element)]
        return [e for c in inner for e in ([c] if c.tag == tag or tag == "*" else []) + c.all(tag)]

    @property
    def text(self) -> str:
        return "".join(c if isinstance(c, str) else c.text for c in self.children)


class Tree(HTMLParser):
    """A tree of elements; an end tag that closes nothing is an error."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.root = Element("root")
        self.open = [self.root]
        self.feed(text)
        self.close()
        assert self.open == [self.root], f"never closed: {[e.tag for e in self.open]}"

    def handle_starttag(self, tag, attrs):
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data):
        self.open[-1].children.append(data)


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("report") / "new folder" / "page.html"
    command = 'attribeval wsol --data "<here>" && echo done'
    result = write_report(
        path, [wsol(), other()], pictures={"maps of " + HOSTILE: picture()}, title="A & <B>", command=command
    )
    assert result == path
    return path


@pytest.fixture(scope="module")
def tree(report) -> Element:
    return Tree(report.read_text(encoding="utf-8")).root


def rows_of(tree: Element, which: int) -> list[list[Element]]:
    body = tree.all("table")[which].all("tbody")[0]
    return [[c for c in row.children if isinstance(c, Element)] for row in body.all("tr")]


def test_the_page_is_whole_and_alone_in_its_folder(report, tree):
    assert report.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert list(report.parent.iterdir()) == [report]  # no temporary file, no other file
    assert tree.all("html")[0].attributes["lang"] == "en"
    assert tree.all("title")[0].text == tree.all("h1")[0].text == "A & <B>"
    ids = [e.attributes["id"] for e in tree.all("*") if "id" in e.attributes]
    assert len(ids) == len(set(ids))


def test_nothing_is_asked_of_the_network(tree, report):
    for element in tree.all("*"):
        for name in ("src", "href", "srcset", "action", "data", "poster", "background", "formaction"):
            value = element.attributes.get(name)
            assert value is None or value.startswith(("#", "data:image/svg+xml,")), (element.tag, name, value[:80])
    assert not tree.all("link") and not tree.all("iframe") and not tree.all("base")
    style = tree.all("style")[0].text
    assert "url(" not in style and "@import" not in style
    assert not re.search(r"https?:|//[a-z]", tree.all("style")[0].text)
    assert not re.search(r"https?:|fetch\(|XMLHttpRequest|import\(", tree.all("script")[0].text)
    # and the page's own policy forbids it: only pictures from the page itself, only this script
    policy = next(m for m in tree.all("meta") if m.attributes.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.attributes["content"].split(";"))
    assert (rules["default-src"], rules["img-src"]) == ("'none'", "data:")
    digest = base64.b64encode(hashlib.sha256(tree.all("script")[0].text.encode()).digest()).decode()
    assert rules["script-src"] == f"'sha256-{digest}'"


def test_links_lead_somewhere(tree):
    ids = {e.attributes.get("id") for e in tree.all("*")}
    links = [a.attributes["href"] for a in tree.all("a")]
    assert links == ["#summary", "#result-1", "#result-2", "#pictures", "#made", "#result-1", "#result-2"]
    assert {link[1:] for link in links} <= ids


def test_the_answer_comes_first_then_chart_pictures_table_and_how_it_was_made(tree, tmp_path):
    sections = tree.all("section")
    assert [s.attributes["id"] for s in sections] == ["summary", "result-1", "result-2", "pictures", "made"]
    assert [li.text for li in sections[0].all("li")] == wsol().summary
    assert "without a summary" in sections[0].text  # the second result has none
    assert [[e.tag for e in s.all("*") if e.tag in ("table", "img")] for s in sections] == [
        [], ["img", "table"], ["table"], ["img"], []
    ]  # fmt: skip
    assert "no plot for this benchmark" in sections[2].text
    alone = Tree(write_report(tmp_path / "a.html", [wsol()], pictures={"maps": picture()}).read_text()).root
    sections = alone.all("section")
    assert [s.attributes["id"] for s in sections] == ["summary", "result-1", "made"]
    assert [e.tag for e in sections[1].all("*") if e.tag in ("table", "img")] == ["img", "img", "table"]
    both = write_report(tmp_path / "b.html", [wsol(), other()], pictures=[{"maps": picture()}, {"more": picture()}])
    sections = Tree(both.read_text()).root.all("section")
    assert [[c.text for c in s.all("figcaption")] for s in sections] == [[], ["maps"], ["more"], []]
    with pytest.raises(AttribevalError, match="pictures for each of 2 results"):
        write_report(tmp_path / "c.html", [wsol(), other()], pictures=[{}])


def test_more_than_six_sentences_are_opened(tmp_path):
    result = wsol()
    result.summary = [f"Sentence {i}." for i in range(9)]
    answer = Tree(result.report(tmp_path / "a.html").read_text(encoding="utf-8")).root.all("section")[0]
    assert [li.text for li in answer.all("ul")[0].all("li")] == result.summary[:6]
    (more,) = answer.all("details")
    assert [li.text for li in more.all("li")] == result.summary[6:] and more.all("summary")[0].text.startswith("3 more")


def test_every_value_of_the_table_is_there(tree):
    """Formatted for people, exact in data-value."""
    expected = [
        ["gradcam", "66.1 %63.0 to 69.2 %", "method", "31", "1\u202f234", "12.5"],
        [HOSTILE, "60.5 %57.0 to 64.0 %", "method", "40", "1\u202f234", "2\u202f000"],
        ["vargrad(guided_backprop)", "50.0 %46.7 to 53.3 %", "method", "9", "1\u202f234", "250.0"],
        ["center box", "46.3 %", "baseline", "–", "1\u202f234", "0"],
        ["random", "10.0 %8.0 to 12.0 %", "control", "128", "1\u202f234", "0.010"],
    ]
    rows = rows_of(tree, 0)
    assert [[cell.text for cell in row] for row in rows] == expected
    table = wsol().table
    for row, record in zip(rows, table.to_dict("records"), strict=True):
        exact = [cell.attributes["data-value"] for cell in row]
        assert (exact[0], exact[2]) == (record["method"], record["kind"])
        assert float(exact[1]) == record["value"] and float(exact[5]) == 1000 * record["seconds_per_image"]
        assert exact[3] == "" if np.isnan(record["threshold"]) else float(exact[3]) == record["threshold"]


def test_other_metrics_are_not_percentages(tree):
    rows = [[cell.text for cell in row] for row in rows_of(tree, 1)]
    assert rows == [
        ["a", "correlation", "0.250", "yes", "7"],
        ["b", "correlation", "123\u202f457", "no", "8"],
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (-3, "−3"), (1234567, "1\u202f234\u202f567"), (0.5, "0.500"), (-0.03125, "−0.031"),
        (12.3456, "12.3"), (99999.5, "100\u202f000"), (2.5e7, "2.5e7"), (-1e-9, "−1.0e−9"), (9.9996, "10.0"),
        (999.96, "1\u202f000"), (0.001, "0.001"), (0.00099, "9.9e−4"), (np.float32(0.25), "0.250"),
        (float("inf"), "∞"), (float("-inf"), "−∞"), (-0.0, "0"), (float("nan"), "–"),
    ],
)  # fmt: skip
def test_numbers_are_written_for_people(value, text):
    assert numbers.number(value) == text


def test_the_same_number_is_written_alike_in_words_table_chart_and_terminal(tmp_path):
    """0.38607 of a share, of a correlation, of a gain and of a p-value, wherever they stand."""
    from attribeval.benchmarks.wsol.evaluate import evaluate
    from attribeval.report.views import terminal_text

    rng = np.random.default_rng(3)
    boxes = [np.array([[2, 2, 7, 7.0]])] * 44
    result = evaluate({"blob": rng.random((44, 9, 9)).cumsum(1)}, boxes=boxes, images=rng.random((44, 9, 9)))
    page = Tree(result.report(tmp_path / "a.html").read_text(encoding="utf-8")).root
    row = result.table.iloc[0]
    text, ends = f"{100 * row['value']:.1f} %", f"{100 * row['low']:.1f} to {100 * row['high']:.1f} %"
    shown = next(cells for cells in rows_of(page, 0) if cells[0].text == row["method"])
    assert shown[1].text == text + ends
    assert text in page.all("img")[0].attributes["alt"] and f"({ends})" in page.all("img")[0].attributes["alt"]
    best = result.table[result.table["kind"] == "method"].iloc[0]
    assert f"in {100 * best['value']:.1f} % of 44 images" in result.summary[0]
    assert f"{100 * best['low']:.1f} to {100 * best['high']:.1f} %" in result.summary[0]
    assert text in terminal_text(result) and ends in terminal_text(result)
    assert not re.search(r"\d%", page.all("main")[0].text + " ".join(result.summary) + terminal_text(result))
    assert numbers.NUMBER.text(0.38607) == numbers.number(0.38607) == "0.386"
    assert (numbers.gain_text(-0.0512), numbers.gain_text(-0.0001)) == ("−5.1 points", "0.0 points")
    assert (numbers.p_text(0.0009), numbers.p_words(0.0009), numbers.p_words(0.0126)) == (
        "< 0.001", "p < 0.001", "p = 0.013"
    )  # fmt: skip


def test_tables_are_accessible(tree):
    for table in tree.all("table"):
        header = table.all("thead")[0].all("th")
        assert all(th.attributes["scope"] == "col" for th in header)
        assert not table.all("button")  # the script makes them: without it, none that does nothing
        (caption,) = [p for p in tree.all("p") if p.attributes.get("id") == table.attributes["aria-labelledby"]]
        assert caption.text.startswith(("Weakly supervised object localisation: 5 rows", "homemade: 2"))
        scrollers = [e for e in tree.all("div") if e.attributes.get("class") == "scroll" and e.all("table")]
        assert not any(caption in e.all("p") for e in scrollers)  # it would be cut with the table
        for row in table.all("tbody")[0].all("tr"):
            cells = [c for c in row.children if isinstance(c, Element)]
            assert len(cells) == len(header)
            assert (cells[0].tag, cells[0].attributes["scope"]) == ("th", "row")
            assert all(cell.tag == "td" for cell in cells[1:])
            for head, cell in zip(header, cells, strict=True):  # numbers stand to the right, heads with them
                assert ("number" in cell.attributes.get("class", "").split()) == ("number" in head.attributes["class"])
    heads = [th.text for th in tree.all("table")[0].all("th") if th.attributes["scope"] == "col"]
    assert heads == ["method", "MaxBoxAcc", "kind", "threshold", "images", "ms / image"]
    assert ".number { text-align: right" in tree.all("style")[0].text
    levels = [int(e.tag[1]) for e in tree.all("*") if re.fullmatch("h[1-6]", e.tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
    for landmark in tree.all("section"):
        assert landmark.attributes["aria-labelledby"] in {h.attributes.get("id") for h in tree.all("h2")}
    assert all(label.all("input") for label in tree.all("label"))


def test_style_serves_dark_rooms_and_paper(tree):
    style = tree.all("style")[0].text
    assert "@media (prefers-color-scheme: dark)" in style and "@media print" in style


def test_pictures_are_drawings_with_words(tree):
    images = tree.all("img")
    assert len(images) == 2
    sizes = []
    for image in images:
        root = drawing(image)
        points = [float(root.attrib[side].removesuffix("pt")) for side in ("width", "height")]
        ratio = int(image.attributes["width"]) / int(image.attributes["height"])
        assert root.tag.endswith("svg") and points[0] / points[1] == pytest.approx(ratio, rel=0.01)
        sizes.append((int(image.attributes["width"]), int(image.attributes["height"])))
    assert sizes[1] == (288, 192)  # 3 × 2 inches
    alt = images[0].attributes["alt"]
    assert "gradcam 66.1 % (63.0 to 69.2 %)" in alt and "center box 46.3 %" in alt and HOSTILE in alt
    assert images[1].attributes["alt"] == f"Picture: maps of {HOSTILE}"
    assert tree.all("figcaption")[0].text == f"maps of {HOSTILE}"


def drawing(image: Element) -> ElementTree.Element:
    kind, data = image.attributes["src"].split(",", 1)
    assert kind == "data:image/svg+xml"
    return ElementTree.fromstring(unquote(data))


def test_drawings_know_the_dark_and_hold_nothing_of_the_data(tree):
    for image in tree.all("img"):
        text = unquote(image.attributes["src"])
        assert "prefers-color-scheme:dark" in text and "alert" not in text and "<script" not in text
        style = re.search(r"<style>(.*?)</style>", text)[1]
        used = set(re.findall(r"var\((--c[0-9a-f]{6})\)", text))
        assert {"--c1f2430", "--cffffff"} & used and all(style.count(f"{name}:") == 2 for name in used)
        assert not re.search(r"(fill|stroke): #(1f2430|667085|ffffff|000000)", text.replace(style, ""))


def test_photographs_in_drawings_are_webp(tmp_path):
    rng = np.random.default_rng(0)
    smooth = np.kron(rng.random((12, 12, 3)), np.ones((20, 20, 1)))
    figure = Figure(figsize=(3, 3))
    figure.subplots().imshow(np.clip(smooth + rng.normal(0, 0.05, smooth.shape), 0, 1))
    page = Tree(wsol().report(tmp_path / "a.html", pictures={"p": figure}).read_text(encoding="utf-8")).root
    (element,) = [e for e in drawing(page.all("img")[1]).iter() if e.tag.endswith("image")]
    kind, data = element.attrib["{http://www.w3.org/1999/xlink}href"].split(",", 1)
    assert kind == "data:image/webp;base64"
    shown = Image.open(io.BytesIO(base64.b64decode(data)))
    assert shown.format == "WEBP" and shown.width > 150
    centre = np.asarray(shown.convert("RGB").resize((12, 12), Image.Resampling.BOX)) / 255
    centre = centre[::-1]  # it is stored upside down, as the axis of an SVG runs
    assert np.abs(centre - smooth[10::20, 10::20])[1:-1, 1:-1].mean() < 0.05


def test_hostile_names_stay_text(tree, report):
    assert len(tree.all("script")) == 1
    assert not [e for e in tree.all("*") if any(name.startswith("on") for name in e.attributes)]
    assert tree.all("table")[0].text.count(HOSTILE) == 1
    assert "<script>alert" not in report.read_text(encoding="utf-8")


def test_how_it_was_made_is_told(tree):
    made = tree.all("section")[-1]
    pairs = {d.all("dt")[0].text: d.all("dd")[0].text for d in made.all("div")}
    assert pairs == {
        "model": "resnet50",
        "data": HOSTILE,
        "options.gradcam.layer": "null",
        "options.ids": '["a", "b"]',
        "attribeval": "9.8.7",
        "keras": "3.15.1",
        "seed": "4711",
    }
    seconds = 1234 * (0.0125 + 2.0 + 0.25 + 0.0 + 0.00001)
    assert f"{seconds / 60:.1f} min for all maps" in made.text
    assert made.all("pre")[0].text == 'attribeval wsol --data "<here>" && echo done'
    assert made.text.count("Not recorded.") == 4  # of the second result
    assert made.all("h3")[0].text == "How to reproduce"


def test_a_method_with_two_metrics_is_paid_once():
    table = pd.DataFrame({"method": ["a", "a", "b"], "images": 10, "seconds_per_image": [0.5, 0.5, 1.0]})
    assert page._cost(table).startswith("15.0 s")


def test_without_a_command_the_page_says_so(tmp_path):
    text = Tree(wsol().report(tmp_path / "a.html").read_text(encoding="utf-8")).root.text
    assert "The command was not recorded." in text


def test_no_result_is_an_error(tmp_path):
    with pytest.raises(AttribevalError, match="at least one result"):
        write_report(tmp_path / "a.html", [])
    with pytest.raises(AttribevalError, match="a name for each of 2 results"):
        write_report(tmp_path / "a.html", [wsol(), other()], names=["a"])
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_old_page(tmp_path):
    path = write_report(tmp_path / "a.html", [other()])
    before = path.read_bytes()
    broken = wsol()
    broken.arrays["gradcam/curve"] = np.zeros(3)
    with pytest.raises(AttribevalError, match="256"):
        write_report(path, [broken])
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_file_names_that_are_no_text_are_written_as_escapes(tmp_path):
    result = other()
    result.settings = {"file": b"caf\xe9.png".decode("utf-8", "surrogateescape")}
    assert "caf\\udce9.png" in write_report(tmp_path / "a.html", [result]).read_text(encoding="utf-8")


# -- many metrics ------------------------------------------------------------------------------------------------------


def test_many_metrics_are_a_column_each(tmp_path):
    tree = Tree(many_metrics().report(tmp_path / "page.html").read_text(encoding="utf-8")).root
    rows = rows_of(tree, 0)
    assert [[cell.text for cell in row] for row in rows] == [
        ["gradcam", "70.0 %57.5 to 82.5 %", "65.0 %52.5 to 77.5 %", "50.0 %37.5 to 62.5 %",
         "−0.500−0.625 to −0.375", "90.0 %77.5 to 102.5 %", "method", "31", "100", "250.0"],
        ["centred box", "50.0 %37.5 to 62.5 %", "45.0 %32.5 to 57.5 %", "30.0 %17.5 to 42.5 %", "–",
         "80.0 %67.5 to 92.5 %", "baseline", "–", "100", "250.0"],
    ]  # fmt: skip
    assert float(rows[0][1].attributes["data-value"]) == 0.7  # sorting is by the value


def test_the_terminals_table_shows_what_fits():
    from attribeval.report.views import terminal_text

    text = terminal_text(many_metrics())
    lines = text.splitlines()
    assert lines[0].split() == [
        "method", "kind", "MaxBoxAcc", "95", "%", "interval", "BoxAcc", "PxAP", "SaliencyMetric", "PixelAUC",
        "threshold", "ms/image",
    ]  # fmt: skip
    assert lines[2].split() == [
        "gradcam", "method", "70.0", "%", "57.5", "to", "82.5", "%", "65.0", "%", "50.0", "%", "−0.500", "90.0", "%",
        "31", "250.0",
    ]  # fmt: skip
    assert lines[3].split() == [
        "centred", "box", "baseline", "50.0", "%", "37.5", "to", "62.5", "%", "45.0", "%", "30.0", "%", "80.0", "%",
    ]  # fmt: skip
    narrow = terminal_text(many_metrics(), width=84).splitlines()
    assert max(map(len, narrow)) <= 84 and "more metrics" in narrow[-1]
    one = Result("wsol", many_metrics().table.query("metric == 'MaxBoxAcc'"))
    assert terminal_text(one).splitlines()[0].split()[2:6] == ["MaxBoxAcc", "95", "%", "interval"]


# -- several results, and what they know of themselves -----------------------------------------------------------------


def text_of(path: Path) -> str:
    return Tree(path.read_text(encoding="utf-8")).root.text


def test_results_of_one_benchmark_are_told_apart(tmp_path):
    one, two = (wsol() for _ in range(2))
    one.command, two.command = "attribeval wsol --model a", "attribeval wsol --model b"
    tree = Tree(write_report(tmp_path / "a.html", [one, two]).read_text(encoding="utf-8")).root
    assert [a.text for a in tree.all("nav")[0].all("a")] == ["Answer", "wsol 1", "wsol 2", "How it was made"]
    named = Tree(write_report(tmp_path / "b.html", [one, two], names=["vgg", "net"]).read_text(encoding="utf-8")).root
    assert [a.text for a in named.all("nav")[0].all("a")] == ["Answer", "vgg", "net", "How it was made"]
    assert [h.text for h in named.all("h2")][1] == "Weakly supervised object localisation vgg"
    assert [pre.text for pre in named.all("pre")] == [one.command, two.command]


def test_marks_share_a_scale_per_metric():
    table = pd.DataFrame(
        {
            "method": ["a", "b", "a", "b"],
            "metric": ["m", "m", "n", "n"],
            "value": [0.0, 1.0, 50.0, np.nan],
            "low": [-1.0, 0.0, 40.0, 20.0],
            "high": [1.0, 3.0, 60.0, np.inf],
        }
    )
    shown = cells.show(table)
    assert [column.name for column in shown.columns] == ["method", "m", "n"]
    marks = [[cell.mark for cell in row[1:]] for _, row in shown.rows]
    assert marks[0] == [cells.Mark(0.0, 0.5, 0.25, 0.25), cells.Mark(0.5, 1.0, 0.75, None)]
    assert marks[1] == [cells.Mark(0.25, 1.0, 0.5, 0.25), None]  # of an open interval there is no bar
    assert not cells.show(table.assign(low=1.0, high=1.0, value=1.0)).marked  # nothing to compare


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["0.41\n#3 ab", "−2.5e−03", "1\u202f234 MiB"], [0.41, -0.0025, 1234.0]),
        (["7 of 9", "–", "failed\nno memory"], [7.0, None, None]),
        (["3x", "4"], None),  # 3x is no number
        (["conv1", "2"], None),
    ],
)
def test_texts_that_begin_with_a_number_sort_by_it(texts, values):
    shown = cells.show(pd.DataFrame({"method": range(len(texts)), "cell": texts}))
    sort = [row[1].sort for _, row in shown.rows]
    assert shown.columns[1] == cells.Column("cell", values is not None)
    assert sort == texts if values is None else [float(s) if s else None for s in sort] == values


def test_a_command_is_kept_with_the_result(tmp_path):
    from attribeval.results.command import command_runs

    with command_runs("attribeval wsol --data 'a b'"):
        result = wsol()
    assert wsol().command is None
    again = Result.load(result.save(tmp_path / "saved"))
    assert again.command == result.command == "attribeval wsol --data 'a b'"
    assert "attribeval wsol --data 'a b'" in text_of(again.report(tmp_path / "a.html"))
    wsol().save(tmp_path / "other")
    with command_runs("attribeval report saved"):  # what reads a result did not make it
        assert Result.load(tmp_path / "other").command is None
        assert Result.load(tmp_path / "saved").command == result.command


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("attribeval wsol --imagenet /data/a b/ILSVRC", "attribeval wsol --imagenet a b/ILSVRC"),
        (
            "attribeval wsol --imagenet '/data/a b/ILSVRC 12' -o /tmp/out/",
            "attribeval wsol --imagenet 'ILSVRC 12' -o out",
        ),
        ("attribeval roar run --builder=/home/me/net.py:make ~/runs/a", "attribeval roar run --builder=net.py:make a"),
        ("attribeval wsol --images photos/a ../b 'smoothgrad(gradient)'", None),
        ("curl https://host/a/b && 1 / 2", None),
        (r"attribeval explain C:\Users\me\cat.png", "attribeval explain cat.png"),
    ],
)
def test_commands_are_shown_without_this_machines_folders(tmp_path, command, shown):
    result = wsol()
    result.command = command
    text = text_of(result.report(tmp_path / "a.html"))
    assert (shown or command) in text and "/home/me" not in text and "/tmp/out" not in text
    assert Result.load(result.save(tmp_path / "saved")).command == command  # the file keeps what was typed


def test_the_command_line_makes_one_page_of_many_folders(tmp_path, capsys):
    from attribeval.cli import main

    for name, result in {"a/report": wsol(), "b": other(), "b/inner/deep": many_metrics()}.items():
        result.save(tmp_path / "runs" / name)
    (tmp_path / "runs" / "cells").mkdir()
    (tmp_path / "runs" / "cells" / "result.json").write_text("{}")  # no result: it stands alone
    (tmp_path / "runs" / "loop").symlink_to(tmp_path / "runs")
    page_path = tmp_path / "out" / "page.html"
    assert main(["report", str(tmp_path / "runs"), "-o", str(page_path), "--title", "All", "--table",
                 str(tmp_path / "out" / "t.md")]) == 0  # fmt: skip
    printed = capsys.readouterr().out.split()
    tree = Tree(page_path.read_text(encoding="utf-8")).root
    assert tree.all("h1")[0].text == "All"
    assert [a.text for a in tree.all("nav")[0].all("a")][1:4] == ["a", "b", "b/inner/deep"]
    assert printed == [*(str(tmp_path / "out" / f"t-{name}.md") for name in ("a", "b", "b-inner-deep")), str(page_path)]
    assert all(Path(path).exists() for path in printed)
    # one folder given twice, or one of its files, is one result; alone, it needs no name
    one = tmp_path / "runs" / "a" / "report"
    assert main(["report", str(one), str(one / "table.csv"), str(one.parent), "-o", str(page_path)]) == 0
    tree = Tree(page_path.read_text(encoding="utf-8")).root
    assert [a.text for a in tree.all("nav")[0].all("a")] == [
        "Answer", "Weakly supervised object localisation", "How it was made"
    ]  # fmt: skip
    assert rows_of(tree, 0)[0][0].text == "gradcam"


@pytest.mark.parametrize("what", ["empty", "nowhere", "file"])
def test_the_command_line_says_where_no_result_is(tmp_path, capsys, what):
    from attribeval.cli import main

    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    assert main(["report", str(tmp_path / what), "-o", str(tmp_path / "page.html")]) == 2
    error = capsys.readouterr().err
    assert str(tmp_path / what) in error and len(error.splitlines()) == 1
    assert not (tmp_path / "page.html").exists()
