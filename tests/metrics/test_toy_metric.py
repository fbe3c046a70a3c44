"""A metric is one file and one line: the board, its page, the list of benchmarks and `attribeval.metrics` have it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from attribeval import Attributer, Result
from attribeval.datasets import digit_scenes

FOLDER = Path(__file__).with_name("toy_metric")
SCRIPT = """
import sys
from attribeval import metrics

metrics.__path__.append(sys.argv[1])
metrics.HOMES["brightest"] = "brightest"  # the one line

from attribeval.cli import main

print(metrics.brightest([[[3.0, -1.0]], [[0.0, 0.0]]]))
words = ["bench", "--model", "digit_objects", "--limit", "3", "--methods", "gradient", "--benchmarks", "brightest"]
sys.exit(main(["bench", "--list"]) or main([*words, "entropy", "-o", sys.argv[2]]))
"""


def test_a_metric_is_a_file_and_a_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(FOLDER), str(tmp_path / "out")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[0.75  nan]")
    assert "  brightest (high is better, 0 + 0 passes; none)" in done.stdout and "brightest ↑" in done.stdout
    board = Result.load(tmp_path / "out")
    assert board.settings["benchmarks"] == ["brightest", "entropy"]
    samples = digit_scenes(n_train=1, n_test=3).test.samples()
    maps = Attributer("digit_objects").explain(samples, "gradient", progress=False).values
    shares = []
    for one in maps:
        sizes = [sum(abs(v) for v in place) for line in one.tolist() for place in line]
        shares.append(max(sizes) / sum(sizes))
    row = board.table.set_index(["method", "benchmark"]).loc[("gradient", "brightest")]
    assert row["value"] == pytest.approx(np.mean(shares), rel=1e-5)
    assert "brightest ↑" in (tmp_path / "out/report.html").read_text().replace("<wbr>", "")
