"""From one number per method, benchmark and image to one table, and to what may be concluded from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.benchmarks.leaderboard.agreement import kendall_tau
from attribeval.benchmarks.leaderboard.fills import groups_of
from attribeval.benchmarks.leaderboard.first import ranks as ranks_of
from attribeval.benchmarks.leaderboard.scores import CENTRE, Scores
from attribeval.benchmarks.leaderboard.sentences import sentences
from attribeval.methods.given import kind_of
from attribeval.results.comparisons import groups, holm
from attribeval.results.means import known_mean, weighted_means
from attribeval.results.numbers import known
from attribeval.results.over_images import mean_interval, sign_flip_test
from attribeval.results.result import Result
from attribeval.results.statistics import bootstrap_estimates

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = [
    "method", "kind", "benchmark", "family", "better", "value", "low", "high", "images", "rank", "group", "p_random",
    "p_next", "seconds_per_image", "peak_memory_mib", "scoring_seconds_per_image", "passes_per_image", "error",
]  # fmt: skip
ALL = "all"  # the family of all benchmarks
_LEVEL = 0.95
_ENOUGH = 0.5  # of the images that a benchmark judges, to be ranked by it


def summarise(scores: Scores, settings: dict[str, Any], *, seed: int = 0, resamples: int = 1000) -> Result:
    """The table of a run; see `procedure.run_leaderboard` for its columns, arrays and settings, which it adds to.

    The bootstrap over images, for ranks and agreement, draws the same images for all cells.
    """
    import pandas as pd

    m, b, n = scores.values.shape
    one_per_cell = scores.values.reshape(m * b, n).T
    value = weighted_means(one_per_cell, np.ones((1, n))).reshape(m, b)
    drawn = bootstrap_estimates(lambda w: weighted_means(one_per_cell, w), n, resamples=resamples, seed=seed)
    drawn = drawn.reshape(-1, m, b)
    signs = np.where(_judged_enough(scores.values), scores.signs, np.nan)  # what is judged on few images has no rank
    oriented = value * signs
    ranks = ranks_of(oriented)
    rows: list[dict[str, Any]] = []
    for j in range(b):
        rows += _rows_of_benchmark(scores, j, value[:, j], ranks[:, j])
    correlations = scores.correlations.reshape(n, m * m)
    alike = weighted_means(correlations, np.ones((1, n))).reshape(m, m)
    alike_low, alike_high = _interval(
        bootstrap_estimates(lambda w: weighted_means(correlations, w), n, resamples=resamples, seed=seed), n
    )
    of_methods = [i for i, one in enumerate(scores.methods.values()) if one.card.family != "control"]
    tau = kendall_tau(oriented[None, of_methods])[0]
    tau_low, tau_high = _interval(kendall_tau((drawn * signs)[:, of_methods]), n)
    resampled_ranks = ranks_of(drawn * signs)
    settings = settings | {
        "families": {label: one.card.family for label, one in scores.benchmarks.items()},
        "better": {label: one.card.better for label, one in scores.benchmarks.items()},
        "kinds": {label: kind_of(one) for label, one in scores.methods.items()},
        "fills": groups_of(scores.benchmarks),
        "prepared": {
            label: {"seconds": round(float(seconds), 2), "passes_per_image": round(float(passes) / n, 2)}
            for label, seconds, passes in zip(
                scores.benchmarks, scores.prepare_seconds, scores.prepare_passes, strict=True
            )
        },
        "average_ranks": _average_ranks(scores, ranks, resampled_ranks, n),
        "failures": {
            f"{method} × {benchmark}": scores.errors[i][j]
            for i, method in enumerate(scores.methods)
            for j, benchmark in enumerate(scores.benchmarks)
            if scores.errors[i][j]
        },
        "cost": {
            "maps_seconds": _total(scores.seconds),
            "scoring_seconds": _total(scores.scoring_seconds) + float(scores.prepare_seconds.sum()),
            "forward passes of the benchmarks": int(_total(scores.passes) + scores.prepare_passes.sum()),
        },
    }
    arrays = {
        "scores": scores.values.astype(np.float64),
        **{f"{CENTRE}/{label}": of_images for label, of_images in scores.centre.items()},
        **{"tau": tau, "tau_low": tau_low, "tau_high": tau_high},
        "maps": alike,
        "maps_low": alike_low.reshape(m, m),
        "maps_high": alike_high.reshape(m, m),
    }
    result = Result("leaderboard", pd.DataFrame(rows, columns=COLUMNS), settings, arrays=arrays)
    result.summary.extend(sentences(result))
    return result


def average_ranks(result: Result) -> pd.DataFrame:
    """Ranks of the methods, averaged over benchmarks: a summary of opinions, not a measurement of its own.

    Within a family every benchmark counts the same; in the family "all" every family does, so that ten variants of
    one question do not outvote another.

    Args:
        result: Of `Evaluator.compare`.

    Returns:
        DataFrame, best first within a family; columns: family; method; kind; value, low, high (mean rank, 1 is best,
        with its 95 % bootstrap interval over images); benchmarks (in which it has a rank).
    """
    import pandas as pd

    columns = ["family", "method", "kind", "value", "low", "high", "benchmarks"]
    return pd.DataFrame(result.settings["average_ranks"], columns=columns).astype(
        {"value": float, "low": float, "high": float}
    )


def _rows_of_benchmark(scores: Scores, j: int, value: np.ndarray, ranks: np.ndarray) -> list[dict[str, Any]]:
    """The rows of one benchmark, best first, those without a value last."""
    names = list(scores.methods)
    label, benchmark = list(scores.benchmarks.items())[j]
    per_image = scores.values[:, j]
    low, high = np.array([mean_interval(of_method) for of_method in per_image]).T
    order = [int(i) for i in np.argsort(ranks, kind="stable") if np.isfinite(ranks[i])]
    letters = groups([names[i] for i in order], {names[i]: per_image[i] for i in order}, _LEVEL, sign_flip_test)
    against_random, against_next = np.full((2, len(names)), np.nan)
    chance = names.index("random")
    for place, i in enumerate(order):
        if i != chance:
            against_random[i] = sign_flip_test(per_image[i], per_image[chance])
        if place + 1 < len(order):
            against_next[i] = sign_flip_test(per_image[i], per_image[order[place + 1]])
    against_random, against_next = holm(against_random), holm(against_next)
    unranked = [i for i in range(len(names)) if i not in order]
    return [
        {
            "method": names[i],
            "kind": kind_of(scores.methods[names[i]]),
            "benchmark": label,
            "family": benchmark.card.family,
            "better": benchmark.card.better,
            "value": value[i],
            "low": low[i],
            "high": high[i],
            "images": int(np.isfinite(per_image[i]).sum()),
            "rank": ranks[i],
            "group": letters.get(names[i], ""),
            "p_random": against_random[i],
            "p_next": against_next[i],
            "seconds_per_image": _over(np.median, scores.seconds[i]),
            "peak_memory_mib": _over(np.max, scores.peak_mib[i]),
            "scoring_seconds_per_image": _over(np.mean, scores.scoring_seconds[i, j]),
            "passes_per_image": _over(np.mean, scores.passes[i, j]),
            "error": scores.errors[i][j],
        }
        for i in [*order, *unranked]
    ] + _row_of_centre(scores, j)


def _row_of_centre(scores: Scores, j: int) -> list[dict[str, Any]]:
    """What the centre pixel scores in a pointing game, which is no method and has no rank."""
    label, benchmark = list(scores.benchmarks.items())[j]
    if label not in scores.centre:
        return []
    of_images = scores.centre[label]
    low, high = mean_interval(of_images, bounds=(0.0, 1.0))
    about = {"family": benchmark.card.family, "better": benchmark.card.better, "group": "", "error": ""}
    value, images = _over(np.mean, of_images), int(np.isfinite(of_images).sum())
    row = {"method": CENTRE, "kind": "baseline", "benchmark": label, "value": value, "low": low, "high": high}
    return [row | about | {"images": images}]


def _judged_enough(values: np.ndarray) -> np.ndarray:
    """Whether methods have scores on about the images that others have, bool (M, B): else their means are of others."""
    judged = np.isfinite(values).sum(2)
    return judged >= _ENOUGH * judged.max(0)


def _average_ranks(scores: Scores, ranks: np.ndarray, resampled: np.ndarray, n: int) -> list[dict[str, Any]]:
    """As records that JSON can hold."""
    stacked = np.concatenate([ranks[None], resampled])  # (1 + R, M, B)
    of_family = {family: known_mean(stacked[:, :, places], 2) for family, places in scores.families.items()}
    of_family = {ALL: known_mean(np.stack(list(of_family.values()), axis=2), 2), **of_family}
    records = []
    for family, averages in of_family.items():
        low, high = _interval(averages[1:], n)
        places = scores.families.get(family, list(range(len(scores.benchmarks))))
        counted = np.isfinite(ranks[:, places]).sum(1)
        for i in np.argsort(averages[0], kind="stable"):
            name = list(scores.methods)[i]
            records.append(
                {
                    "family": family,
                    "method": name,
                    "kind": kind_of(scores.methods[name]),
                    "value": known(averages[0][i]),
                    "low": known(low[i]),
                    "high": known(high[i]),
                    "benchmarks": int(counted[i]),
                }
            )
    return records


def _interval(estimates: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The middle 95 % over the first axis; NaN where nothing is known, and of one image, which cannot vary."""
    there = np.isfinite(estimates).any(0) & (n > 1)
    low, high = np.full((2, *estimates.shape[1:]), np.nan)
    if there.any():
        tails = [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2]
        low[there], high[there] = np.nanquantile(estimates[:, there], tails, axis=0)
    return low, high


def _over(statistic: Any, values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(statistic(values)) if values.size else float("nan")


def _total(values: np.ndarray) -> float:
    return round(float(np.nansum(values)), 2)
