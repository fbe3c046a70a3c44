"""The walkthroughs as they are committed: without output, with a verdict, and with a script that does the same."""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from pathlib import Path

import pytest
from helpers import forks

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))


def _cells(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def _text(cell: dict) -> str:
    return "".join(cell["source"])


def test_there_are_walkthroughs():
    assert {path.stem for path in NOTEBOOKS} >= {
        "first_look", "every_method", "your_own_model", "chest_scans", "which_method_localises", "roar_on_digits",
        "the_papers_data", "bam_on_digits", "sanity_and_leaderboard", "scaling_out",
    }  # fmt: skip


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestNotebook:
    def test_is_committed_clean(self, path):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
        assert set(notebook["metadata"]["language_info"]) == {"name"}  # the version is the reader's
        for cell in notebook["cells"]:
            assert cell["metadata"] == {}
            if cell["cell_type"] == "code":
                assert cell["outputs"] == []
                assert cell["execution_count"] is None
        assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])

    def test_says_for_whom_and_how_long(self, path):
        first = _text(_cells(path)[0])
        assert first.startswith("# ")
        assert "**For**" in first
        assert re.search(r"\*\*Takes\*\*.*minute", first)
        assert sum(_text(cell).startswith("# ") for cell in _cells(path)) == 1

    def test_ends_with_what_to_conclude_and_what_not(self, path):
        last = _text(_cells(path)[-1])
        assert last.index("## What to conclude") < last.index("## What not to conclude")
        for part in last.split("## What")[1:]:
            assert part.count("\n* ") >= 2

    def test_code_is_python_and_links_lead_somewhere(self, path):
        for cell in _cells(path):
            if cell["cell_type"] == "code":
                ast.parse(_text(cell))
            else:
                for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", _text(cell)):
                    assert (path.parent / link).is_file(), link

    def test_has_a_script_beside_it_and_stands_in_the_readme(self, path):
        assert path.with_suffix(".py") in SCRIPTS
        assert f"examples/{path.name}" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_walkthrough_runs_from_start_to_end_without_a_network(path):
    command = [sys.executable, str(ROOT / "examples" / "run_notebooks.py"), "--quick", str(path)]
    # What a kernel says before it imports Matplotlib, which its fork has.
    drawing = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    done = forks.run(command, capture_output=True, text=True, env=os.environ | drawing)
    assert done.returncode == 0, done.stderr[-3000:]
    print(done.stdout)
    assert re.search(rf"{path.name}: \d+ s", done.stdout)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script_says_how_to_call_it(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert f"Usage: python examples/{path.name}" in ast.get_docstring(tree)
    assert any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)


def test_every_method_names_options_of_methods_that_there_are():
    from attribeval.methods.registry import METHODS, build_method, needs_base

    tree = ast.parse((ROOT / "examples" / "every_method.py").read_text(encoding="utf-8"))
    (fewer,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "FEWER"
    )
    assert set(fewer) <= set(METHODS)
    for name, cls in METHODS.items():
        build_method(f"{name}({'gradient' if needs_base(cls) else fewer.get(name, '')})".replace("()", ""))
