"""Pearson's and Spearman's correlation of many pairs of rows at once."""

from __future__ import annotations

import numpy as np

_ROUNDING = 1e-12  # rows whose spread is below this share of their largest value differ by rounding alone


def pearson(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson's r along the last axis.

    Args:
        a: Finite numbers (..., S).
        b: The same shape.

    Returns:
        float64 (...), -1..1; NaN where a row is constant (up to float64 rounding) or has fewer than two numbers.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    flat = _is_constant(a) | _is_constant(b)
    a, b = (values - values.mean(-1, keepdims=True) for values in (a, b))
    lengths = np.sqrt((a**2).sum(-1)) * np.sqrt((b**2).sum(-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(flat, np.nan, np.clip((a * b).sum(-1) / lengths, -1, 1))


def spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's ρ along the last axis, equal values at their mean rank; arguments and result as in `pearson`."""
    from scipy.stats import rankdata

    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    flat = _is_constant(a) | _is_constant(b)
    return np.where(flat, np.nan, pearson(rankdata(a, axis=-1), rankdata(b, axis=-1)))


CORRELATIONS = {"pearson": pearson, "spearman": spearman}


def _is_constant(values: np.ndarray) -> np.ndarray:
    return np.ptp(values, axis=-1) <= _ROUNDING * np.abs(values).max(-1)
