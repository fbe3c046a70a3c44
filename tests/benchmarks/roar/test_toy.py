"""The paper's toy: its known answer, its population accuracies in closed form, and least squares written again."""

from __future__ import annotations

import math

import numpy as np
import pytest

from attribeval.benchmarks.roar.toy import toy, toy_data
from attribeval.errors import AttribevalError


def by_removed(table, ranking: str, retrained: bool):
    chosen = table[(table["ranking"] == ranking) & (table["retrained"] == retrained)]
    return chosen.set_index("removed")["accuracy"].sort_index()


def population_accuracy(a: np.ndarray, d: np.ndarray, kept: np.ndarray, retrained: bool) -> float:
    """Of the best linear model, from the covariances: for normal scores, P(signs agree) = 1 − arccos(ρ) / π."""
    covariance = 0.01 * np.outer(a, a) + np.outer(d, d) + 0.01 * np.eye(16)
    weights = np.zeros(16)
    used = kept if retrained else np.arange(16)
    weights[used] = np.linalg.solve(covariance[np.ix_(used, used)], a[used])
    weights[np.setdiff1d(np.arange(16), kept)] = 0
    spread = math.sqrt(weights @ covariance @ weights)
    return 0.5 if spread == 0 else 1 - math.acos(min(1, 0.1 * weights @ a / spread)) / math.pi


def test_the_papers_answer():
    """Section 3: retrained, the worst ranking costs nothing until the informative features go at 75 %."""
    table = toy()
    with_retraining, without = by_removed(table, "inverse", True), by_removed(table, "inverse", False)
    assert with_retraining[0] - with_retraining.loc[:12].min() < 0.02
    assert with_retraining[0] - with_retraining[15] > 0.1
    # Without retraining most of what the model knows more than chance is gone long before.
    known = without[0] - 0.5
    assert without[0] - without[8] > 0.6 * known and without[0] - without[11] > 0.7 * known
    # The true ranking is told from random by both.
    for retrained in (True, False):
        assert by_removed(table, "random", retrained)[4] - by_removed(table, "true", retrained)[4] > 0.04


@pytest.mark.parametrize("seed", range(3))
def test_accuracies_are_those_of_the_population(seed):
    data = toy_data(200_000, seed)
    importance = {"true": np.abs(data.a) - 1e-9 * np.arange(16), "worst": np.arange(16.0), "d": np.abs(data.d)}
    table = toy(importance, examples=200_000, seed=seed)
    assert len(table) == 3 * 17 * 2
    for row in table.itertuples():
        order = np.argsort(-np.asarray(importance[row.ranking]))
        kept = np.sort(order[row.removed :])
        expected = population_accuracy(data.a, data.d, kept, row.retrained)
        # Five standard deviations of the test set's; a fit that is robbed of features magnifies its own errors.
        assert row.accuracy == pytest.approx(expected, abs=0.006 if row.retrained else 0.02), row


def test_retraining_is_least_squares_without_the_columns():
    data = toy_data(300, seed=5)
    table = toy({"last": np.arange(16)}, examples=300, seed=5)
    for removed in range(16):
        columns = slice(0, 16 - removed)
        design = np.column_stack([np.ones(300), data.x_train[:, columns]])
        weights = np.linalg.solve(design.T @ design, design.T @ np.where(data.y_train, 1.0, -1.0))
        score = np.column_stack([np.ones(300), data.x_test[:, columns]]) @ weights
        assert by_removed(table, "last", True)[removed] == np.mean((score > 0) == data.y_test)
        # Not retrained: all the weights, and the training mean instead of what is gone.
        filled = data.x_test.copy()
        filled[:, 16 - removed :] = data.x_train.mean(0)[16 - removed :]
        design = np.column_stack([np.ones(300), data.x_train])
        weights = np.linalg.solve(design.T @ design, design.T @ np.where(data.y_train, 1.0, -1.0))
        score = np.column_stack([np.ones(300), filled]) @ weights
        assert by_removed(table, "last", False)[removed] == np.mean((score > 0) == data.y_test)


def test_data_are_as_the_paper_says():
    data = toy_data(50_000, seed=2)
    assert np.count_nonzero(data.a) == np.count_nonzero(data.a[:4]) == 4
    covariance = 0.01 * np.outer(data.a, data.a) + np.outer(data.d, data.d) + 0.01 * np.eye(16)
    np.testing.assert_allclose(np.cov(data.x_train.T), covariance, atol=0.05 * np.abs(covariance).max())
    assert abs(data.y_train.mean() - 0.5) < 0.01
    assert not np.array_equal(data.x_train[:5], data.x_test[:5])


def test_seed_decides_everything_and_fractions_are_whole_features():
    first, again, other = (toy(fractions=[0, 0.3, 1], examples=500, seed=seed) for seed in (1, 1, 2))
    assert first.equals(again) and not first.equals(other)
    assert sorted(set(first["removed"])) == [0, 5, 16]
    everything = first[first["removed"] == 16]["accuracy"]
    assert everything.nunique() == 1 and abs(everything.iloc[0] - 0.5) < 0.1  # the larger class, for every model
    nothing = first[first["removed"] == 0]["accuracy"]
    assert nothing.nunique() == 1


def test_bad_input():
    with pytest.raises(AttribevalError, match=r"from 0 to 1. Received: 75"):
        toy(fractions=[0.1, 75])
    with pytest.raises(AttribevalError, match=r"16 finite numbers.*'mine'"):
        toy({"mine": [1.0, 2.0]})
    with pytest.raises(AttribevalError, match=r"at least 17 examples. Received: 16"):
        toy(examples=16)
