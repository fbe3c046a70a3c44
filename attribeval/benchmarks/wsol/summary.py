"""From small arrays per image to one table: values, intervals, thresholds, comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.benchmarks.wsol.metrics import Metric
from attribeval.benchmarks.wsol.sentences import paired_differences, sentences
from attribeval.errors import AttribevalError, unknown
from attribeval.metrics.localisation.pixels import mask_ious, pxap
from attribeval.results.over_images import mean_interval
from attribeval.results.result import Result
from attribeval.runs import failures

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["method", "kind", "metric", "value", "low", "high", "threshold", "images", "seconds_per_image",
           failures.COLUMN]  # fmt: skip


@dataclass(frozen=True)
class Scored:
    """The arrays per image of one method.

    Attributes:
        name: Of the method.
        kind: "method", "control" or "baseline".
        arrays: By name, first axis the images that have them.
        seconds_per_image: Of explaining.
        there: Which images have an array, bool (N,), by its name, where some lack it because something failed.
        errors: Why arrays are missing, of all or of some images, by name.
    """

    name: str
    kind: str
    arrays: Mapping[str, np.ndarray]
    seconds_per_image: float = 0.0
    there: Mapping[str, np.ndarray] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)

    def score(self, metric: Metric, shared: Mapping[str, np.ndarray]) -> tuple[np.ndarray, float, str]:
        """What each image contributes, NaN where that failed; the threshold chosen; and why something is missing."""
        n = len(shared["labels"])
        mine = [need for need in metric.needs if need not in shared]
        error = next((self.errors[need] for need in mine if need in self.errors), "")
        some = np.ones(n, bool)
        for need in mine:
            some &= self.there.get(need, True) if need in self.arrays else False
        scores = np.full(n, np.nan)
        if not some.any():
            return scores, np.nan, error
        have = {name: values[some] for name, values in shared.items()}
        have |= {need: self.arrays[need][some[self.there.get(need, np.ones(n, bool))]] for need in mine}
        scores[some] = metric.images(have)
        return scores, metric.chosen(have) if metric.chosen and "fixed_box" not in self.arrays else np.nan, error


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
    strict: bool = False,
) -> Result:
    """The table of some methods' scores: one row per metric and method, the best of each metric first.

    Args:
        scored: What `measure` returned, by method.
        shared: Arrays that belong to the images: "labels", "top1", "top5", "folds", as far as they are known.
        metrics: What to score; a method without the arrays for one has no row of it.
        settings: Kept with the result.
        strict: Whether a metric that fails is an error, not a row that says why.

    Returns:
        See `evaluate`.
    """
    import pandas as pd

    cells = [
        (one, metric)
        for metric in metrics
        for one in scored
        if all(need in shared or need in one.arrays or need in one.errors for need in metric.needs)
    ]
    if not cells:
        raise AttribevalError("Expected at least one method with one score. Received none.")

    rows, arrays = [], {}
    for one, metric in cells:
        try:
            images, threshold, error = one.score(metric, shared)
        except Exception as wrong:
            images, threshold = np.full(len(shared["labels"]), np.nan), np.nan
            error = failures.reason_of(wrong, strict)
        known = images[~np.isnan(images)]
        value = float(known.mean()) if known.size else np.nan
        low, high = mean_interval(images, bounds=None if metric.lower else (0.0, 1.0))
        seconds = one.seconds_per_image
        rows.append((one.name, one.kind, metric.name, value, low, high, threshold, known.size, seconds, error))
        if known.size or not error:
            arrays[f"{one.name}/{metric.name}/images"] = images
    order = {metric.name: (place, 1 if metric.lower else -1) for place, metric in enumerate(metrics)}
    rows.sort(key=lambda row: (order[row[2]][0], np.isnan(row[3]), order[row[2]][1] * row[3]))
    for one in scored:
        arrays |= _curves(one)
    table = pd.DataFrame(rows, columns=COLUMNS)
    return Result("wsol", table, settings, sentences(table, arrays, settings, metrics), arrays)


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
    """Paired differences between the methods of a result, over the images that both score.

    Args:
        result: What `evaluate` or `Evaluator.wsol` returned (or loaded from its folder).
        metric: A metric of its table.
        against: Names of rows that every method is compared with; None compares every pair.

    Returns:
        DataFrame with columns method, other, metric, difference (mean of method − other), low, high (95 % interval,
        see `over_images.difference_interval`), p (two-sided, see `over_images.sign_flip_test`; NaN, not tested, for
        fewer than two images) and p_holm (corrected for all rows of this table, Holm 1979).

    Raises:
        AttribevalError: If the metric or a name is not in the result.
    """
    names = list(result.table["method"][result.table["metric"] == metric])
    if not names:
        raise unknown("metric of this result", metric, set(result.table["metric"]))
    for name in against or ():
        if name not in names:
            raise unknown(f"row of {metric}", name, names)
    if f"{names[0]}/{metric}/images" not in result.arrays:
        raise AttribevalError(
            f"Expected the scores of {metric} by image. Received a result of an older version, without them: run again."
        )
    pairs = list(combinations(names, 2)) if against is None else [(a, b) for a in names for b in against if a != b]
    return paired_differences(result.arrays, metric, pairs)


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
