"""Whether a concept's scores are told from those of random vectors."""

from __future__ import annotations

import warnings
from math import comb

import numpy as np


def p_of_scores(scores: np.ndarray, chance: np.ndarray) -> float:
    """Two-sided p of Welch's t-test that a concept's scores and those of random vectors have one mean.

    The article's test. It takes the scores for independent. Where all of them share the concept's examples they are
    not, and more random sets make p smaller without making the concept better known (`docs/statistics.md` has how
    often); where each has examples of its own, p is as large as it should be, or larger.

    Args:
        scores, chance: As in `LayerScores`.

    Returns:
        0 to 1. Where neither has any spread, 1 if they are the same number, else that of the permutation test.
    """
    from scipy import stats

    if np.ptp(scores) == 0 and np.ptp(chance) == 0:
        # No spread, no t. If the two differ, the permutation test says how often chance alone would part them so.
        return 1.0 if scores[0] == chance[0] else min(1.0, 2 / comb(len(scores) + len(chance), len(scores)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # one of the two has next to no spread: no fault here
        return float(stats.ttest_ind(scores, chance, equal_var=False).pvalue)
