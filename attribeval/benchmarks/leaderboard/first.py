"""Ranks of methods, and whether who is first by mean rank is told from the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from attribeval.results.comparisons import holm
from attribeval.results.over_images import sign_flip_test

if TYPE_CHECKING:
    from attribeval.results.result import Result


def ranks(oriented: np.ndarray) -> np.ndarray:
    """Ranks of methods, (…, M, B), by each benchmark: 1 for the largest, ties sharing their mean; NaN stays.

    Scores that differ by rounding alone, as means of the same scores in another order of images, are ties.
    """
    from scipy.stats import rankdata

    sizes = np.where(np.isfinite(oriented), np.abs(oriented), 0.0).max(-2, keepdims=True)
    return rankdata(-np.round(oriented / np.where(sizes > 0, sizes, 1.0), 12), axis=-2, nan_policy="omit")


def behind_the_first(
    first: str, names: Sequence[str], oriented: np.ndarray, families: Mapping[str, Sequence[int]], alpha: float = 0.05
) -> list[str]:
    """The methods that rank behind the first one on these images by more than chance.

    Each image ranks the methods by each benchmark. What is tested is the difference of two methods' ranks, averaged
    over the benchmarks of a family and over families, as mean ranks are, by the sign-flip test over images: if it made
    no difference which of two methods is which, the difference of each image could as well have the other sign. Which
    method is first was seen before, so that every pair is tested and corrected for (Holm).

    Args:
        first: A name.
        names: The methods, M.
        oriented: Scores, larger is better, (M, B, N); NaN: none.
        families: Places of the benchmarks, 0 … B − 1, by family.
        alpha: Level of the tests.

    Returns:
        Names, in the order given.
    """
    by_image = np.moveaxis(ranks(np.moveaxis(oriented, -1, 0)), 0, -1)
    pairs = list(combinations(range(len(names)), 2))
    gaps = [_mean_gap(by_image[i] - by_image[j], families) for i, j in pairs]
    p_values = holm(np.array([sign_flip_test(gap, np.zeros(len(gap))) for gap in gaps]))
    leader, behind = names.index(first), []
    for (i, j), gap, p in zip(pairs, gaps, p_values, strict=True):
        if leader in (i, j) and p < alpha and (np.nanmean(gap) < 0) == (i == leader):
            behind.append(names[j if i == leader else i])
    return [name for name in names if name in behind]


def behind_in(result: Result, first: str) -> list[str]:
    """`behind_the_first` of a board, among its methods without the controls."""
    settings = result.settings
    signs = np.array([1 if better == "high" else -1 for better in settings["better"].values()])
    families: dict[str, list[int]] = {}
    for place, family in enumerate(settings["families"].values()):
        families.setdefault(family, []).append(place)
    places = [i for i, kind in enumerate(settings["kinds"].values()) if kind == "method"]
    names = [list(settings["kinds"])[i] for i in places]
    return behind_the_first(first, names, result.arrays["scores"][places] * signs[:, None], families)


def _mean_gap(of_benchmarks: np.ndarray, families: Mapping[str, Sequence[int]]) -> np.ndarray:
    """Means over the benchmarks (B, N) of a family, then over families, (N,); of an image without any NaN."""
    of_families = np.stack([_mean(of_benchmarks[list(places)]) for places in families.values()])
    return _mean(of_families)


def _mean(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values).sum(0)
    return np.divide(np.nansum(values, 0), known, out=np.full(known.shape, np.nan), where=known > 0)
