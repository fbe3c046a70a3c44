"""Pearson's and Spearman's correlation of many pairs of rows at once."""

from __future__ import annotations

import numpy as np

_ROUNDING = 1e-12  # rows whose spread is below this share of their largest value differ by rounding alone


def pearson(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson's r of finite numbers (..., S) along the last axis, float64 (...), -1..1.

    NaN where a row is constant (up to float64 rounding) or has fewer than two numbers.
    """
    return np.clip((standardised(a) * standardised(b)).sum(-1), -1, 1)


def spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's ρ along the last axis, equal values at their mean rank; arguments and result as in `pearson`."""
    return pearson(ranks(a), ranks(b))


def standardised(values: np.ndarray) -> np.ndarray:
    """Rows (..., S) less their means, of length 1: the product of two is Pearson's r; NaN for a constant row."""
    values = np.asarray(values, np.float64)
    flat = np.ptp(values, axis=-1, keepdims=True) <= _ROUNDING * np.abs(values).max(-1, keepdims=True)
    values = values - values.mean(-1, keepdims=True)
    lengths = np.sqrt((values**2).sum(-1, keepdims=True))
    return np.divide(values, lengths, out=np.full(values.shape, np.nan), where=~flat)


def ranks(values: np.ndarray) -> np.ndarray:
    """Mean ranks along the last axis, float64 (..., S); 0 for all of a row that is constant up to rounding."""
    from scipy.stats import rankdata

    values = np.asarray(values, np.float64)
    flat = np.ptp(values, axis=-1, keepdims=True) <= _ROUNDING * np.abs(values).max(-1, keepdims=True)
    return np.where(flat, 0.0, rankdata(values, axis=-1))


CORRELATIONS = {"pearson": pearson, "spearman": spearman}
