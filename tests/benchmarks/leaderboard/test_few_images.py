"""What a board may claim: of one image nothing; ties by rounding; edges and the centre pixel beside the methods."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.leaderboard import made_up

from attribeval.benchmarks.leaderboard.first import behind_the_first
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


def _on_average(values):
    return next(
        line for line in summarise(made_up(values), {"images": values.shape[2]}).summary if "On average" in line
    )


def test_who_ranks_first_is_told_from_the_others_or_not():
    """m0 is better on every image by both benchmarks: first; another is ahead as often, or images are few: not told."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 2, 30))
    values[0] += 9
    line = _on_average(values)
    assert "benchmarks m0 ranks first (mean rank 1.0" in line and "told from every other method" in line
    values[1] = values[0] + 1e-3 * rng.normal(size=(2, 30)) - 1e-4  # behind on average, as often ahead
    line = _on_average(values)
    assert "m0 has the best mean rank" in line and "cannot be told from m1 by ranks" in line and "first" not in line
    few = _on_average(values[[0, 2, 2, 3, 4]][:, :, :4])  # 4 images: the smallest p of a pair is 1/8
    assert "cannot be told from m1, m2" in few and "ranks first" not in few


def test_pairs_behind_the_first_by_hand():
    """Two families, of which one has two benchmarks; ranks image by image, tested and corrected as written here."""
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(4, 3, 25)) + np.array([1.0, 0.9, -0.6, -2.0])[:, None, None]
    scores[2, 1, ::3] = np.nan
    names, families = ["a", "b", "c", "d"], {"x": [0, 1], "y": [2]}
    p_values, gaps = [], []
    for i in range(4):
        for j in range(i + 1, 4):
            gap = []
            for n in range(25):
                of = []
                for places in families.values():
                    some = []
                    for b in places:
                        known = [m for m in range(4) if np.isfinite(scores[m, b, n])]
                        if i in known and j in known:
                            rank = {m: 1 + sum(scores[o, b, n] > scores[m, b, n] for o in known) for m in known}
                            some.append(rank[i] - rank[j])
                    of += [np.mean(some)] if some else []
                gap.append(np.mean(of))
            gaps.append(np.mean(gap))
            p_values.append(sign_flip_test(gap, np.zeros(25)))
    corrected = holm(np.array(p_values))
    expected = [name for name, p, gap in zip("bcd", corrected, gaps, strict=False) if p < 0.05 and gap < 0]
    assert expected and len(expected) < 3
    assert behind_the_first("a", names, scores, families) == expected


def test_first_is_said_of_methods_that_do_not_differ_in_at_most_5_percent():
    rng, runs = np.random.default_rng(4), 100
    for images in (6, 15):
        drawn = (rng.normal(size=(6, 3, images)) + rng.normal(size=(1, 1, images)) for _ in range(runs))
        families = {"x": [0, 1], "y": [2]}
        behind = [behind_the_first("0", list("012345"), one, families) for one in drawn]
        assert sum(len(one) > 0 for one in behind) <= 0.05 * runs + 2 * np.sqrt(0.05 * 0.95 * runs)


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
