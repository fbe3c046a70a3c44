"""What a board may claim: of one image nothing; ties by rounding; edges and the centre pixel beside the methods."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.leaderboard import made_up

from attribeval.benchmarks.leaderboard.summary import average_ranks, summarise
from attribeval.benchmarks.leaderboard.view.by_benchmark import plot_benchmark
from attribeval.datasets import Samples
from attribeval.metrics.localisation.pointing_game import PointingGame
from attribeval.results.comparisons import holm
from attribeval.results.over_images import mean_interval, sign_flip_test


def test_one_image_gives_no_verdict():
    values = np.random.default_rng(0).random((5, 3, 1))
    result = summarise(made_up(values), {"images": 1})
    assert result.summary[0] == "One image shows no difference: nothing is tested or ranked."
    said = " ".join(result.summary)
    for claim in ("first", "best", "etter than", "orse than", "agree", "no evidence"):
        assert claim not in said
    assert average_ranks(result)[["low", "high"]].isna().all(axis=None)
    assert np.isnan(result.arrays["tau_low"]).all() and np.isnan(result.arrays["maps_high"]).all()


def test_means_that_differ_by_rounding_are_ties():
    """The same scores on the images in another order: their sums differ in the last bit, their means do not."""
    rng = np.random.default_rng(3)
    scores = rng.random(40)
    for seed in range(50):
        other = np.random.default_rng(seed).permutation(scores)
        if scores.mean() != other.mean():
            break
    values = np.stack([scores, other, 0.4 * scores, 0.3 * scores])[:, None]
    result = summarise(made_up(values), {"images": 40})
    rows = result.table.set_index("method")
    assert rows.loc["m0", "rank"] == rows.loc["m1", "rank"] == 1.5
    assert "Several methods are equal and best in b0 (all)." in " ".join(result.summary)


def test_edges_are_named_where_methods_are_not_shown_to_be_better():
    rng = np.random.default_rng(0)
    values = rng.normal(0, 0.1, (6, 2, 40))  # m0 … m3, random, sobel
    values[:2, 0] += 1  # two of four: no more than half are better than edges
    values[:3, 1] += 1  # three of four
    said = " ".join(summarise(made_up(values), {"images": 40}).summary)
    assert "not shown to be better than Sobel edges, which know nothing of the model, in b0: there" in said


def test_the_centre_pixel_is_a_row_and_is_tested():
    rng = np.random.default_rng(0)
    values = (rng.random((5, 2, 60)) < 0.5).astype(float)
    centre = (rng.random(60) < 0.5).astype(float)
    values[0, 1] = 1
    scores = made_up(values)
    scores.centre = {"b1": centre}
    result = summarise(scores, {"images": 60, "benchmarks": ["b0", "b1"], "methods": list(scores.methods)})
    row = result.table[result.table["method"] == "centre pixel"]
    assert list(row["benchmark"]) == ["b1"] and list(row["kind"]) == ["baseline"]
    assert row["value"].item() == centre.mean() and row["rank"].isna().all()
    assert (row["low"].item(), row["high"].item()) == mean_interval(centre)
    (said,) = [one for one in result.summary if "centre pixel" in one]
    p = holm(np.array([sign_flip_test(values[i, 1], centre) for i in range(3)]))
    assert (
        p[0] < 0.05 < min(p[1:]) and said.endswith("shown to be better: m0.") and f"{100 * centre.mean():.1f}" in said
    )
    labels = [label.get_text() for label in plot_benchmark(result, "b1").axes[0].get_yticklabels()]
    assert "centre pixel" in labels
    assert "Not ranked" not in " ".join(result.summary)
    assert set(average_ranks(result)["method"]) == set(result.settings["kinds"])  # no method


@pytest.mark.parametrize("size", [(9, 7), (10, 8)])
def test_what_the_centre_pixel_scores(size):
    """By hand: the distance of the middle from the nearest pixel of the object."""
    height, width = size
    masks = np.zeros((4, *size), bool)
    masks[0, height // 2, width // 2] = 1  # the middle, or one of its four pixels
    masks[1, 0, width // 2] = 1  # straight above it
    masks[2] = 1
    masks[3, 0, 0] = 1
    data = Samples(np.zeros((4, *size, 1), np.float32), np.zeros(4, int), masks=masks)
    middles = [(y, x) for y in {(height - 1) // 2, height // 2} for x in {(width - 1) // 2, width // 2}]
    for tolerance in (0.5, 1.0, 4.2):
        expected = []
        for mask in masks:
            ys, xs = np.nonzero(mask)
            expected.append(np.mean([np.hypot(ys - y, xs - x).min() <= tolerance for y, x in middles]))
        found = PointingGame(tolerance=tolerance, truth="masks").centre(data, size)
        np.testing.assert_allclose(found, expected)
