"""From small arrays per image to one table: values, intervals, thresholds, comparisons, sentences."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.benchmarks.wsol.metrics import PER_IMAGE, Metric
from attribeval.benchmarks.wsol.pixels import mask_ious, pxap
from attribeval.errors import AttribevalError, unknown
from attribeval.results.comparisons import holm
from attribeval.results.result import Result
from attribeval.results.statistics import bootstrap_estimates, bootstrap_p_value, percentile_interval

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["method", "kind", "metric", "value", "low", "high", "threshold", "images", "seconds_per_image"]
CONTROLS = ("random", "centred box")


@dataclass(frozen=True)
class Scored:
    """The arrays per image of one method; kind is "method", "control" or "baseline"."""

    name: str
    kind: str
    arrays: Mapping[str, np.ndarray]
    seconds_per_image: float = 0.0


def folds(n: int, held_out: int | float, seed: int) -> np.ndarray | None:
    """Which images choose thresholds for which: int (n,), drawn by the seed.

    Args:
        n: Number of images.
        held_out: An int k >= 2: k folds, each scored at the threshold of the others. A float in (0, 1): that share of
            the images only chooses (fold −1), the rest is scored (fold 0).
        seed: Of the draw.

    Returns:
        The fold of each image, or None where there are too few images to split.

    Raises:
        AttribevalError: If `held_out` is neither.
    """
    whole = isinstance(held_out, int | np.integer) and not isinstance(held_out, bool)
    if not (whole and held_out >= 2) and not (isinstance(held_out, float) and 0 < held_out < 1):
        raise AttribevalError(
            f"Expected held_out to be 2 or more folds, or a share between 0 and 1. Received: {held_out!r}."
        )
    order = np.random.default_rng(seed).permutation(n)
    result = np.zeros(n, np.int64)
    if whole:
        if n < 2 * held_out:
            return None
        result[order] = np.arange(n) % held_out
        return result
    choosing = round(n * held_out)
    if not 0 < choosing < n:
        return None
    result[order[:choosing]] = -1
    return result


def summarise(
    scored: Sequence[Scored],
    shared: Mapping[str, np.ndarray],
    metrics: Sequence[Metric],
    settings: dict[str, Any],
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> Result:
    """The table of some methods' scores: one row per metric and method, the best of each metric first.

    Args:
        scored: What `measure` returned, by method.
        shared: Arrays that belong to the images: "labels", "top1", "top5", "folds", as far as they are known.
        metrics: What to score; a method without the arrays for one has no row of it.
        settings: Kept with the result.
        seed, resamples: Of the bootstrap over images.

    Returns:
        See `evaluate`.
    """
    import pandas as pd

    cells = [
        (one, metric, ChainMap(one.arrays, shared))
        for metric in metrics
        for one in scored
        if all(need in shared or need in one.arrays for need in metric.needs)
    ]
    if not cells:
        raise AttribevalError("Expected at least one method with one score. Received none.")

    def estimate(weights: np.ndarray) -> np.ndarray:
        return np.stack([metric.estimate(have, weights) for _, metric, have in cells], axis=1)

    n = len(next(iter(scored[0].arrays.values())))
    values = estimate(np.ones((1, n)))[0]
    estimates = bootstrap_estimates(estimate, n, resamples=resamples, seed=seed)
    rows, arrays = [], {}
    for (one, metric, have), value, resampled in zip(cells, values, estimates.T, strict=True):
        low, high = percentile_interval(resampled)
        threshold = metric.chosen(have) if metric.chosen and "fixed_box" not in one.arrays else np.nan
        used = int((have["folds"] >= 0).sum()) if "folds" in metric.needs else n
        seconds = one.seconds_per_image
        rows.append((one.name, one.kind, metric.name, float(value), low, high, threshold, used, seconds))
        arrays[f"{one.name}/{metric.name}/resamples"] = resampled.astype(np.float32)
    order = {metric.name: (place, 1 if metric.lower else -1) for place, metric in enumerate(metrics)}
    rows.sort(key=lambda row: (order[row[2]][0], order[row[2]][1] * row[3]))
    for one in scored:
        arrays |= _curves(one)
    table = pd.DataFrame(rows, columns=COLUMNS)
    result = Result("wsol", table, settings, [], arrays)
    result.summary.extend(_sentences(result, metrics))
    return result


def _curves(one: Scored) -> dict[str, np.ndarray]:
    """What plots draw: accuracies at every threshold, precision over recall."""
    arrays = {}
    if "hits" in one.arrays:
        arrays[f"{one.name}/hits"] = one.arrays["hits"]
    if "fixed_box" not in one.arrays:
        if "hits" in one.arrays:
            arrays[f"{one.name}/curve"] = one.arrays["hits"].mean(0)
        if "hits_v2" in one.arrays:
            arrays[f"{one.name}/curve V2"] = one.arrays["hits_v2"].mean(0)
        if "levels" in one.arrays:
            arrays[f"{one.name}/curve mask IoU"] = mask_ious(one.arrays["levels"]).mean(0)
        if "histograms" in one.arrays:
            _, precision, recall = pxap(one.arrays["histograms"].sum(0))
            arrays[f"{one.name}/precision"], arrays[f"{one.name}/recall"] = precision, recall
    return arrays


def compare(result: Result, metric: str = "MaxBoxAcc", against: Sequence[str] | None = None) -> pd.DataFrame:
    """Paired differences between the methods of a result, over the same bootstrap samples of images.

    Args:
        result: What `evaluate` or `Evaluator.wsol` returned (or loaded from its folder).
        metric: A metric of its table.
        against: Names of rows that every method is compared with; None compares every pair.

    Returns:
        DataFrame with columns method, other, metric, difference (method − other), low, high (95 % interval), p (two-
        sided, see `bootstrap_p_value`) and p_holm (corrected for all rows of this table, Holm 1979).

    Raises:
        AttribevalError: If the metric or a name is not in the result.
    """
    import pandas as pd

    values = {row.method: row.value for row in result.table.itertuples() if row.metric == metric}
    if not values:
        raise unknown("metric of this result", metric, set(result.table["metric"]))
    for name in against or ():
        if name not in values:
            raise unknown(f"row of {metric}", name, values)
    names = list(values)
    pairs = (
        [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
        if against is None
        else [(a, b) for a in names for b in against if a != b]
    )
    rows = []
    for a, b in pairs:
        one, other = (result.arrays[f"{name}/{metric}/resamples"].astype(np.float64) for name in (a, b))
        difference = values[a] - values[b]
        low, high = percentile_interval(one - other)
        rows.append((a, b, metric, difference, low, high, bootstrap_p_value(difference, one - other)))
    table = pd.DataFrame(rows, columns=["method", "other", "metric", "difference", "low", "high", "p"])
    return table.assign(p_holm=holm(table["p"].to_numpy()))


def _sentences(result: Result, metrics: Sequence[Metric]) -> list[str]:
    """The outcome in words; a difference is claimed only where its corrected p-value is below .05."""
    settings, table = result.settings, result.table
    first = metrics[0]
    rows = table[table["metric"] == first.name]
    methods = [row for row in rows.itertuples() if row.kind == "method"]
    controls = [name for name in CONTROLS if name in set(rows["method"])]
    sentences = []
    if methods:
        best = methods[0]
        if first.name == "MaxBoxAcc":
            sentences.append(
                f"{best.method} localises best: its box meets the object in {best.value:.1%} of {best.images} images "
                f"(95 % interval {best.low:.1%} to {best.high:.1%})."
            )
        else:
            sentences.append(
                f"{best.method} is best by {first.name}: {best.value:.3f} on {best.images} images (95 % interval "
                f"{best.low:.3f} to {best.high:.3f})."
            )
    if methods and controls:
        pairs = compare(result, first.name, controls)
        pairs = pairs[pairs["method"].isin([row.method for row in methods])]
        pairs = pairs.assign(corrected=holm(pairs["p"].to_numpy()))
        shown = {(row.method, row.other): row for row in pairs.itertuples()}
        for row in methods:
            verdicts = []
            for control in controls:
                pair = shown[row.method, control]
                clear = pair.corrected < 0.05
                better = (pair.difference > 0) != first.lower
                verdict = "not distinguishable from" if not clear else "better than" if better else "worse than"
                verdicts.append(f"{verdict} {control} ({pair.low:+.1%} to {pair.high:+.1%})")
            sentences.append(f"{row.method} is {' and '.join(verdicts)}, in points of {first.name}.")
        if len(pairs) > 1:
            sentences.append(
                f"These verdicts are corrected for {len(pairs)} comparisons (Holm), their intervals are not."
            )
    if "top1_accuracy" in settings:
        sentences.append(
            f"The model {settings['model']} is right on {settings['top1_accuracy']:.1%} of the images "
            f"(top-5: {settings['top5_accuracy']:.1%})."
        )
    skipped = settings.get("skipped", [])
    if skipped:
        some = ", ".join(skipped[:5]) + (", …" if len(skipped) > 5 else "")
        sentences.append(f"Left out, for want of a box: {len(skipped)} of the images ({some}).")
    names = {metric.name for metric in metrics}
    if "MaxBoxAcc" in names:
        honest = " BoxAcc is the same at thresholds chosen on other images." if "BoxAcc" in set(table["metric"]) else ""
        sentences.append(
            "Each method's threshold is the best one for these very images, as MaxBoxAcc is defined." + honest
        )
    if (table["seconds_per_image"] > 0).any():
        sentences.append("The time of work that methods share counts for the first of them.")
    return sentences


def pack(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Eight bools in a byte, for arrays (N, …) of hits; the name keeps the shape."""
    packed = {}
    for name, values in arrays.items():
        if values.dtype == bool and values.ndim > 1:
            shape = "x".join(map(str, values.shape[1:]))
            packed[f"{name}|{shape}"] = np.packbits(values.reshape(len(values), -1), axis=1)
        else:
            packed[name] = values
    return packed


class Unpacked(Mapping):
    """What `pack` was given, unpacked when it is asked for, so that many methods on many images fit in memory."""

    def __init__(self, packed: Mapping[str, np.ndarray]):
        self._packed = {name.partition("|")[0]: (name.partition("|")[2], values) for name, values in packed.items()}

    def __getitem__(self, name: str) -> np.ndarray:
        shape, values = self._packed[name]
        if not shape:
            return values
        sides = tuple(map(int, shape.split("x")))
        return np.unpackbits(values, axis=1, count=int(np.prod(sides))).view(bool).reshape(-1, *sides)

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)


def known(shared: Mapping[str, np.ndarray]) -> set[str]:
    """Which of the arrays that belong to images there are."""
    return set(shared) & PER_IMAGE
