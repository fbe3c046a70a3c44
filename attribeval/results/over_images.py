"""What a mean over images may claim, for any number of images: intervals that cover, a test that keeps its level.

A bootstrap knows only the images it has: on five images that are all hits it says "100 % to 100 %", and its p-values
are too small for few images. `benchmarks/statistics/level.py` measures both, for what is here and for the bootstrap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from attribeval.errors import AttribevalError
from attribeval.results.comparisons import all_pairs, check_level, holm, t_interval
from attribeval.results.means import known_mean
from attribeval.results.numbers import share

FEW = 20  # images, below which an interval of means that are not shares of hits may be too narrow
_ENUMERATED = 12  # differences whose signs are flipped in all 2ᵐ ways
_DRAWN = 50  # differences whose signs are flipped at random; more: the t-test
_FLIPS = 20_000
_RARE = 1 / 2000  # below, fewer than ten random signs would decide
_ROUNDING = 1e-12  # scores that agree up to this share of the largest are equal


def wilson_interval(hits: int, images: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a share of hits (Wilson 1927; Brown, Cai & DasGupta 2001, equation 4).

    (p̂ + z²/2n ∓ z √(p̂(1 − p̂)/n + z²/4n²)) / (1 + z²/n). It has a width where all images agree, too.

    Args:
        hits: From 0 to `images`.
        images: At least 1.
        level: In (0, 1).

    Returns:
        low, high, in 0..1.

    Raises:
        AttribevalError: If an argument is out of range.

    Example:
        >>> [round(end, 3) for end in wilson_interval(5, 5)]
        [0.566, 1.0]
    """
    from scipy.stats import binomtest

    if images < 1 or not 0 <= hits <= images:
        raise AttribevalError(f"Expected 0 <= hits <= images, and an image. Received: {hits} of {images}.")
    check_level(level)
    low, high = binomtest(hits, images).proportion_ci(level, "wilson")
    return float(low), float(high)


def mean_interval(
    scores: Sequence[float] | np.ndarray, level: float = 0.95, bounds: tuple[float, float] | None = None
) -> tuple[float, float]:
    """The interval of a mean over images: Wilson's where every score is 0 or 1, else Student's t.

    The t interval of scores that are far from normal is too narrow for few images (`FEW`): say so beside it.

    Args:
        scores: One per image, (N,), numbers or bools; NaN: an image without a score, which is left out.
        level: In (0, 1).
        bounds: Smallest and largest possible mean, to which a t interval is cut.

    Returns:
        low, high. NaN without a score, and for a single score that is not a hit or a miss; width 0 if scores that are
        not hits agree.
    """
    every = np.asarray(scores, np.float64)
    known = every[~np.isnan(every)]
    if not known.size:
        return float("nan"), float("nan")
    if np.isin(known, (0, 1)).all():
        return wilson_interval(int(known.sum()), len(known), level)
    low, high = t_interval(known, level)
    return (low, high) if bounds is None else (max(low, bounds[0]), min(high, bounds[1]))


