"""Holm, t intervals, paired tests and letters against closed forms, definitions written out, and scipy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from attribeval.errors import AttribevalError
from attribeval.results import comparisons
from attribeval.results.comparisons import groups, holm, paired_test, t_interval


def closed_bonferroni(p_values: list[float]) -> list[float]:
    """The closed testing procedure behind Holm's: reject i if Bonferroni rejects every set of tests that holds i."""
    everything = range(len(p_values))
    sets = [s for size in range(1, len(p_values) + 1) for s in itertools.combinations(everything, size)]
    return [max(min(1, len(s) * min(p_values[j] for j in s)) for s in sets if i in s) for i in everything]


@pytest.mark.parametrize("seed", range(5))
def test_holm_is_the_closed_procedure(seed):
    rng = np.random.default_rng(seed)
    p_values = (rng.random(7) ** 3).round(2)  # with ties and zeros
    np.testing.assert_allclose(holm(p_values), closed_bonferroni(p_values.tolist()), rtol=1e-12)


def test_holm_by_hand_and_without_tests_that_were_not_made():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03])), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm(np.array([0.01, np.nan, 0.04, 0.03])), [0.03, np.nan, 0.06, 0.06])
    assert holm(np.array([])).shape == (0,)
    with pytest.raises(AttribevalError, match=r"0 to 1.*1.5 for item 1"):
        holm(np.array([0.1, 1.5]))


def test_t_interval_by_hand_and_by_inverting_the_test():
    low, high = t_interval([1.0, 2.0, 3.0])
    assert (low, high) == (pytest.approx(2 - 4.302653 / math.sqrt(3)), pytest.approx(2 + 4.302653 / math.sqrt(3)))
    values = np.random.default_rng(0).normal(size=6)
    for end in t_interval(values, level=0.9):  # an end is a mean that the test just does not reject
        assert stats.ttest_1samp(values, end).pvalue == pytest.approx(0.1)
    assert np.isnan(t_interval([0.7])).all()
    assert t_interval([0.5, 0.5]) == (0.5, 0.5)


def test_t_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(1)
    intervals = [t_interval(rng.normal(0.7, 0.02, 3)) for _ in range(2000)]
    covered = np.mean([low <= 0.7 <= high for low, high in intervals])
    assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 2000)


def test_paired_test_has_the_closed_forms_of_one_and_two_degrees_of_freedom():
    a, b = np.array([0.8, 0.9, 0.7]), np.array([0.75, 0.8, 0.68])
    differences = a - b
    t = differences.mean() / (differences.std(ddof=1) / math.sqrt(3))
    assert paired_test(a, b) == pytest.approx(1 - t / math.sqrt(2 + t * t))
    t = abs(differences[:2].mean()) / (differences[:2].std(ddof=1) / math.sqrt(2))
    assert paired_test(b[:2], a[:2]) == pytest.approx(1 - 2 / math.pi * math.atan(t))


def test_pairs_take_out_what_the_repeats_have_in_common():
    rng = np.random.default_rng(2)
    repeat = rng.normal(0.5, 0.1, 5)  # a good or bad start, for both alike
    a, b = repeat + rng.normal(0.02, 0.002, 5), repeat
    assert paired_test(a, b) < 1e-3 < 0.5 < stats.ttest_ind(a, b).pvalue


def test_without_spread_only_the_number_of_pairs_speaks():
    a = np.array([0.8, 0.7, 0.6])
    assert paired_test(a, a) == 1
    assert paired_test(a, a - 0.02) == pytest.approx(2 / 2**3)  # 0.8 − 0.78 and 0.7 − 0.68 differ by rounding
    assert paired_test(a[:2], a[:2] - 0.02) == 0.5
    assert math.isnan(paired_test(a[:1], a[:1] - 0.02)) and math.isnan(paired_test([], []))
    # That p is scipy's permutation test of the sign.
    flips = stats.permutation_test(
        (a, a - 0.25), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf
    )
    assert paired_test(a, a - 0.25) == pytest.approx(flips.pvalue)


