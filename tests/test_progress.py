"""Progress in a pipe: a line a minute, from the outermost, that also speaks while one unit takes longer than that."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest

from attribeval import progress


@pytest.fixture
def quick(monkeypatch, capsys):
    """A minute of 50 ms; the lines that were written so far, at least so many of them (a busy machine writes late)."""
    monkeypatch.setattr(progress, "_SECONDS", 0.05)
    monkeypatch.delenv("ATTRIBEVAL_QUIET", raising=False)
    written: list[str] = []

    def lines(at_least: int = 0) -> list[str]:
        until = time.monotonic() + 30
        while True:
            written.extend(capsys.readouterr().err.splitlines())
            if len(written) >= at_least:
                return list(written)
            assert time.monotonic() < until, f"{len(written)} of {at_least} lines in 30 s"
            time.sleep(0.02)

    return lines


def test_a_unit_that_takes_long_is_heard_of(quick):
    with progress.bar(4, "models", unit="task"):
        lines = quick(at_least=3)
    assert all(re.fullmatch(r"models: 0 of 4 tasks after \d+ s", line) for line in lines)


def test_nothing_is_said_once_it_is_over(quick):
    with progress.bar(4, "models", unit="task") as bar:
        quick(at_least=1)
    bar.thread.join(30)
    before = quick()
    time.sleep(0.15)
    assert not bar.thread.is_alive() and quick() == before


def test_only_the_outermost_speaks(quick):
    with progress.bar(2, "outer") as outer, progress.bar(3, "inner") as inner:
        inner.update(3)
        outer.update(1)
        before = len(quick())
        lines = quick(at_least=before + 4)
    assert all(line.startswith("outer: ") for line in lines)
    assert lines[-1].startswith("outer: 1 of 2")


def test_what_was_there_before_says_nothing_of_the_speed():
    """10 of 30 found done, then 5 in 120 s: the other 15 take 360 s."""
    bar = progress.Lines(30, "wsol")
    with bar:
        bar.update(10)
        bar._begun -= 120
        bar.update(5)
        assert bar.line(120) == "wsol: 15 of 30 images after 2 min, about 6 min left"
        assert bar.line(7200) == "wsol: 15 of 30 images after 2.0 h, about 6.0 h left"


@pytest.mark.parametrize(("show", "quiet"), [(False, False), (None, True)])
def test_nothing_where_nothing_is_wanted(quick, monkeypatch, show, quiet):
    monkeypatch.setenv("ATTRIBEVAL_QUIET", "1" if quiet else "0")
    with progress.bar(4, "models", show) as bar:
        bar.update(1)
        time.sleep(0.12)
    assert quick() == []


def test_a_real_pipe_gets_lines_without_carriage_returns():
    code = (
        "import time\nfrom attribeval import progress\nprogress._SECONDS = 0.1\n"
        "with progress.bar(2, 'wsol') as bar:\n    time.sleep(0.15); bar.update(1); time.sleep(0.5)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    assert "\r" not in done.stderr and done.stdout == "" and len(lines) >= 3
    assert all(re.fullmatch(r"wsol: [01] of 2 images after \d s(, about \d s left)?", line) for line in lines)
