"""Rank correlation of two scores over methods: its interval, its test, and what is left of it within families."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attribeval.metrics.correlation import ranks
from attribeval.results.judgement import Judgement
from attribeval.results.means import known_mean, weighted_means

LEAST = 4  # methods: with three, ρ is one of four numbers
_PERMUTATIONS = 19_999
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Correlation:
    """Spearman's ρ over methods (Spearman 1904), −1 to 1.

    Attributes:
        value, low, high: ρ and its percentile bootstrap interval.
        p: Two-sided, by permuting the methods.
        partial, partial_low, partial_high: The same of ranks from which the mean of the method's family is taken: what
            two scores agree on about methods of one family. NaN where no family has two methods.
    """

    value: float
    low: float
    high: float
    p: float
    partial: float
    partial_low: float
    partial_high: float


def correlate(
    one: Judgement, other: Judgement, families: Sequence[str], resamples: int, level: float, seed: int
) -> Correlation:
    """Correlate two scores of the same methods.

    Every resample draws the methods, the images or repeats of one score and those of the other, each with replacement
    (Efron & Tibshirani 1993, section 13.3): the interval tells how ρ would vary with other methods of these kinds,
    other images and other trainings. Resamples in which a score tells no two methods apart are left out.

    Row i of both is the same method, of family i.
    """
    rng = np.random.default_rng(seed)
    names = np.unique(np.asarray(families), return_inverse=True)[1]
    whole = [_means(part, None)[None] for part in (one, other)]
    drawn = rng.integers(0, len(names), (resamples, len(names)))
    pairs = [np.take_along_axis(_means(part, _weights(part, resamples, rng)), drawn, 1) for part in (one, other)]
    tail = (1 - level) / 2

    def with_interval(groups: np.ndarray | None) -> tuple[float, float, float]:
        value = float(spearman(whole[0], whole[1], None if groups is None else groups[None])[0])
        of_drawn = spearman(pairs[0], pairs[1], None if groups is None else groups[drawn])
        known = of_drawn[np.isfinite(of_drawn)]
        if not known.size or not np.isfinite(value):
            return value, np.nan, np.nan
        low, high = np.quantile(known, [tail, 1 - tail])
        return value, float(low), float(high)

    value, low, high = with_interval(None)
    return Correlation(value, low, high, _permuted(whole[0], whole[1], value, rng), *with_interval(names))


def spearman(one: np.ndarray, other: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    """Spearman's ρ of each row of (R, M), or of one row and all; ties share their mean rank.

    Given the family of each method, int (R, M), the mean rank of a family is taken from its methods first. NaN where
    one of the two has no spread left.
    """
    a, b = (_centred(ranks(values), groups) for values in (one, other))
    spread = np.sqrt((a * a).sum(1) * (b * b).sum(1))  # one root, so that equal orders have 1 to the bit
    found = np.full(len(spread), np.nan)
    np.divide((a * b).sum(1), spread, out=found, where=spread > _ROUNDING)
    return np.clip(found, -1, 1)


def _centred(ranked: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    if groups is None:
        return ranked - ranked.mean(1, keepdims=True)
    same = (groups[:, :, None] == groups[:, None, :]).astype(np.float64)
    return ranked - np.einsum("rij,rj->ri", same, ranked) / same.sum(2)


def _means(judgement: Judgement, weights: np.ndarray | None) -> np.ndarray:
    """Scores, higher is better, of the units as they are (M,), or of each row of weights (R, M).

    A method of which no drawn unit has a value keeps the mean of all its units.
    """
    values = judgement.goodness()
    mean = known_mean(values, 1)
    if weights is None:
        return mean
    drawn = weighted_means(values.T, weights)
    return np.where(np.isfinite(drawn), drawn, mean)


def _weights(judgement: Judgement, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each unit is drawn, float64 (R, units)."""
    units = judgement.values.shape[1]
    return rng.multinomial(units, np.full(units, 1 / units), resamples).astype(np.float64)


def _permuted(one: np.ndarray, other: np.ndarray, value: float, rng: np.random.Generator) -> float:
    """Share of orders of the methods in which |ρ| is as large, the order as it is being one of them."""
    if not np.isfinite(value):
        return np.nan
    shuffled = rng.permuted(np.repeat(other, _PERMUTATIONS, 0), axis=1)
    found = spearman(one, shuffled)
    return float((1 + (np.abs(found) >= abs(value) - _ROUNDING).sum()) / (1 + _PERMUTATIONS))
