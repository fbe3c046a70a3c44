"""Bootstrap intervals against plain Python loops, the exact binomial distribution and the coverage they promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from attribeval.errors import AttribevalError
from attribeval.results import statistics
from attribeval.results.statistics import bootstrap_estimates, bootstrap_interval


def slow_quantile(numbers: list[float], q: float) -> float:
    """Linear interpolation between order statistics."""
    ordered = sorted(numbers)
    position = q * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def slow_resamples(values: list, resamples: int, seed: int) -> list[list]:
    """The drawn images, one list per resample."""
    rng = np.random.default_rng(seed)
    return [[values[i] for i in rng.integers(0, len(values), len(values))] for _ in range(resamples)]


def test_mean_equals_a_plain_loop():
    correct = (np.random.default_rng(0).random(37) < 0.4).tolist()
    means = [sum(drawn) / 37 for drawn in slow_resamples(correct, 200, seed=5)]
    low, high = bootstrap_interval(np.array(correct), level=0.9, resamples=200, seed=5)
    assert (low, high) == (pytest.approx(slow_quantile(means, 0.05)), pytest.approx(slow_quantile(means, 0.95)))
    assert isinstance(low, float) and low < np.mean(correct) < high


def test_max_mean_chooses_the_column_again_in_every_resample():
    hits = np.random.default_rng(1).random((29, 6)) < [0.2, 0.5, 0.55, 0.5, 0.6, 0.1]
    best = []
    for drawn in slow_resamples(hits.tolist(), 150, seed=7):
        best.append(max(sum(row[column] for row in drawn) / 29 for column in range(6)))
    low, high = bootstrap_interval(hits, "max_mean", resamples=150, seed=7)
    assert (low, high) == (pytest.approx(slow_quantile(best, 0.025)), pytest.approx(slow_quantile(best, 0.975)))
    # Of a column and its complement the better one never falls below one half; the column itself does.
    column = np.arange(40) % 2 == 0
    assert bootstrap_interval(np.stack([column, ~column], axis=1), "max_mean")[0] >= 0.5
    assert bootstrap_interval(column)[0] < 0.45


def test_mean_of_columns_is_the_mean_of_each_column():
    values = np.random.default_rng(2).standard_normal((23, 4))
    lows, highs = bootstrap_interval(values, resamples=100, seed=3)
    for column in range(4):
        low, high = bootstrap_interval(values[:, column], resamples=100, seed=3)
        assert (lows[column], highs[column]) == (pytest.approx(low), pytest.approx(high))


def test_function_gets_the_same_draws():
    values = np.random.default_rng(3).standard_normal(31)
    by_name = bootstrap_interval(values, resamples=80, seed=2)
    assert bootstrap_interval(values, np.mean, resamples=80, seed=2) == pytest.approx(by_name)
    medians = [float(np.median(drawn)) for drawn in slow_resamples(values.tolist(), 80, seed=2)]
    low, high = bootstrap_interval(values, np.median, resamples=80, seed=2)
    assert (low, high) == (pytest.approx(slow_quantile(medians, 0.025)), pytest.approx(slow_quantile(medians, 0.975)))


@pytest.mark.parametrize(("n", "right"), [(50, 10), (400, 280), (1000, 500)])
def test_bools_follow_the_binomial_distribution(n, right):
    # The bootstrap distribution of a proportion is exactly Binomial(N, p̂) / N; the normal interval is close to it.
    correct = np.arange(n) < right
    low, high = bootstrap_interval(correct, resamples=10_000)
    exact_low, exact_high = stats.binom.ppf([0.025, 0.975], n, right / n) / n
    assert abs(low - exact_low) <= 1 / n + 1e-12 and abs(high - exact_high) <= 1 / n + 1e-12
    half = 1.96 * np.sqrt(right / n * (1 - right / n) / n)
    assert (low, high) == (pytest.approx(right / n - half, abs=0.012), pytest.approx(right / n + half, abs=0.012))


def test_coverage():
    rng = np.random.default_rng(4)
    covered = 0
    for seed in range(400):
        low, high = bootstrap_interval(rng.exponential(size=120), resamples=200, seed=seed)
        covered += low <= 1 <= high
    # Nominal .95, a little less for a skewed distribution; the standard error of the 400 trials is .011.
    assert 0.90 <= covered / 400 <= 0.98


def test_seed_and_block_size(monkeypatch):
    values = np.random.default_rng(6).random((40, 3))
    first = bootstrap_interval(values, "max_mean", resamples=50, seed=1)
    assert bootstrap_interval(values, "max_mean", resamples=50, seed=1) == first
    assert bootstrap_interval(values, "max_mean", resamples=50, seed=2) != first
    monkeypatch.setattr(statistics, "_BLOCK", 1)
    assert bootstrap_interval(values, "max_mean", resamples=50, seed=1) == pytest.approx(first, rel=1e-12)


def test_agreeing_values_have_no_width_and_stay_untouched():
    values = np.full(12, 0.25)
    values.flags.writeable = False
    assert bootstrap_interval(values, resamples=20) == (0.25, 0.25)
    assert bootstrap_interval([True], resamples=3) == (1.0, 1.0)


def test_bad_input_is_named():
    with pytest.raises(AttribevalError, match="nan for item 2"):
        bootstrap_interval([1.0, 2.0, np.nan])
    with pytest.raises(AttribevalError, match="item 1"):
        bootstrap_interval([[1.0, 2.0], [np.inf, 0.0]])
    with pytest.raises(AttribevalError, match="N >= 1"):
        bootstrap_interval([])
    with pytest.raises(AttribevalError, match="real numbers"):
        bootstrap_interval(["a"])
    with pytest.raises(AttribevalError, match=r'\(N, K\) for "max_mean"'):
        bootstrap_interval([1.0, 2.0], "max_mean")
    with pytest.raises(AttribevalError, match="'median'"):
        bootstrap_interval([1.0, 2.0], "median")
    with pytest.raises(AttribevalError, match="level"):
        bootstrap_interval([1.0, 2.0], level=95)
    with pytest.raises(AttribevalError, match="resamples"):
        bootstrap_interval([1.0, 2.0], resamples=0)


def test_bootstrap_estimates_are_those_of_the_interval():
    values = np.random.default_rng(1).random(40)
    estimates = bootstrap_estimates(lambda w: w @ values / 40, 40, seed=2)
    assert np.quantile(estimates, [0.025, 0.975]) == pytest.approx(bootstrap_interval(values, seed=2))
    both = bootstrap_estimates(lambda w: np.stack([w @ values, w.sum(1)], axis=1), 40, seed=2)
    np.testing.assert_allclose(both[:, 0] / 40, estimates)
    assert (both[:, 1] == 40).all()
    with pytest.raises(AttribevalError, match="n >= 1"):
        bootstrap_estimates(lambda w: w[:, 0], 0)
