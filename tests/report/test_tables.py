"""Tables as files: read back by what others read them with."""

from __future__ import annotations

import builtins
import json
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from helpers.results import HOSTILE, many_metrics, wsol

from attribeval.errors import AttribevalError
from attribeval.results.result import Result


def made_up() -> Result:
    table = pd.DataFrame(
        {
            "method": ["gradcam", HOSTILE, "random"],
            "metric": "correlation",
            "value": [1 / 3, -1e-12, np.nan],
            "low": [0.25, -np.inf, np.nan],
            "high": [0.5, np.inf, np.nan],
            "images": [10, 20, 30],
            "fine": [True, False, True],
            "note": ["ü ∞", None, ""],
        }
    )
    return Result("made up", table, {"seed": 3, "options": {"a": [1, 2]}}, ["Words."], command="attribeval x")


def test_csv_is_what_save_writes(tmp_path):
    result = made_up()
    written = result.write_table(tmp_path / "deep" / "t.csv")
    assert written.read_bytes() == (result.save(tmp_path) / "table.csv").read_bytes()
    back = pd.read_csv(written, keep_default_na=False, na_values=[""])
    assert back["value"][0] == 1 / 3 and back["low"][1] == -np.inf


def test_json_holds_records_and_settings(tmp_path):
    text = made_up().write_table(tmp_path / "t.json").read_text(encoding="utf-8")

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    read = json.loads(text, parse_constant=refuse)
    assert (read["benchmark"], read["summary"], read["command"]) == ("made up", ["Words."], "attribeval x")
    assert read["settings"] == {"seed": 3, "options": {"a": [1, 2]}}
    assert read["records"][0] == {
        "method": "gradcam", "metric": "correlation", "value": 1 / 3, "low": 0.25, "high": 0.5, "images": 10,
        "fine": True, "note": "ü ∞",
    }  # fmt: skip
    assert (read["records"][1]["low"], read["records"][1]["high"]) == ("-Infinity", "Infinity")
    assert read["records"][2]["value"] is None and read["records"][1]["note"] is None
    assert isinstance(read["records"][0]["images"], int)


def test_parquet_keeps_types_and_settings(tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra `parquet`)")
    result = made_up()
    back = pd.read_parquet(result.write_table(tmp_path / "t.parquet"))
    assert back.attrs["settings"] == result.settings and back.attrs["command"] == "attribeval x"
    for name in ("value", "low", "high", "images", "fine"):
        assert back[name].dtype == result.table[name].dtype
        np.testing.assert_array_equal(back[name], result.table[name])  # to the last bit
    assert list(back["method"]) == list(result.table["method"]) and back["note"].isna().tolist() == [False, True, False]
    assert result.table.attrs == {}  # the result's own table is not touched
    mixed = Result("made up", pd.DataFrame({"method": ["a", "b"], "threshold": [1.0, "auto"]}))
    with pytest.raises(AttribevalError, match="threshold"):
        mixed.write_table(tmp_path / "mixed.parquet")
    assert not (tmp_path / "mixed.parquet").exists()


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **named):
        if name.split(".")[0] == "pyarrow":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(AttribevalError, match=r"pip install 'attribeval\[parquet\]'"):
        made_up().write_table(tmp_path / "t.parquet")


def test_latex_by_hand(tmp_path):
    table = pd.DataFrame(
        {
            "method": ["a_b", "[c] & 5% {#1} ~^\\"],
            "metric": "MaxBoxAcc",
            "value": [0.5, 0.25],
            "low": [0.4, np.nan],
            "high": [0.6, np.nan],
            "gap": [-1.5e-7, 12345.0],
        }
    )
    assert Result("of another kind", table).write_table(tmp_path / "t.tex").read_text() == (
        "% \\usepackage{booktabs}\n"
        "\\begin{tabular}{lrr}\n"
        "\\toprule\n"
        "method & MaxBoxAcc & gap \\\\\n"
        "\\midrule\n"
        "a\\_b & 0.500 {\\footnotesize [0.400, 0.600]} & $-1.5\\times10^{-7}$ \\\\\n"
        "{[c] \\& 5\\% \\{\\#1\\} \\textasciitilde{}\\textasciicircum{}\\textbackslash{}} & "
        "0.250 & 12\\,345 \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
        "\\par\\smallskip\\noindent{\\footnotesize In brackets: 95 \\% intervals.\\par}\n"
    )


