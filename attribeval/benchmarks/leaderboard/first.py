"""Ranks of methods, and whether who is first by mean rank is told from the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from attribeval.benchmarks.leaderboard.scores import oriented, places
from attribeval.results.comparisons import all_pairs
from attribeval.results.means import known_mean
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
    first: str, names: Sequence[str], scores: np.ndarray, families: Mapping[str, Sequence[int]], alpha: float = 0.05
) -> list[str]:
    """The methods that rank behind the first one on these images by more than chance.

    Each image ranks the methods by each benchmark. What is tested is the difference of two methods' ranks, averaged
    over the benchmarks of a family and over families, as mean ranks are, by the sign-flip test over images: if it made
    no difference which of two methods is which, the difference of each image could as well have the other sign. Which
    method is first was seen before, so that every pair is tested and corrected for (Holm).

    Of scores (M, B, N), larger is better, NaN: none; families name places of benchmarks, 0 … B − 1.
    """
    by_image = dict(zip(names, np.moveaxis(ranks(np.moveaxis(scores, -1, 0)), 0, -1), strict=True))

    def gaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        of_families = [known_mean((a - b)[list(places)], 0) for places in families.values()]
        return known_mean(np.stack(of_families), 0)

    none = np.zeros(scores.shape[2])
    p_values = all_pairs(by_image, lambda a, b: sign_flip_test(gaps(a, b), none))
    told = [name for name in names if name != first and p_values[first, name] < alpha]
    return [name for name in told if np.nanmean(gaps(by_image[first], by_image[name])) < 0]


def behind_in(result: Result, first: str) -> list[str]:
    """`behind_the_first` of a board, among its methods without the controls."""
    settings = result.settings
    families = places(settings["families"].values())
    names = [name for name, kind in settings["kinds"].items() if kind == "method"]
    scores = oriented(result)
    return behind_the_first(
        first, names, np.array([[scores[name, label] for label in settings["better"]] for name in names]), families
    )
