"""Whether methods stand in one order whatever removed pixels become: benchmarks that differ in `fill` alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.benchmarks.leaderboard.scores import oriented
from attribeval.metrics.correlation import ranks, spearman
from attribeval.results.comparisons import holm
from attribeval.results.means import known_mean
from attribeval.results.numbers import number
from attribeval.results.over_images import sign_flip_test

if TYPE_CHECKING:
    import pandas as pd

    from attribeval.results.result import Result

_ALPHA = 0.05


def groups_of(benchmarks: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Benchmarks, by label, that differ in their fill alone: of each group of two or more, name → fill → label.

    The name is the benchmark's, numbered where a board has several groups of one.
    """
    found: list[tuple[Any, dict[str, str]]] = []
    for label, one in benchmarks.items():
        if not is_dataclass(one) or isinstance(one, type) or not hasattr(one, "fill"):
            continue
        alike = replace(one, fill="mean")
        group = next((group for other, group in found if type(other) is type(alike) and other == alike), None)
        if group is None:
            group = {}
            found.append((alike, group))
        group.setdefault(str(one.fill), label)
    named: dict[str, dict[str, str]] = {}
    for one, group in found:
        if len(group) > 1:
            times = sum(name.split(" ")[0] == one.card.name for name in named)
            named[f"{one.card.name} {times + 1}" if times else one.card.name] = group
    return named


def kendall_w(scores: np.ndarray) -> float:
    """Kendall's coefficient of concordance W with the correction for ties (Kendall & Babington Smith 1939).

    Of scores (M, F), of M methods under F fills: 0 to 1, where 1 is one order under all fills; NaN for fewer than two
    methods, or where none differ.
    """
    places = np.asarray([ranks(column) for column in np.asarray(scores, np.float64).T])
    fills, methods = places.shape
    ties = sum(float((n**3 - n).sum()) for n in (np.unique(row, return_counts=True)[1] for row in places))
    spread = ((places.sum(0) - places.sum(0).mean()) ** 2).sum()
    most = fills**2 * (methods**3 - methods) - fills * ties
    return float(12 * spread / most) if most > 0 else float("nan")


def fill_table(result: Result) -> pd.DataFrame:
    """Each method's score and rank under each fill, of benchmarks that differ in `fill` alone.

    A row per benchmark and method, the best mean rank first. Columns: benchmark; method; kind; per fill its score under
    the fill's name, and "rank, …" (1 is best; controls take part, as on the board).
    """
    import pandas as pd

    rows = []
    for name, group in result.settings.get("fills", {}).items():
        cells = result.table.set_index(["method", "benchmark"])
        of_group = [
            {"benchmark": name, "method": method, "kind": kind}
            | {fill: cells.at[(method, label), "value"] for fill, label in group.items()}
            | {f"rank, {fill}": cells.at[(method, label), "rank"] for fill, label in group.items()}
            for method, kind in result.settings["kinds"].items()
        ]
        rows += sorted(of_group, key=lambda row: np.mean([row[f"rank, {fill}"] for fill in group]))
    return pd.DataFrame(rows)


def fill_sentences(result: Result) -> list[str]:
    """Per group, whether methods stand in one order under all fills; controls left out.

    A pair of methods is reversed if one is better under one fill and the other under another, both by the sign-flip
    test, corrected over all pairs and fills of the group (Holm).
    """
    return [_sentence(result, name, group) for name, group in result.settings.get("fills", {}).items()]


def _sentence(result: Result, name: str, group: Mapping[str, str]) -> str:
    methods = [method for method, kind in result.settings["kinds"].items() if kind == "method"]
    of_all = oriented(result)
    scores = np.array([[of_all[method, label] for label in group.values()] for method in methods])  # (M, F, N)
    means = known_mean(scores, 2)
    fills, known = list(group), np.isfinite(means).all(1)
    scores, means = scores[known], means[known]
    methods = [method for method, there in zip(methods, known, strict=True) if there]
    said = f"{name} with the fills {', '.join(fills)}: "
    if len(methods) < 2:
        return f"{said}fewer than two methods have a score under all, so there is no order to compare."
    rhos = {(a, b): float(spearman(means[:, a], means[:, b])) for a, b in combinations(range(len(fills)), 2)}
    least = min(rhos, key=lambda pair: (np.isnan(rhos[pair]), rhos[pair]))
    reversed_, pairs = _reversed(scores), len(methods) * (len(methods) - 1) // 2
    said += (
        f"Kendall's W of the orders of {len(methods)} methods is {number(kendall_w(means))}, the least Spearman's ρ "
        f"{number(rhos[least])} ({fills[least[0]]} and {fills[least[1]]}); best are "
        f"{', '.join(f'{methods[int(np.argmax(means[:, f]))]} ({fill})' for f, fill in enumerate(fills))}. "
    )
    if not reversed_:
        return (
            f"{said}Of {pairs} pairs of methods none is shown to change places: that the order hangs on the fill is "
            "not shown."
        )
    i, j, f, g = reversed_[0]
    return (
        f"{said}The order HANGS on the fill: of {pairs} pairs of methods {len(reversed_)} are shown to change places, "
        f"such as {methods[i]}, better than {methods[j]} with {fills[f]} and worse with {fills[g]}."
    )


def _reversed(scores: np.ndarray) -> list[tuple[int, int, int, int]]:
    """(i, j, f, g): i is better than j with fill f and worse with g; one for each such pair of (M, F, N) scores."""
    pairs = list(combinations(range(len(scores)), 2))
    fills = range(scores.shape[1])
    tests = np.array([sign_flip_test(scores[i, f], scores[j, f]) for i, j in pairs for f in fills])
    clear = (holm(tests) < _ALPHA).reshape(len(pairs), len(fills))
    found = []
    for (i, j), told in zip(pairs, clear, strict=True):
        gain = known_mean(scores[i] - scores[j], 1)
        up, down = np.flatnonzero(told & (gain > 0)), np.flatnonzero(told & (gain < 0))
        if up.size and down.size:
            found.append((i, j, int(up[0]), int(down[0])))
    return found
