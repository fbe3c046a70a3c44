"""The order of a map's pixels, or of its regions: ties are broken by the image's seed, never by position."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attribeval.common.seeds import fold, generators
from attribeval.errors import AttribevalError
from attribeval.metrics.subject import checked_maps

_TIES = 2**35  # stream of random numbers; samples and baselines are folded in with smaller ones


def ranks(maps: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Rank each map's values (N, H, W): 0 is the greatest, the most important one; int32, a permutation in each item.

    Equal values are ordered at random by the image's seed, int32 (N, 2): every order of them has the same chance, so
    that a constant map is a random order and not "top left first", which is what sorting by position makes of it.

    Raises:
        AttribevalError: If a map has NaN or infinity (which one), or shapes do not match.
    """
    maps = checked_maps(maps)
    chances = tie_breakers(seeds, len(maps))
    out = np.empty((len(maps), maps[0].size), np.int32)
    for row, values, chance in zip(out, maps.reshape(out.shape), chances, strict=True):
        row[:] = rank_values(values, chance)
    return out.reshape(maps.shape)


def tie_breakers(seeds: np.ndarray, n: int) -> list[np.random.Generator]:
    """One generator per image for the order of equal values.

    Raises:
        AttribevalError: If seeds are not (n, 2).
    """
    if np.shape(seeds) != (n, 2):
        raise AttribevalError(f"Expected a seed per map, ({n}, 2). Received: shape {np.shape(seeds)}.")
    return generators(fold(seeds, _TIES))


def rank_values(values: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Rank real numbers (V,), 0 for the greatest, ties at random: int32 (V,)."""
    falling = -values
    order = np.argsort(falling)
    same = np.diff(falling[order]) == 0
    if same.any():
        tied = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
        drawn = chance.permutation(np.sort(order[tied]))
        order[tied] = drawn[np.argsort(falling[drawn], kind="stable")]
    out = np.empty(len(values), np.int32)
    out[order] = np.arange(len(values), dtype=np.int32)
    return out


def region_ranks(maps: np.ndarray, region: int, seeds: np.ndarray) -> np.ndarray:
    """Rank square regions of a grid by the sum of their values, and give each pixel its region's rank, int32 (N, H, W).

    Regions have `region` pixels a side; those at the right and the lower edge are cut where the image ends. All else is
    as in `ranks`.
    """
    if region == 1:
        return ranks(maps, seeds)
    maps = checked_maps(maps)
    height, width = maps.shape[1:]
    sums = np.add.reduceat(maps, np.arange(0, height, region), axis=1)
    sums = np.add.reduceat(sums, np.arange(0, width, region), axis=2)
    ranked = ranks(sums, seeds)
    return ranked.repeat(region, axis=1)[:, :height].repeat(region, axis=2)[:, :, :width]


def counts(fractions: Sequence[float], n: int) -> np.ndarray:
    """How many of n values each share takes, int64: t · n without its decimals, as the reference code counts.

    0.29 · 100 is 28.999999999999996 in binary and means 29: a product within rounding of a whole number is that number.
    """
    product = np.asarray(fractions, dtype=np.float64) * n
    nearest = np.rint(product)
    whole = np.abs(product - nearest) <= 1e-12 * max(n, 1)
    return np.where(whole, nearest, np.floor(product)).astype(np.int64)