def test_latex_puts_intervals_of_many_metrics_beside_their_values(tmp_path):
    lines = many_metrics().write_table(tmp_path / "t.tex").read_text().splitlines()
    assert lines[1] == "\\begin{tabular}{lrrrrrlrrr}"
    assert lines[5].startswith("gradcam & 70.0\\,\\% {\\footnotesize [57.5, 82.5]\\,\\%} & ")
    assert "$-$0.500 {\\footnotesize [$-$0.625, $-$0.375]}" in lines[5]


def several() -> Result:
    """Two metrics, one of which is better when it is low; a control is best of all, and two methods are equal."""
    rows = [
        ("a", "method", "MaxBoxAcc", 0.5), ("b", "method", "MaxBoxAcc", 0.5), ("c", "method", "MaxBoxAcc", 0.4999),
        ("random", "control", "MaxBoxAcc", 0.9),
        ("a", "method", "SaliencyMetric", -0.2), ("b", "method", "SaliencyMetric", 0.1),
        ("c", "method", "SaliencyMetric", np.nan), ("random", "control", "SaliencyMetric", -3.0),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["method", "kind", "metric", "value"])
    return Result("wsol", table.assign(low=np.nan, high=np.nan))


def test_the_best_methods_are_bold_in_chosen_columns(tmp_path):
    tex = several().write_table(tmp_path / "t.tex", ["method", "SaliencyMetric", "MaxBoxAcc"]).read_text().splitlines()
    assert tex[1:4] == ["\\begin{tabular}{lrr}", "\\toprule", "method & SaliencyMetric & MaxBoxAcc \\\\"]
    assert tex[5:9] == [
        "a & \\textbf{\\boldmath $-$0.200} & \\textbf{50.0\\,\\%} \\\\",
        "b & 0.100 & \\textbf{50.0\\,\\%} \\\\",
        "c & -- & 50.0\\,\\% \\\\",
        "random & $-$3.000 & 90.0\\,\\% \\\\",
    ]
    assert "Bold: the best method of a column; controls and baselines are none." in tex[-1]
    md = several().write_table(tmp_path / "t.md", ["method", "MaxBoxAcc"]).read_text().splitlines()
    assert [line.count("**") for line in md] == [0, 0, 2, 2, 0, 0, 0, 0] and md[2] == "| a | **50.0 %** |"
    csv = pd.read_csv(several().write_table(tmp_path / "t.csv", ["value", "method"]))
    assert list(csv.columns) == ["value", "method"] and csv["value"][2] == 0.4999
    records = json.loads(several().write_table(tmp_path / "t.json", ["method"]).read_text())["records"]
    assert records[0] == {"method": "a"} and len(records) == 8
    for name, wrong in (("t.tex", "value"), ("t.csv", "MaxBoxAcc")):
        with pytest.raises(AttribevalError, match=f"Unknown column of the table: '{wrong}'.*method"):
            several().write_table(tmp_path / name, ["method", wrong])


def test_best_is_by_mode_where_rows_have_one(tmp_path):
    """Of ROAR low accuracies are good when values are removed, and high ones when they are kept."""
    rows = []
    for mode, better in (("remove", -1), ("keep", 1)):
        for name, kind, gain in (("good", "method", 0.1), ("poor", "method", -0.1), ("random", "control", 0.0)):
            about = {"method": name, "kind": kind, "mode": mode, "low": np.nan, "high": np.nan, "verdict": "",
                     "group": "a", "p_holm": 0.5, "repeats": 3}  # fmt: skip
            rows.append(about | {"metric": "area vs random", "fraction": np.nan, "value": gain})
            rows.append(about | {"metric": "accuracy", "fraction": 0.3, "value": 0.5 + better * gain})
    result = Result("roar", pd.DataFrame(rows), {"level": 0.9})
    lines = result.write_table(tmp_path / "t.md", ["method", "mode", "30 %", "gain (points)"]).read_text().splitlines()
    assert lines[2:8] == [
        "| good | remove | **40.0 %** | **+10.0** |", "| poor | remove | 60.0 % | −10.0 |",
        "| random | remove | 50.0 % | 0.0 |", "| good | keep | **60.0 %** | **+10.0** |",
        "| poor | keep | 40.0 % | −10.0 |", "| random | keep | 50.0 % | 0.0 |",
    ]  # fmt: skip
    assert "in points of accuracy" in lines[-1]