def difference_interval(a: np.ndarray, b: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The interval of the mean of a − b over the images that both have.

    Differences of hits are −1, 0 or 1: Agresti & Min 2005, section 3, half an image added to each cell of the two by
    two table. Others: Student's t.

    Args:
        a, b: One score per image, (N,), the same images in the same places; NaN: none.
        level: In (0, 1).

    Returns:
        low, high; NaN for fewer than two images.
    """
    from scipy.stats import norm

    a, b = _shared(a, b)
    n, differences = len(a), a - b
    if n < 2:
        return float("nan"), float("nan")
    if not np.isin(differences, (-1, 0, 1)).all():
        return t_interval(differences, level)
    won, lost = (differences == 1).sum() + 0.5, (differences == -1).sum() + 0.5
    middle = (won - lost) / (n + 2)
    reach = norm.ppf((1 + level) / 2) * np.sqrt(won + lost - (won - lost) ** 2 / (n + 2)) / (n + 2)
    return max(-1.0, float(middle - reach)), min(1.0, float(middle + reach))


def sign_flip_test(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> float:
    """Two-sided p of the paired permutation test that two methods score alike (Fisher 1935, section 21).

    If it made no difference which method is which, every difference a − b could as well have the other sign: p is the
    share of the assignments of signs whose mean is at least as far from 0 as the one seen. It assumes no distribution
    and is exact for any number of images. Differences of 0 do not matter. Of m others, all 2ᵐ signs are tried for
    m ≤ 12; 20,000 random ones for m ≤ 50, of which p counts the one seen as well; where all are of one size, as those
    of hits, p is the binomial's (McNemar's exact test). For more than 50, Student's t-test, which is then the same
    within the error of the random signs, and so it is below 1 / 2000, where random signs count too few to be corrected
    for many comparisons.

    Args:
        a, b: One score per image, (N,), the same images in the same places; NaN: an image without a score, which is
            left out of both.

    Returns:
        p, 0 < p <= 1, never below 2^(1 − m) for m ≤ 12; NaN, not tested, for fewer than two images.

    Raises:
        AttribevalError: If the lengths differ.

    Example:
        >>> sign_flip_test([1, 1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0, 0])
        0.03125
    """
    from scipy.stats import binom, ttest_1samp

    a, b = _shared(a, b)
    if len(a) < 2:
        return float("nan")
    differences = a - b
    rounding = _ROUNDING * max(np.abs(a).max(), np.abs(b).max())
    differences[np.abs(differences) <= rounding] = 0
    other = differences[differences != 0]
    m, sizes = len(other), np.abs(other)
    if not m:
        return 1.0
    if np.ptp(sizes) <= rounding:
        return min(1.0, float(2 * binom.cdf(min((other > 0).sum(), (other < 0).sum()), m, 0.5)))
    if m > _DRAWN:
        return max(float(ttest_1samp(differences, 0).pvalue), np.finfo(float).tiny)
    seen = abs(other.sum()) * (1 - 1e-12)
    if m <= _ENUMERATED:
        flips = 1 - 2 * (np.arange(2 ** (m - 1))[:, None] >> np.arange(m) & 1)  # the last sign stays: both tails
        return float((np.abs(flips @ other) >= seen).mean())
    p = float(((np.abs(_signs()[:, :m] @ other) >= seen).sum() + 1) / (_FLIPS + 1))
    return p if p > _RARE else min(p, max(float(ttest_1samp(differences, 0).pvalue), 2.0 ** (1 - m)))


def gains(scores: Mapping[str, np.ndarray], other: np.ndarray) -> dict[str, tuple[float, float]]:
    """Of each method the mean of its scores less those of another, over the images that both have (NaN: none), and p of
    the sign-flip test, corrected over the methods (Holm)."""
    p_values = holm(np.array([sign_flip_test(one, other) for one in scores.values()]))
    means = [float(known_mean(np.asarray(one, np.float64) - other, 0)) for one in scores.values()]
    return dict(zip(scores, zip(means, p_values, strict=True), strict=True))


def cannot_show(images: int, tests: int, items: str = "images", alpha: float = 0.05) -> list[str]:
    """Says so where so few images cannot show any difference by the sign-flip test, corrected for so many tests."""
    least = 2.0 ** (1 - images)
    if images < 2 or tests * least < alpha:
        return []
    return [
        f"{images} {items} cannot show any difference at {share(alpha, 0)}: the smallest p that they can give is "
        f"{least:.3g}{', before it is corrected' if tests > 1 else ''}."
    ]


def not_told_from(best: str, scores: Mapping[str, np.ndarray], alpha: float = 0.05) -> list[str]:
    """The methods that the images do not tell from the best one.

    Which one is best was seen first: so every pair that could have been looked at is tested and corrected for (Holm).
    The others come in the order given, those that could not be tested among them.
    """
    p_values = all_pairs(scores, sign_flip_test)
    return [name for name in scores if name != best and not p_values[best, name] < alpha]


@cache
def _signs() -> np.ndarray:
    return np.random.default_rng(0).choice([-1.0, 1.0], (_FLIPS, _DRAWN))


def _shared(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both scores of the images that have both."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise AttribevalError(f"Expected a score of both methods for each image. Received: {a.shape} and {b.shape}.")
    both = ~np.isnan(a) & ~np.isnan(b)
    return a[both], b[both]
