"""Whether the order of methods hangs on the fill: W by SciPy, and made-up scores whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.leaderboard import made_up
from scipy.stats import friedmanchisquare, rankdata, spearmanr

from attribeval.benchmarks.leaderboard.fills import fill_table, groups_of, kendall_w
from attribeval.benchmarks.leaderboard.summary import summarise
from attribeval.metrics.faithfulness.deletion import Deletion
from attribeval.metrics.faithfulness.irof import Irof
from attribeval.metrics.faithfulness.road import Road
from attribeval.report.views import terminal_text

FILLS = ("black", "mean", "blur")


def board(values):
    """Deletion under each fill; scores (M, 3, N), of which the last two methods are the controls."""
    scores = made_up(values)
    scores.benchmarks = {f"deletion(fill={fill})": Deletion(fill=fill) for fill in FILLS}
    return summarise(scores, {"images": values.shape[2], "benchmarks": list(scores.benchmarks)}, resamples=10)


def values_of(tables, n=40, noise=0.01):
    """Scores with these means, (M, F)."""
    means = np.array(tables, np.float64)
    return means[..., None] + noise * np.random.default_rng(0).normal(size=(*means.shape, n))


def test_w_is_friedmans_statistic_over_its_largest_value():
    rng = np.random.default_rng(0)
    for scores in (rng.normal(size=(6, 4)), rng.integers(0, 3, (7, 3))):  # with ties, too
        chi2 = friedmanchisquare(*scores).statistic  # methods are treatments, fills are blocks
        assert kendall_w(scores) == pytest.approx(chi2 / (scores.shape[1] * (len(scores) - 1)))
    assert kendall_w(np.arange(5.0)[:, None] * [1, 10, 100]) == pytest.approx(1)
    assert np.isnan(kendall_w(np.ones((4, 3))))


def test_benchmarks_that_differ_in_the_fill_alone_belong_together():
    asked = {"a": Deletion(fill="black"), "b": Deletion(steps=8, fill="black"), "c": Deletion(fill=7.0), "d": Road(),
             "e": Deletion(steps=8), "f": Irof(), "g": Deletion()}  # fmt: skip
    assert groups_of(asked) == {
        "deletion": {"black": "a", "7.0": "c", "mean": "g"},
        "deletion 2": {"black": "b", "mean": "e"},
    }


def test_a_metric_that_does_not_see_the_fill_does_not_hang_on_it():
    values = values_of([[0.1] * 3, [0.2] * 3, [0.3] * 3, [0.5] * 3, [0.4] * 3])
    result = board(np.repeat(values[:, :1], 3, axis=1))
    (said,) = [one for one in result.summary if one.startswith("deletion with the fills")]
    assert "black, mean, blur: Kendall's W of the orders of 3 methods is 1.000, the least Spearman's ρ 1.000" in said
    assert "best are m0 (black), m0 (mean), m0 (blur). Of 3 pairs of methods none is shown to change places" in said


def test_a_planted_reversal_is_found_and_named():
    means = [[0.1, 0.15, 0.3], [0.2, 0.2, 0.1], [0.4, 0.3, 0.4], [0.5] * 3, [0.6] * 3]
    values = values_of(means)
    result = board(values)
    (said,) = [one for one in result.summary if one.startswith("deletion with the fills")]
    assert "HANGS on the fill: of 3 pairs of methods 1 are shown" in said
    assert "such as m0, better than m1 with black and worse with blur." in said
    found = -values[:3].mean(2)
    least = spearmanr(found[:, 0], found[:, 2]).statistic
    assert f"the least Spearman's ρ {least:.3f} (black and blur)" in said, said
    table = fill_table(result).set_index("method")
    for f, fill in enumerate(FILLS):
        by_hand = dict(zip(result.settings["kinds"], rankdata(values[:, f].mean(1)), strict=True))
        assert table[f"rank, {fill}"].to_dict() == by_hand  # deletion: low is better
        np.testing.assert_allclose(table[fill][list(by_hand)], values[:, f].mean(1))
    assert "What removed pixels become" in terminal_text(result, 120)
    assert fill_table(summarise(made_up(values_of(np.array(means)[:, :1])), {"images": 40}, resamples=10)).empty
