"""Whether repeats of a training tell two methods apart: t intervals, paired tests, Holm's correction, letters.

All numbers are over *repeats* of a training (other initial weights, another order of the data), not over images.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np

from attribeval.errors import AttribevalError

_ROUNDING = 1e-12  # differences of accuracies that agree up to this share of the accuracies differ by rounding alone


def holm(p_values: np.ndarray) -> np.ndarray:
    """Adjust p-values of a family of tests (Holm 1979), so that `p <= α` keeps the chance of any false claim below α.

    The i-th smallest of m is multiplied by m − i + 1; then none is smaller than one before it, or larger than 1.

    Args:
        p_values: (m,), 0 to 1. NaN is a test that could not be made: it stays NaN and does not count in m.

    Returns:
        Adjusted p-values, float64 (m,), in the order given.

    Raises:
        AttribevalError: If one is outside 0 to 1.

    Example:
        >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
        [0.03, 0.06, 0.06]
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    if p_values.ndim != 1:
        raise AttribevalError(f"Expected p-values (m,). Received: {p_values.shape}.")
    outside = np.flatnonzero((p_values < 0) | (p_values > 1))
    if outside.size:
        raise AttribevalError(
            f"Expected p-values from 0 to 1. Received: {p_values[outside[0]]} for item {outside[0]}: is it a p-value?"
        )
    order = np.argsort(p_values, kind="stable")[: np.isfinite(p_values).sum()]  # NaN sorts last
    adjusted = np.full(len(p_values), np.nan)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1)))
    return adjusted


def all_pairs(
    values: Mapping[str, np.ndarray], test: Callable[[np.ndarray, np.ndarray], float]
) -> dict[tuple[str, str], float]:
    """p of every two methods by `test`, corrected over all pairs (Holm); under (a, b) and (b, a)."""
    pairs = list(combinations(values, 2))
    corrected = holm(np.array([test(values[a], values[b]) for a, b in pairs]))
    return {way: float(p) for (a, b), p in zip(pairs, corrected, strict=True) for way in ((a, b), (b, a))}


