"""The published tables of agreement against SciPy, from the numbers of images and trainings that lie beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from attribeval import Result

RESULTS = Path(__file__).parents[3] / "docs" / "results"
METHODS = 20


def scores(result: Result, score: str) -> tuple[list[str], np.ndarray]:
    """A score of the board or of retraining, higher is better, read from the arrays by hand: methods, (methods,)."""
    if result.benchmark == "roar":
        mode, sign = ("remove", -1) if score == "ROAR" else ("keep", 1)
        kinds = dict(zip(result.table["method"], result.table["kind"], strict=True))
        names = [name for name, kind in kinds.items() if kind == "method"]
        return names, sign * np.array([result.arrays[f"{mode}/{name}/accuracy"].mean() for name in names])
    kinds, better = result.settings["kinds"], result.settings["better"]
    column = result.arrays["scores"][:, list(better).index(score)]
    names = [name for name, kind in kinds.items() if kind == "method"]
    means = np.array([np.nanmean(column[list(kinds).index(name)]) for name in names])
    return names, means if better[score] == "high" else -means


@pytest.mark.parametrize("name", ["digits", "cifar10"])
def test_published_correlations_are_scipys(name):
    agreement, board, retrained = (Result.load(RESULTS / name / one) for one in ("agreement", "leaderboard", "roar"))
    table = agreement.table
    rows = table[(table["study"] == "leaderboard") & table["judge"].isin(["ROAR", "KAR"])]
    assert len(rows) > 60
    for row in rows.itertuples():
        names, one = scores(board, row.score)
        judged, other = scores(retrained, row.judge)
        assert len(names) == row.methods == METHODS
        other = other[[judged.index(method) for method in names]]
        assert row.value == pytest.approx(spearmanr(one, other).statistic, abs=1e-9), row.score


def test_published_runs_say_what_the_paper_says_and_hold_no_image():
    table = Result.load(RESULTS / "digits" / "roar").table
    gain = table[(table["mode"] == "remove") & (table["metric"] == "area vs random")].set_index("method")
    for base in ("GRAD", "IG", "GB"):  # Hooker et al. 2019, section 4.2
        assert (gain.loc[[f"SG-SQ-{base}", f"VAR-{base}"], "p_holm"] < 0.05).all()
        assert (gain.loc[[f"SG-SQ-{base}", f"VAR-{base}"], "low"] > 0).all()
        assert (gain.loc[[base, f"SG-{base}"], "value"] < 0).all()
    for folder in RESULTS.glob("*/*"):
        arrays = Result.load(folder).arrays
        deep = [array.shape for array in arrays.values() if array.ndim > 2]
        assert not any(shape[i : i + 2] == (32, 32) for shape in deep for i in range(2)), folder
        assert not any(array.dtype == np.uint8 for array in arrays.values()), folder
