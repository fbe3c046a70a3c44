"""Importance as rank levels: every mask of every fraction, removed or kept, from at most four bits a value.

With m fractions a value has one of m + 1 levels: the number of fractions whose top set does not hold it. Level 0 is in
all of them, level m in none, and the top set of fraction number i is where level ≤ i. Levels are digits in base m + 1,
and as many digits as fit share a byte, so five fractions take a third of a byte per value. Byte i holds the values
i, i + n, i + 2n, … (n bytes per image): neighbours are decoded from neighbours, one look-up each.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NamedTuple

import numpy as np

from attribeval.common.seeds import fold, generators
from attribeval.errors import AttribevalError, unknown
from attribeval.metrics.faithfulness.ranking import counts

PER = ("value", "pixel")
Mode = Literal["remove", "keep"]
MODES: tuple[Mode, ...] = ("remove", "keep")
MOST = 15  # fractions: with 16 levels two values still share a byte
_STREAM = 2**34  # random numbers that break ties; samples and baselines are folded in with smaller ones


def check_fractions(fractions: Sequence[float]) -> tuple[float, ...]:
    """Fractions as floats; 1 to 15, strictly increasing, above 0 and at most 1, or they make no grid."""
    try:
        checked = tuple(float(fraction) for fraction in fractions)
    except (TypeError, ValueError) as error:
        raise AttribevalError(
            f"Expected fractions as numbers, such as [0.3, 0.6, 0.9]. Received: {fractions!r}."
        ) from error
    if not 1 <= len(checked) <= MOST:
        raise AttribevalError(f"Expected 1 to {MOST} fractions. Received {len(checked)}: run several grids.")
    for i, fraction in enumerate(checked):
        if fraction == 0:
            raise AttribevalError(
                "Expected fractions above 0. Received: 0. Leave it out: the unmodified model is in every grid."
            )
        if not 0 < fraction <= 1:
            raise AttribevalError(
                f"Expected fractions between 0 and 1, such as 0.3 for 30 %. Received: {fraction} as number {i}."
            )
        if i and fraction <= checked[i - 1]:
            raise AttribevalError(
                f"Expected fractions that increase. Received: {fraction} after {checked[i - 1]}: sort them."
            )
    return checked


def levels(
    importance: np.ndarray, fractions: Sequence[float], seeds: np.ndarray, per: Literal["value", "pixel"] = "value"
) -> np.ndarray:
    """Rank each image's values and say for how many fractions each is not in the top set.

    The top set of fraction t holds exactly `counts([t], V)` values, the greatest ones. Where equal values straddle its
    edge, noise that belongs to the image chooses among them, the same noise for every fraction, so the sets are nested.

    Args:
        importance: Maps, float (N, H, W, C), greater is more important; signs count, as in the reference code.
        fractions: As in `check_fractions`.
        seeds: int32 (N, 2), one per image, as `common.seeds.image_seeds` gives.
        per: "value": each channel value is ranked by itself, V = H · W · C (the reference code of Hooker et al. 2019).
            "pixel": pixels are ranked by the sum over channels, V = H · W.

    Returns:
        uint8 (N, V), 0 (in all top sets) to m (in none).
    """
    fractions = check_fractions(fractions)
    if per not in PER:
        raise unknown("ranking", per, PER)
    importance = np.asarray(importance)
    if importance.ndim != 4 or importance.dtype.kind not in "fiu":
        raise AttribevalError(
            f"Expected importance as numbers (N, H, W, C). Received: {importance.dtype} of shape {importance.shape}."
        )
    if np.shape(seeds) != (len(importance), 2):
        raise AttribevalError(f"Expected a seed per map, ({len(importance)}, 2). Received: shape {np.shape(seeds)}.")
    if importance.dtype not in (np.float32, np.float64):
        importance = importance.astype(np.float64 if importance.dtype.kind in "iu" else np.float32)
    if per == "pixel":
        importance = importance.sum(axis=-1, dtype=np.float64)
    rows = importance.reshape(len(importance), -1)
    if rows.shape[1] == 0:
        raise AttribevalError(f"Expected maps with values. Received: shape {importance.shape}.")
    out = np.empty(rows.shape, np.uint8)
    noise = generators(fold(seeds, _STREAM))
    ks = counts(fractions, rows.shape[1])
    finite = list(_threads().map(_rank, rows, noise, out, [ks] * len(out)))
    bad = [i for i, good in enumerate(finite) if not good]
    if bad:
        raise AttribevalError(
            f"Expected finite importance. Received NaN or infinity in the map of item {bad[0]} ({len(bad)} of "
            f"{len(rows)} maps): check the model's weights and the method's options."
        )
    return out


def _rank(values: np.ndarray, noise: np.random.Generator, out: np.ndarray, ks: np.ndarray) -> bool:
    """Levels of one image into `out` (V,); False if a value is not finite."""
    if not np.isfinite(values).all():
        return False
    n, tie_breaker = len(values), None
    edges = n - ks[ks > 0]  # place of each top set's least value in rising order
    ordered = np.partition(values, np.unique(edges)) if edges.size else values
    out[:] = len(ks)
    for k in ks:
        if k == 0:
            continue
        least = ordered[n - k]
        inside = values >= least
        surplus = int(np.count_nonzero(inside)) - int(k)
        if surplus:
            if tie_breaker is None:
                tie_breaker = noise.permutation(n)  # no two alike, so that every k is exact and the sets are nested
            tied = np.flatnonzero(values == least)
            drawn = tie_breaker[tied]
            inside[tied[drawn <= np.partition(drawn, surplus - 1)[surplus - 1]]] = False
        out -= inside
    return True


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="attribeval-ranks")


def values_per_byte(m: int) -> int:
    """How many levels of m fractions fit a byte: 8 for m = 1, then 5, 4, 3, 3, and 2 from m = 6 to 15."""
    if not 1 <= m <= MOST:
        raise AttribevalError(f"Expected 1 to {MOST} fractions. Received: {m}.")
    n = 1
    while (m + 1) ** (n + 1) <= 256:
        n += 1
    return n


def packed_bytes(m: int, n: int) -> int:
    """Bytes that the levels of n values take."""
    return -(-n // values_per_byte(m))


def pack(levels: np.ndarray, m: int) -> np.ndarray:
    """Levels uint8 (N, V) as digits in base m + 1, several to a byte, for m fractions.

    uint8 (N, n) with n = ⌈V / values_per_byte(m)⌉; digit j of byte i is the level of value i + j · n.
    """
    if levels.size and levels.max() > m:
        raise AttribevalError(f"Expected levels from 0 to {m}. Received: {levels.max()}.")
    n = packed_bytes(m, levels.shape[1])
    out = np.zeros((len(levels), n), np.uint8)
    for j in range(values_per_byte(m)):
        digits = levels[:, j * n : (j + 1) * n]
        out[:, : digits.shape[1]] += digits * np.uint8((m + 1) ** j)
    return out


def unpack(packed: np.ndarray, m: int, count: int) -> np.ndarray:
    """The inverse of `pack`, of `count` values per image."""
    return decode(packed, _digits(m), count)


class MaskRule(NamedTuple):
    """Which values are replaced: those whose level is below `cut` (`remove`), or all others.

    Attributes:
        base: Of the digits that levels are: the number of fractions, and 1.
        digits: Levels per byte.
    """

    base: int
    digits: int
    cut: int
    remove: bool

    def table(self) -> np.ndarray:
        """Whether each of a byte's values is replaced, bool (256, digits), for `decode`."""
        top = _digits(self.base - 1) < self.cut
        return top if self.remove else ~top


def mask_rule(m: int, index: int, mode: Mode) -> MaskRule:
    """The rule of fraction number `index` of m: "remove" replaces its top set, "keep" everything else."""
    if mode not in MODES:
        raise unknown("mode", mode, MODES)
    if not 0 <= index < m:
        raise AttribevalError(f"Expected the number of a fraction, 0 to {m - 1}. Received: {index}.")
    return MaskRule(m + 1, values_per_byte(m), index + 1, mode == "remove")


def decode(packed: np.ndarray, table: np.ndarray, count: int) -> np.ndarray:
    """Look up every value of packed levels (N, n) in a table (256, values per byte): (N, count) of the table's type."""
    return np.concatenate([column[packed] for column in table.T], axis=1)[:, :count]


def _digits(m: int) -> np.ndarray:
    """uint8 (256, values_per_byte(m)): the digits of every byte in base m + 1."""
    powers = (m + 1) ** np.arange(values_per_byte(m))
    return (np.arange(256)[:, None] // powers % (m + 1)).astype(np.uint8)
