"""Who agrees with whom: benchmarks about methods (Kendall's τ), and methods about pixels (rank correlation of maps)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attribeval.metrics.correlation import ranks, standardised


def kendall_tau(values: np.ndarray) -> np.ndarray:
    """Kendall's τ-b between all pairs of benchmarks, over methods, for many samples at once (Kendall 1945).

    τ is the share of pairs of methods that both benchmarks put in the same order, minus the share that they put in
    opposite orders; of pairs that one of them ties, neither, and the denominator shrinks accordingly.

    Of values (R, M, B), higher is better: (R, B, B), −1 to 1. Pairs of methods of which one is NaN to a benchmark are
    left out; NaN where a benchmark tells no two methods apart.
    """
    first, second = np.triu_indices(values.shape[1], 1)
    taus = np.empty((len(values), values.shape[2], values.shape[2]))
    for r, sample in enumerate(values):
        order = np.sign(sample[first] - sample[second])  # (pairs, B)
        known = np.isfinite(order)
        order = np.where(known, order, 0.0)
        strict, known = np.abs(order), known.astype(np.float64)
        apart = strict.T @ known  # [b, c]: pairs that b tells apart, of those that c knows too
        with np.errstate(invalid="ignore", divide="ignore"):
            taus[r] = (order.T @ order) / np.sqrt(apart * apart.T)
    return np.clip(taus, -1, 1)


def standard_ranks(heat: np.ndarray) -> np.ndarray:
    """Ranks of each map's pixels (ties share their mean rank), centred and of length 1, float32 (N, H · W).

    NaN for a constant map, whose pixels have no order.
    """
    return standardised(ranks(heat.reshape(len(heat), -1))).astype(np.float32)


def map_correlations(ranks: Sequence[np.ndarray | None], n: int) -> np.ndarray:
    """Spearman's correlation between the maps of every two methods, image by image, float32 (n, M, M).

    Of each method what `standard_ranks` gave, None for one without maps; NaN where a map is constant or not there.
    """
    correlations = np.full((n, len(ranks), len(ranks)), np.nan, np.float32)
    known = {m: of_method for m, of_method in enumerate(ranks) if of_method is not None}
    there = list(known)
    if not there:
        return correlations
    for image in range(n):
        of_image = np.stack([of_method[image] for of_method in known.values()])
        correlations[image][np.ix_(there, there)] = np.clip(of_image @ of_image.T, -1, 1)
    return correlations