def test_the_chance_of_any_false_claim_is_five_per_cent():
    """Six true null hypotheses, three repeats each, 1000 times."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(0.7, 0.02, (2, 1000, 6, 3))
    false = [
        (holm(np.array([paired_test(x, y) for x, y in zip(p, q, strict=True)])) <= 0.05).any()
        for p, q in zip(a, b, strict=True)
    ]
    assert abs(np.mean(false) - 0.05) < 4 * math.sqrt(0.05 * 0.95 / 1000)


def letters_tell(names: list[str], values: dict[str, np.ndarray], level: float) -> None:
    """The property that defines the letters, by brute force over all pairs."""
    letters = groups(names, values, level)
    pairs = list(itertools.combinations(names, 2))
    p_values = [stats.ttest_rel(values[a], values[b]).pvalue for a, b in pairs]
    for (a, b), p in zip(pairs, holm(np.array(p_values)), strict=True):
        assert bool(set(letters[a]) & set(letters[b])) == (p > 1 - level), (a, b, p, letters)
    used = sorted(set("".join(letters.values())))
    assert "a" in letters[names[0]]
    for letter in used:  # none could be left out: some pair, or some name by itself, has no other letter
        holders = [name for name in names if letter in letters[name]]
        inside = [(a, b) for a in holders for b in holders]
        assert any(set(letters[a]) & set(letters[b]) == {letter} for a, b in inside), (letter, letters)


@pytest.mark.parametrize("seed", range(12))
def test_two_share_a_letter_exactly_if_they_cannot_be_told_apart(seed):
    rng = np.random.default_rng(seed)
    names = [f"m{i}" for i in range(9)]
    means = rng.choice([0, 0.03, 0.06, 0.12, 0.3], 9)
    values = {n: m + rng.normal(0, rng.choice([0.001, 0.01, 0.03]), 5) for n, m in zip(names, means, strict=True)}
    names.sort(key=lambda n: -values[n].mean())
    letters_tell(names, values, level=0.95)
    letters_tell(names, values, level=0.7)


def test_letters_by_hand():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.001, (3, 5))
    values = {"best": 0.9 + noise[0], "near": 0.9 + noise[1], "far": 0.2 + noise[2], "alone": np.full(5, 0.5)}
    assert groups(["best", "near", "alone", "far"], values) == {"best": "a", "near": "a", "alone": "b", "far": "c"}
    # "alone" had one repeat: it can be told from nothing.
    values["alone"] = np.array([0.5, np.nan, np.nan, np.nan, np.nan])
    letters = groups(["best", "near", "alone", "far"], values)
    assert set(letters["alone"]) == set(letters["best"]) | set(letters["far"])
    assert not set(letters["best"]) & set(letters["far"])
    assert groups([], {}) == {} and groups(["best"], values) == {"best": "a"}


def test_a_chain_where_neighbours_alone_are_alike():
    neighbours = np.abs(np.subtract.outer(np.arange(6), np.arange(6))) <= 1
    assert comparisons._cover(neighbours) == [[0, 1], [1, 2], [2, 3], [3, 4], [4, 5]]


def test_more_groups_than_letters():
    values = {f"m{i:02d}": i + np.random.default_rng(i).normal(0, 1e-7, 9) for i in range(54)}
    letters = groups(list(values), values)
    assert list(letters.values()) == [str(i) for i in range(1, 55)]


def test_bad_input_names_the_item():
    with pytest.raises(AttribevalError, match=r"nan for repeat 1"):
        t_interval([0.1, np.nan])
    with pytest.raises(AttribevalError, match=r"Received: \(0,\)"):
        t_interval([])
    with pytest.raises(AttribevalError, match=r"level < 1"):
        t_interval([1, 2], level=95)
    with pytest.raises(AttribevalError, match=r"\(2,\) and \(3,\)"):
        paired_test([1, 2], [1, 2, 3])
    with pytest.raises(AttribevalError, match=r"inf for repeat 0"):
        paired_test([np.inf, 2], [1, 2])
    with pytest.raises(AttribevalError, match=r"none for 'b'"):
        groups(["a", "b"], {"a": np.ones(3)})
    with pytest.raises(AttribevalError, match=r"\(2,\) for 'b'"):
        groups(["a", "b"], {"a": np.ones(3), "b": np.ones(2)})
