"""A study is a folder of at most five files and one line of the registry: here is one, as another package adds it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from attribeval import AttribevalError, Attributer, Result
from attribeval.benchmarks.registry import STUDIES, part, studies
from attribeval.cli import config, main, parser
from attribeval.datasets import digit_scenes
from attribeval.report.views import best_cells, shown_table, terminal_text
from attribeval.runs.store import Store

FOLDER = Path(__file__).with_name("toy_study")
METHODS = ["gradient", "gradcam", "random"]


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER.parent)
    monkeypatch.setitem(STUDIES, "middle", "toy_study")  # the one line


@pytest.fixture(scope="module")
def attributer():
    return Attributer("digit_objects")


@pytest.fixture(scope="module")
def samples():
    return digit_scenes(n_train=1, n_test=4).test.samples()


def run(attributer, samples, **options) -> Result:
    return part("middle", "procedure").run(attributer, samples, **options)


def test_it_is_small():
    assert len(list(FOLDER.glob("*.py"))) <= 5 and "middle" in studies()
    ours = Path(__file__).parents[2] / "attribeval"
    assert not [path for path in ours.rglob("*.py") if "toy_study" in path.read_text()]


def test_its_numbers(attributer, samples):
    result = run(attributer, samples, methods=METHODS, side=0.5)
    for name, row in result.table.set_index("method").iterrows():
        maps = attributer.explain(samples, name, samples.labels, progress=False).values
        shares = []
        for one in maps:
            strength = [[sum(abs(v) for v in place) for place in line] for line in one.tolist()]
            inside = sum(strength[y][x] for y in range(16, 48) for x in range(16, 48))
            shares.append(inside / sum(map(sum, strength)))
        assert row["value"] == pytest.approx(np.mean(shares), rel=1e-5)
    assert run(attributer, samples, side=1.0).table["value"].tolist() == pytest.approx([1, 1])


def test_its_table_text_picture_and_page(attributer, samples, tmp_path):
    result = Result.load(run(attributer, samples, methods=METHODS).save(tmp_path / "saved"))
    values = result.table.set_index("method")["value"]
    shown = shown_table(result)
    assert [column.name for column in shown.columns] == ["method", "Middle", "kind", "ms / image"]
    percent = {cells[0].text: cells[1].text.split("\n")[0] for _, cells in shown.rows}
    assert percent == {name: f"{100 * value:.1f} %" for name, value in values.items()}
    best = values.drop("random").idxmax()
    assert {shown.rows[i][1][0].text for i, _ in best_cells(result, shown)} == {best}
    lines = terminal_text(result, 100).splitlines()
    assert lines[0].split() == ["method", "Middle", "kind", "ms", "/", "image"]
    for line, (name, value) in zip(lines[2:], values.items(), strict=True):
        assert re.match(rf"{name} +{100 * value:.1f} % \(\d+\.\d to \d+\.\d %\) ", line)
    widths = [patch.get_width() for patch in result.plot().axes[0].patches]
    assert widths == pytest.approx(values.tolist())
    page = result.report(tmp_path / "page.html").read_text()
    assert "Middle of the image" in page and "Middle: the share of a map" in page and "The same again" in page
    assert f"Plot of middle, Middle: {values.index[0]} {100 * values.iloc[0]:.1f} %" in page
    assert f"\\textbf{{{percent[best].replace(' %', chr(92) + ',' + chr(92) + '%')}}}" in (
        result.write_table(tmp_path / "t.tex").read_text()
    )
    assert "<svg" not in result._repr_html_() and f"{100 * values.iloc[0]:.1f} %" in result._repr_html_()


def test_its_run_directory_goes_on(attributer, samples, tmp_path, monkeypatch):
    first = run(attributer, samples, methods=METHODS[:2], run_dir=tmp_path)
    asked = []
    explain = Attributer.explain

    def counted(self, images, method, *rest, **named):
        asked.append(*method)
        return explain(self, images, method, *rest, **named)

    monkeypatch.setattr(Attributer, "explain", counted)
    again = run(attributer, samples, methods=METHODS, run_dir=tmp_path)
    assert asked == ["random"]
    same = again.table[again.table["method"] != "random"].reset_index(drop=True)
    assert same.equals(first.table)
    run(attributer, samples, methods=METHODS[:1], side=0.25, run_dir=tmp_path)
    assert asked == ["random", "gradient"]
    with pytest.raises(AttribevalError, match="one of middle"):
        Store(tmp_path, "wsol")


def test_its_command_has_a_flag_for_each_option(tmp_path, capsys):
    words = ["middle", "--model", "digit_objects", "--limit", "4", "--methods", "gradient", "gradcam"]
    kept = [*words, "--side", "0.25", "--run-dir", str(tmp_path / "run"), "-o", str(tmp_path / "out")]
    assert main([*kept, "--dry-run"]) == 0
    assert "side: 0.25" in capsys.readouterr().out and not (tmp_path / "run").exists()
    assert main(kept) == 0
    printed = capsys.readouterr().out
    result = Result.load(tmp_path / "out")
    assert result.settings["side"] == 0.25 and result.summary[0] in printed
    assert terminal_text(result, 120) in printed
    assert {"middle.png", "the_same_again.png", "report.html"} <= {file.name for file in (tmp_path / "out").iterdir()}
    assert (
        main(["report", str(tmp_path / "out"), "-o", str(tmp_path / "page.html"), "--table", str(tmp_path / "t.md")])
        == 0
    )
    assert "Middle of the image" in (tmp_path / "page.html").read_text()
    assert (tmp_path / "t.md").read_text().startswith("| method | Middle | kind |")
    capsys.readouterr()
    assert main([*words, "--side", "2"]) == 2
    assert "Expected side in (0, 1]. Received: 2.0" in capsys.readouterr().err
    assert "How much of a map lies in the middle of the image" in parser().format_help()


def test_a_command_of_its_own_goes_before_the_one_that_is_made(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "loud_study"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "command.py").write_text(
        "def add(commands):\n"
        "    command = commands.add_parser('loudness', help='how loud the maps are')\n"
        "    command.add_argument('--unit', choices=['sone', 'phon'], default='sone')\n"
        "    command.set_defaults(run=lambda args: print(f'in {args.unit}') or 7)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(STUDIES, "loud", "loud_study")
    monkeypatch.setitem(STUDIES, "loud_too", "loud_study")  # another name of results, the same command
    assert main(["loudness", "--unit", "phon"]) == 7 and capsys.readouterr().out == "in phon\n"
    assert main(["loudness", "--unit", "phon", "--dry-run"]) == 0 and "unit: phon" in capsys.readouterr().out
    assert main(["loudnes"]) == 2 and "Did you mean 'loudness'" in capsys.readouterr().err
    assert main(["completion", "bash"]) == 0
    completed = capsys.readouterr().out
    assert '"/loudness --unit") values="sone phon"' in completed and '"/middle --side"' not in completed
    assert '"/middle") commands=""; options="' in completed and "--side" in completed
    assert [one.prog.split()[-1] for one in config.leaves(parser())].count("loudness") == 1


def test_another_package_registers_it_by_an_entry_point(attributer, samples, tmp_path, monkeypatch):
    from attribeval import plugins

    about = tmp_path / "their_studies-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: their-studies\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[attribeval.studies]\nmiddle = toy_study\nbroken = no_such_study\n")
    monkeypatch.delitem(STUDIES, "middle")
    monkeypatch.syspath_prepend(tmp_path)
    plugins._registered.cache_clear()
    try:
        assert studies()[-2:] == ["broken", "middle"]
        result = run(attributer, samples, methods=["gradient"])
        assert result.plot().axes[0].get_title(loc="left") == "Share in the middle"
        with pytest.warns(UserWarning, match="broken.*ModuleNotFoundError"):
            commands = parser().format_help()
        assert "middle" in commands and "broken" not in commands
    finally:
        plugins._registered.cache_clear()
        plugins._broken.clear()


def test_a_view_that_does_not_say_how_is_named(attributer, samples, monkeypatch):
    monkeypatch.setattr(part("middle", "view"), "VIEWS", {"midle": None})
    with pytest.raises(AttribevalError, match=r"VIEWS\['middle'\] to be a View in toy_study.view. Received: None"):
        run(attributer, samples, methods=["gradient"]).plot()
