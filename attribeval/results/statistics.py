"""How sure a number is: bootstrap intervals over images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np

from attribeval.errors import AttribevalError
from attribeval.results.comparisons import check_level

_BLOCK = 4_000_000  # weights held at once (32 MB)


def bootstrap_interval(
    values: np.ndarray,
    statistic: Literal["mean", "max_mean"] | Callable[[np.ndarray], float | np.ndarray] = "mean",
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float | np.ndarray, float | np.ndarray]:
    """Percentile bootstrap interval over images (Efron & Tibshirani 1993, section 13.3).

    N images are drawn from the N images with replacement, `resamples` times; the interval holds the middle `level` of
    the statistic's values. It tells how the number would vary with *other images of the same kind*; it knows nothing of
    other models or seeds. It is narrow of the truth for few images (under about 50), and has width 0 if all values
    agree: for means and hits `over_images.mean_interval` holds what it promises.

    The same seed and N draw the same images, so intervals of several methods on the same images are paired.

    Args:
        values: One number or bool per image (N,), or one row per image (N, K). Finite.
        statistic: "mean": the mean over images, of each column for (N, K).
            "max_mean": for (N, K), the largest of the K column means, the column chosen again in every resample. With
            the hits of MaxBoxAcc this is that score with its threshold chosen again. A maximum is biased upwards, in
            the resamples as in the score itself: the interval is not centred on it.
            A function: called with the drawn values, shape of `values` (images in any order), returns a number or (M,).
        level: In (0, 1).
        resamples: At least 1; 1000 for 95 %.
        seed: Of the draws.

    Returns:
        low, high: floats, or float64 arrays (K,) or (M,) where the statistic is one number per column.

    Raises:
        AttribevalError: If there is no value, one is not finite (naming the item), the shape does not fit the
            statistic, or an option is out of range.

    Example:
        >>> hits = np.array([True] * 70 + [False] * 30)
        >>> low, high = bootstrap_interval(hits, seed=0)
        >>> 0.6 < low < 0.7 < high < 0.8
        True
    """
    values = _checked(values)
    check_level(level)
    if not callable(statistic) and statistic not in ("mean", "max_mean"):
        raise AttribevalError(f'Expected statistic "mean", "max_mean" or a function. Received: {statistic!r}.')
    if isinstance(statistic, str) and statistic == "max_mean" and (values.ndim != 2 or values.shape[1] == 0):
        raise AttribevalError(f'Expected values (N, K) for "max_mean". Received: {values.shape}.')

    def estimate(weights: np.ndarray) -> np.ndarray:
        if callable(statistic):
            return np.array([statistic(np.repeat(values, times.astype(int), axis=0)) for times in weights], np.float64)
        means = weights @ values.astype(np.float64) / len(values)
        return means.max(axis=1) if statistic == "max_mean" else means

    estimates = bootstrap_estimates(estimate, len(values), resamples=resamples, seed=seed)
    tail = (1 - level) / 2
    low, high = np.quantile(estimates, [tail, 1 - tail], axis=0)
    return (float(low), float(high)) if estimates.ndim == 1 else (low, high)


def bootstrap_estimates(
    estimate: Callable[[np.ndarray], np.ndarray], n: int, *, resamples: int = 1000, seed: int = 0
) -> np.ndarray:
    """A statistic of `resamples` bootstrap samples of n images, for a statistic that can be computed from weights.

    `estimate` is called with how often each image is drawn, float64 (R, n), rows summing to n, and returns (R,), or M
    statistics at once, (R, M). The same seed and n draw the same images, so the estimates of several methods on the
    same images are paired: the difference of two methods is `a - b`, row by row.
    """
    if n < 1 or resamples < 1:
        raise AttribevalError(f"Expected n >= 1 and resamples >= 1. Received: {n}, {resamples}.")
    parts = [estimate(weights.astype(np.float64)) for weights in _draws(n, resamples, seed)]
    return np.concatenate(parts).astype(np.float64)


def _draws(n: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Blocks of rows: how often each of n images is drawn, int (block, n), each row multinomial with sum n.

    Counting n drawn indices is the multinomial draw, many times faster than n binomial ones. Each row takes its own n
    numbers off the generator, so the size of the blocks does not matter.
    """
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK // n)
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        yield np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(rows)])


def _checked(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim not in (1, 2) or len(values) == 0:
        raise AttribevalError(f"Expected values (N,) or (N, K) with N >= 1. Received: {values.shape}.")
    if values.dtype.kind not in "fiub":
        raise AttribevalError(f"Expected values that are real numbers or bools. Received dtype: {values.dtype}.")
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not finite.all():
        item = int(np.argmin(finite))
        raise AttribevalError(
            f"Expected finite values. Received {values[item].tolist()} for item {item}: drop or score it first."
        )
    return values
