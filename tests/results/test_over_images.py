"""Intervals and tests over images against closed forms, scipy, brute force, and the level and coverage they promise."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from attribeval.errors import AttribevalError
from attribeval.results.comparisons import t_interval
from attribeval.results.over_images import difference_interval, mean_interval, sign_flip_test, wilson_interval


@pytest.mark.parametrize(("hits", "images"), [(0, 1), (1, 1), (5, 5), (3, 7), (45, 50)])
def test_wilsons_interval_is_scipys(hits, images):
    expected = stats.binomtest(hits, images).proportion_ci(0.9, method="wilson")
    assert wilson_interval(hits, images, 0.9) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("n", [5, 20, 50])
@pytest.mark.parametrize("rate", [0.5, 0.9])
def test_the_interval_of_hits_covers(n, rate):
    """Exactly, over all numbers of hits; a bootstrap holds 40 % for five images and nine hits in ten."""
    covered = 0.0
    for hits in range(n + 1):
        low, high = mean_interval(np.arange(n) < hits)
        covered += stats.binom.pmf(hits, n, rate) * (low <= rate <= high)
    assert covered > 0.918  # the smallest of Wilson's intervals in Brown, Cai & DasGupta is about here


def test_means_have_students_interval_and_images_without_a_score_are_left_out():
    scores = np.random.default_rng(0).random(9)
    assert mean_interval(scores) == t_interval(scores)
    assert mean_interval([*scores, np.nan]) == t_interval(scores)
    assert mean_interval([1, np.nan, 0.0, 1]) == wilson_interval(2, 3)
    assert mean_interval([0.1, 0.9], bounds=(0, 1)) == (0, 1)
    assert np.isnan(mean_interval([0.5])).all() and np.isnan(mean_interval([np.nan])).all()


def test_differences_of_hits_have_agresti_and_mins_interval():
    a, b = np.array([1, 1, 1, 0, 0]), np.array([0, 0, 1, 1, 0])
    won, lost, n = 2.5, 1.5, 7
    spread = math.sqrt(won / n + lost / n - ((won - lost) / n) ** 2) / math.sqrt(n)
    expected = ((won - lost) / n - 1.959964 * spread, (won - lost) / n + 1.959964 * spread)
    assert difference_interval(a, b) == pytest.approx(expected, rel=1e-6)
    low, high = difference_interval(np.ones(3), np.zeros(3))
    assert low < high == 1
    real = np.random.default_rng(0).random((2, 8))
    assert difference_interval(*real) == t_interval(real[0] - real[1])
    assert np.isnan(difference_interval(np.array([1.0, np.nan]), np.zeros(2))).all()


@pytest.mark.parametrize("n", [3, 6, 9])
def test_flipping_signs_is_trying_all_of_them(n):
    rng = np.random.default_rng(n)
    for scale in (1.0, 0.25):  # with ties
        a, b = np.round(rng.random((2, n)) / scale) * scale if scale < 1 else rng.random((2, n))
        seen = abs((a - b).sum())
        flipped = [abs(np.dot(signs, a - b)) for signs in itertools.product((-1, 1), repeat=n)]
        assert sign_flip_test(a, b) == pytest.approx(np.mean(np.array(flipped) >= seen - 1e-12))
        library = stats.permutation_test((a, b), lambda x, y: (x - y).mean(), permutation_type="samples")
        if scale == 1:
            assert sign_flip_test(a, b) == pytest.approx(library.pvalue)


def test_hits_have_mcnemars_exact_test():
    a = np.array([1] * 14 + [0] * 5 + [1] * 30)
    b = np.array([0] * 14 + [1] * 5 + [1] * 30)
    assert sign_flip_test(a, b) == pytest.approx(stats.binomtest(5, 19).pvalue)


def test_random_signs_and_the_t_test_agree_where_they_meet():
    rng = np.random.default_rng(0)
    differences = rng.normal(0.3, 1, 50)
    drawn, t = sign_flip_test(differences, np.zeros(50)), stats.ttest_1samp(differences, 0).pvalue
    assert abs(drawn - t) < 0.01
    far = rng.normal(1, 1, 30)  # more rarely than random signs can count
    assert sign_flip_test(far, np.zeros(30)) == stats.ttest_1samp(far, 0).pvalue < 1e-4
    more = rng.normal(0.1, 1, 51)
    assert sign_flip_test(more, np.zeros(51)) == stats.ttest_1samp(more, 0).pvalue
    assert 0 < sign_flip_test(rng.normal(9, 1e-3, 500), np.zeros(500)) < 1e-200


def test_a_p_value_is_never_0_and_not_tested_is_said():
    for n in range(2, 60):
        p = sign_flip_test(np.ones(n), np.zeros(n))
        assert p == pytest.approx(2.0 ** (1 - n)) and p > 0
        assert sign_flip_test(np.ones(n), np.ones(n)) == 1
        assert 0 < sign_flip_test(1 + np.random.default_rng(n).random(n), np.zeros(n)) <= max(5e-4, 2.0 ** (1 - n))
    assert math.isnan(sign_flip_test([1.0], [0.0])) and math.isnan(sign_flip_test([], []))
    assert math.isnan(sign_flip_test([1.0, np.nan], [0.0, 0.0]))
    assert sign_flip_test([0.8, 0.7, 0.6], [0.8 + 1e-16, 0.7, 0.6]) == 1
    with pytest.raises(AttribevalError, match=r"\(2,\) and \(3,\)"):
        sign_flip_test([1, 2], [1, 2, 3])
    with pytest.raises(AttribevalError, match="2 of 1"):
        wilson_interval(2, 1)
    with pytest.raises(AttribevalError, match="level < 1"):
        wilson_interval(1, 1, 95)


@pytest.mark.parametrize("n", [2, 3, 5, 8, 10, 13, 20, 51])
def test_a_difference_that_is_not_there_is_claimed_in_five_per_cent(n):
    """Normal scores, and hits; the normal p of a bootstrap claims 40, 25, 14, 13 and 7 % at 2, 3, 5, 10 and 20."""
    rng, runs = np.random.default_rng(n), 500
    for draw in (lambda: rng.normal(size=(2, n)), lambda: (rng.random((2, n)) < 0.6) * 1.0):
        claims = np.mean([sign_flip_test(*draw()) <= 0.05 for _ in range(runs)])
        assert claims <= 0.05 + 3.5 * math.sqrt(0.05 * 0.95 / runs)
