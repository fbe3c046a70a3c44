"""Which differences are real: p-values that are corrected for how many were looked at."""

from __future__ import annotations

import numpy as np

from attribeval.errors import AttribevalError


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's step-down correction (1979): the chance of any false alarm among all tests stays below the level.

    The smallest of m p-values is multiplied by m, the next by m − 1, …; none may be smaller than one before it.

    Args:
        p_values: (m,) in 0..1.

    Returns:
        float64 (m,) in 0..1, in the order given.

    Raises:
        AttribevalError: If a value is not in 0..1.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise AttribevalError(f"Expected p-values (m,) from 0 to 1. Received: {p_values!r}.")
    order = np.argsort(p, kind="stable")
    stepped = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    corrected = np.empty_like(stepped)
    corrected[order] = stepped
    return corrected
