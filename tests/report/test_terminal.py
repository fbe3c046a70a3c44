"""What a terminal shows: tables as wide as it is, with nothing lost; quiet runs; names of commands that are none."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import re
import subprocess
import sys

import pytest

from attribeval.cli import main
from attribeval.methods.registry import METHODS
from attribeval.progress import bar, is_quiet, keep_quiet
from attribeval.report.terminal import text_table

WORDS = ["one", "eleven", "thousand", "and_a_half", "of", "several", "methods", "that", "explain", "a", "photograph"]


def made(seed: int):
    draw = random.Random(seed)
    columns = draw.randint(1, 7)
    rows = [[" ".join(draw.choices(WORDS, k=draw.randint(0, 9))) for _ in range(columns)] for _ in range(5)]
    return [f"c{i}" for i in range(columns)], rows


def words_of(text: str) -> list[str]:
    return sorted(word for word in text.split() if not set(word) <= {"─"})


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("width", [30, 50, 80, 120, 1000])
def test_a_table_is_as_wide_as_its_room_and_loses_no_word(seed, width):
    header, rows = made(seed)
    text = text_table(header, rows, width=width)
    assert all(len(line) <= width and line == line.rstrip() for line in text.splitlines())
    blocks = [line for line in text.splitlines() if line.startswith("─")]
    said = [word for row in [header, *rows] for cell in row for word in cell.split()]
    again = [word for cell in [header[0], *(row[0] for row in rows)] for word in cell.split()] * (len(blocks) - 1)
    assert words_of(text) == sorted(said + again)


def test_it_is_one_line_a_row_where_there_is_room():
    rows = [["gradcam", "1.5", "some words here"], ["lrp", "22.5", "x"]]
    assert text_table(["name", "value", "note"], rows, right=(1,), width=200).splitlines() == [
        "name     value  note",
        "───────  ─────  ───────────────",
        "gradcam    1.5  some words here",
        "lrp       22.5  x",
    ]
    assert text_table(["name", "value", "note"], rows, right=(1,), width=28).splitlines() == [
        "name     value  note",
        "───────  ─────  ────────────",
        "gradcam    1.5  some words",
        "                here",
        "lrp       22.5  x",
    ]


def test_headings_of_numbers_are_wrapped_and_numbers_are_not():
    header, rows = ["name", "count of images", "95 % interval"], [["gradient", "12", "0.1 – 0.2"]]
    assert text_table(header, rows, right=(1, 2), width=30).splitlines() == [
        "name       count of       95 %",
        "             images   interval",
        "────────  ─────────  ─────────",
        "gradient         12  0.1 – 0.2",
    ]


def test_columns_without_room_come_below_with_the_first_column_again():
    header, rows = ["name", "first value", "second value"], [["gradient", "12.5 to 13.5", "1 000"]]
    assert text_table(header, rows, right=(1, 2), width=24).splitlines() == [
        "name       first value",
        "────────  ────────────",
        "gradient  12.5 to 13.5",
        "",
        "name      second value",
        "────────  ────────────",
        "gradient         1 000",
    ]


@pytest.mark.parametrize("columns", [70, 80, 100, 120, 160, 400])
def test_methods_fit_the_terminal(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["methods"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= columns
    assert set(METHODS) <= {line.split(" ")[0] for line in text.splitlines()}
    named = re.search(r"not shown: ([\w, ]+);", text)
    assert (named is None) == (columns >= 160)
    for column, fact in (("needs", "one linear layer as head"), ("paper", "Simonyan et al. 2013, sec. 3")):
        hidden = named is not None and column in named[1].split(", ")
        if hidden or columns >= 160:
            assert (fact in text) != hidden


def test_in_a_pipe_a_method_is_a_line_whatever_its_length(capsys):
    main(["methods"])
    assert len(capsys.readouterr().out.splitlines()) == len(METHODS) + 2


def test_methods_as_json_are_the_cards_and_the_options(capsys):
    assert main(["methods", "--json"]) == 0
    known = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert set(known) == set(METHODS)
    for name, cls in METHODS.items():
        options = known[name].pop("options")
        assert known[name] == dataclasses.asdict(cls.card)
        assert list(options) == [field.name for field in dataclasses.fields(cls) if field.init]
    assert "maths" in known["gradient"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["benhc"], "Unknown command of attribeval: 'benhc'. Did you mean 'bench'"),
        (["roar", "stauts"], "Unknown command of attribeval roar: 'stauts'. Did you mean 'status'"),
    ],
)
def test_a_command_that_is_none_names_the_nearest(words, message, capsys):
    assert main(words) == 2
    assert message in capsys.readouterr().err


def test_version_in_short(capsys):
    with pytest.raises(SystemExit) as end:
        main(["-V"])
    assert end.value.code == 0
    assert re.fullmatch(r"attribeval \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_quiet_has_no_bar_here_nor_in_processes_that_are_started(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    try:
        keep_quiet(True)
        assert is_quiet() and bar(3, "x").disable and not bar(3, "x", show=True).disable
        code = "from attribeval.progress import is_quiet; print(is_quiet())"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
        assert done.stdout == "True\n"
    finally:
        keep_quiet(False)
    assert not is_quiet() and not bar(3, "x").disable


def test_every_command_takes_quiet(capsys):
    assert main(["methods", "--quiet"]) == 0 and is_quiet()
    assert main(["methods"]) == 0 and not is_quiet()
    assert main(["bench", "-q", "--dry-run", "--model", "digit_objects"]) == 0
    assert "quiet" not in capsys.readouterr().out.split("not run")[1]
    keep_quiet(False)