def t_interval(values: Sequence[float] | np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Student's t interval of the mean over repeats, mean ∓ t · s / √n with n − 1 degrees of freedom.

    Args:
        values: One number per repeat, (n,). Finite.
        level: In (0, 1).

    Returns:
        low, high. (NaN, NaN) for a single value, which says nothing of its spread; width 0 if all values agree.

    Raises:
        AttribevalError: If there is no value, one is not finite, or the level is out of range.
    """
    from scipy import stats

    values = _checked(values)
    check_level(level)
    n = len(values)
    if n < 2:
        return np.nan, np.nan
    reach = stats.t.ppf((1 + level) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n)
    return float(values.mean() - reach), float(values.mean() + reach)


def paired_test(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> float:
    """Two-sided p of the paired t-test that two methods have the same mean; repeat i of one belongs to repeat i of the
    other (same initial weights, same order of the data).

    Accuracies are counts of images, so that few repeats can differ by the very same amount by chance, and t is infinite
    without the evidence being so. Then p is that of the sign-flip test, 2 / 2ⁿ: the smallest that n pairs can give
    without assuming a distribution.

    Args:
        a: One number per repeat, (n,). Finite.
        b: The other's, (n,).

    Returns:
        p, 0 to 1; 1 if the pairs are identical; NaN for fewer than two pairs.

    Raises:
        AttribevalError: If the lengths differ, or a value is not finite.
    """
    from scipy import stats

    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape:
        raise AttribevalError(f"Expected a value of both methods for each repeat. Received: {a.shape} and {b.shape}.")
    if a.size == 0:
        return float("nan")
    a, b = _checked(a), _checked(b)
    n = len(a)
    if n < 2:
        return float("nan")
    differences = a - b
    rounding = _ROUNDING * max(np.abs(a).max(), np.abs(b).max())
    if np.abs(differences).max() <= rounding:
        return 1.0
    if np.ptp(differences) <= rounding:
        return float(2.0 ** (1 - n))
    return float(stats.ttest_rel(a, b).pvalue)


def groups(
    names: Sequence[str],
    values_by_name: Mapping[str, np.ndarray],
    level: float = 0.95,
    test: Callable[[np.ndarray, np.ndarray], float] = paired_test,
) -> dict[str, str]:
    """Letters that say which methods cannot be told apart (a compact letter display).

    All pairs are compared by `test`, corrected by `holm` over all pairs. Two methods share a letter exactly if
    their difference is not significant; a pair with fewer than two repeats in common cannot be told apart either.
    Sharing a letter does not mean to be equal: it means that these repeats do not show a difference.

    Args:
        names: The methods, best first: the first one has letter "a".
        values_by_name: One number per repeat for each name, (n,), the same repeats in the same places; NaN where a
            repeat is missing.
        level: 1 − α, in (0, 1).
        test: p of two aligned sets of values; over images `over_images.sign_flip_test`.

    Returns:
        Name → letters, such as "ab"; numbers with blanks between them if 52 letters do not suffice.

    Raises:
        AttribevalError: If a name has no values or another number of repeats than the first, or the level is out of
            range.

    Example:
        >>> accuracies = {"a": [0.9, 0.91, 0.89, 0.9], "b": [0.9, 0.9, 0.9, 0.91], "random": [0.5, 0.52, 0.49, 0.5]}
        >>> groups(list(accuracies), {name: np.array(values) for name, values in accuracies.items()})
        {'a': 'a', 'b': 'a', 'random': 'b'}
    """
    check_level(level)

    def test_shared(a: np.ndarray, b: np.ndarray) -> float:
        both = np.isfinite(a) & np.isfinite(b)
        return test(a[both], b[both])

    p_values = all_pairs(_aligned(names, values_by_name), test_shared)
    # What could not be tested, with p NaN, is not told apart either.
    cliques = _cover(np.array([[a == b or not p_values[a, b] <= 1 - level for b in names] for a in names]))
    marks = string.ascii_letters if len(cliques) <= len(string.ascii_letters) else None
    of_name = {name: [k for k, clique in enumerate(cliques) if i in clique] for i, name in enumerate(names)}
    return {
        name: "".join(marks[k] for k in ks) if marks else " ".join(str(k + 1) for k in ks)
        for name, ks in of_name.items()
    }


def letters(group: object) -> set[str]:
    """The groups that a text of `groups` names; none where there is no text, as of a row that was not compared."""
    if not isinstance(group, str):
        return set()
    return set(group.split() if any(mark.isdigit() for mark in group) else group)


def _cover(alike: np.ndarray) -> list[list[int]]:
    """Sets of indices that are all alike, such that every alike pair and every index is in one.

    Each pair that no set holds yet starts one, which takes in everything that is like all of its members.
    """
    n = len(alike)
    times = np.zeros((n, n), dtype=int)  # how many sets hold a pair
    cliques = []
    for i in range(n):
        for j in [*range(i + 1, n), i]:  # itself last: it needs a set of its own only if it is like nothing else
            if not alike[i, j] or times[i, j]:
                continue
            clique = sorted({i, j})
            for k in range(n):
                if k not in clique and alike[k, clique].all():
                    clique.append(k)
            times[np.ix_(clique, clique)] += 1
            cliques.append(clique)
    for clique in reversed(cliques):
        held = np.ix_(clique, clique)
        if (times[held] > 1).all():
            times[held] -= 1
            cliques.remove(clique)
    return cliques


def _aligned(names: Sequence[str], values_by_name: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    values: dict[str, np.ndarray] = {}
    for name in names:
        if name not in values_by_name:
            raise AttribevalError(f"Expected values for every name. Received none for {name!r}.")
        values[name] = np.asarray(values_by_name[name], dtype=np.float64)
        wanted = values[names[0]].shape
        if values[name].ndim != 1 or values[name].shape != wanted:
            raise AttribevalError(
                f"Expected {wanted} values for every name, NaN where a repeat is missing. "
                f"Received: {values[name].shape} for {name!r}."
            )
    return values


def _checked(values: Sequence[float] | np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or len(values) == 0:
        raise AttribevalError(f"Expected one number per repeat, (n,) with n >= 1. Received: {values.shape}.")
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise AttribevalError(f"Expected finite numbers. Received {values[bad[0]]} for repeat {bad[0]}: leave it out.")
    return values


def check_level(level: float) -> None:
    if not 0 < level < 1:
        raise AttribevalError(f"Expected 0 < level < 1, such as 0.95. Received: {level}.")