def test_marks_of_a_board_are_explained(tmp_path):
    """Rank and letters stand behind a value; the best rank of a method is bold, also where a control's is better."""
    table = pd.DataFrame(
        {
            "method": ["a", "b", "sobel"], "kind": ["method", "method", "control"], "benchmark": "deletion",
            "value": [0.2, 0.3, 0.1], "rank": [2.0, 3.0, 1.0], "group": ["ab", "b", "a"], "error": ["", "no map", ""],
            "seconds_per_image": 0.01, "peak_memory_mib": 5.0,
        }
    )  # fmt: skip
    order = (("sobel", "control", 1.0), ("a", "method", 2.0), ("b", "method", 3.0))
    ranks = [
        {"family": "all", "method": name, "kind": kind, "value": rank, "low": rank, "high": rank + 0.5}
        for name, kind, rank in order
    ]
    settings = {"average_ranks": ranks, "benchmarks": ["deletion"], "better": {"deletion": "low"}}
    board = Result("leaderboard", table, settings)
    saved = Result.load(board.save(tmp_path / "saved"))  # an empty error is none, also when read again
    for result in (board, saved):
        lines = result.write_table(tmp_path / "t.tex", ["method", "mean rank", "deletion ↓"]).read_text().splitlines()
        assert lines[5:8] == [
            "sobel & 1.0 {\\footnotesize [1.0, 1.5]} & 0.100 {\\footnotesize \\#1 a} \\\\",
            "a & \\textbf{2.0} {\\footnotesize [2.0, 2.5]} & \\textbf{0.200} {\\footnotesize \\#2 ab} \\\\",
            "b & 3.0 {\\footnotesize [3.0, 3.5]} & 0.300 {\\footnotesize \\#3 b !} \\\\",
        ]
        assert (
            "\\#2 a: the second rank in this benchmark; methods that share a letter cannot be told apart" in lines[-1]
        )
        assert "!: scores of some images are missing" in lines[-1]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on PATH: the table is not typeset")
def test_latex_typesets(tmp_path):
    for i, result in enumerate((wsol(), made_up(), many_metrics())):
        result.write_table(tmp_path / f"t{i}.tex")
    text = "\\documentclass{article}\n\\usepackage[T1]{fontenc}\n\\usepackage{booktabs}\n"
    text += "\\pdfpagewidth=90cm\n\\begin{document}\n"
    text += "".join(f"\\noindent\\input{{t{i}}}\\clearpage\n" for i in range(3)) + "\\end{document}\n"
    (tmp_path / "all.tex").write_text(text)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-1500:]
    if shutil.which("pdftotext"):
        subprocess.run(["pdftotext", "-layout", "all.pdf"], cwd=tmp_path, check=True)
        words = (tmp_path / "all.txt").read_text()
        assert "[63.0,69.2]%" in words.replace(" ", "") and "alert('x')" in words.replace("’", "'")


def test_markdown_by_hand(tmp_path):
    lines = many_metrics().write_table(tmp_path / "t.md").read_text().splitlines()
    assert lines[0] == (
        "| method | MaxBoxAcc | BoxAcc | PxAP | SaliencyMetric | PixelAUC | kind | threshold | images | ms / image |"
    )
    assert lines[1] == "| --- | --: | --: | --: | --: | --: | --- | --: | --: | --: |"
    assert lines[2].startswith("| gradcam | 70.0 % (57.5 to 82.5 %) | ") and lines[4:] == [
        "", "In parentheses: 95 % intervals."
    ]  # fmt: skip
    hostile = made_up().write_table(tmp_path / "h.md").read_text().splitlines()[3]
    assert hostile.replace("\\|", "").count("|") == 6  # five cells
    assert "<script" not in hostile.replace("\\<", "")


@pytest.mark.parametrize("name", ["t.xlsx", "t", "csv"])
def test_another_ending_is_an_error(tmp_path, name):
    with pytest.raises(AttribevalError, match=r"\.csv, \.json, \.parquet, \.tex, \.md"):
        made_up().write_table(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_an_empty_table_is_written(tmp_path):
    empty = Result("x", pd.DataFrame({"method": [], "value": []}))
    for ending in ("csv", "json", "tex", "md"):
        assert "method" in empty.write_table(tmp_path / f"t.{ending}").read_text() or ending == "json"
    assert json.loads((tmp_path / "t.json").read_text())["records"] == []
