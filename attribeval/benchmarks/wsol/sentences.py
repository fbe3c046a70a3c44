"""A WSOL result in words: a difference is claimed only where its corrected p-value is below .05."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.benchmarks.wsol.metrics import METRICS, Metric
from attribeval.results.comparisons import holm
from attribeval.results.over_images import FEW, difference_interval, sign_flip_test

if TYPE_CHECKING:
    import pandas as pd

CONTROLS = ("random", "sobel", "centred box")
_ALPHA = 0.05
_NAMED = 5  # names in a row before "and n more"


def paired_differences(arrays: Mapping[str, np.ndarray], metric: str, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """The rows of `summary.compare`.

    Args:
        arrays: With "<method>/<metric>/images", what each image contributes to the score, (N,).
        metric: Its name.
        pairs: Names of methods.
    """
    import pandas as pd

    rows = []
    for a, b in pairs:
        one, other = (arrays[f"{name}/{metric}/images"] for name in (a, b))
        differences = (one - other)[~np.isnan(one - other)]
        difference = float(differences.mean()) if differences.size else np.nan
        rows.append((a, b, metric, difference, *difference_interval(one, other), sign_flip_test(one, other)))
    table = pd.DataFrame(rows, columns=["method", "other", "metric", "difference", "low", "high", "p"])
    return table.assign(p_holm=holm(table["p"].to_numpy(np.float64)))


def sentences(
    table: pd.DataFrame, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], metrics: Sequence[Metric]
) -> list[str]:
    """The outcome, most important first; the first metric is the one that is spoken of.

    Args:
        table: Of the result, best first within a metric.
        arrays: As for `paired_differences`.
        settings: Of the result.
        metrics: That were scored.
    """
    first = metrics[0]
    rows = table[(table["metric"] == first.name) & table["value"].notna()]
    methods = list(rows[rows["kind"] == "method"].itertuples())
    controls = [name for name in CONTROLS if name in set(rows["method"])]
    said = _best(methods, first, arrays) if methods else []
    if methods and controls:
        said += _against(methods, controls, first, arrays)
    fewest = int(rows["images"].min()) if len(rows) else 0
    if fewest < FEW:
        said.append(
            f"{fewest} {'image is' if fewest == 1 else 'images are'} few: intervals of scores that are not hits may be "
            "too narrow, and only large differences can show."
        )
    said += _without_score(table, settings["images"])
    if "top1_accuracy" in settings:
        five = f" (top-5: {settings['top5_accuracy']:.1%})" if "top5_accuracy" in settings else ""
        said.append(f"The model {settings['model']} is right on {settings['top1_accuracy']:.1%} of the images{five}.")
    skipped = settings.get("skipped", [])
    if skipped:
        said.append(f"Left out, for want of a box: {len(skipped)} of the images ({_names(skipped)}).")
    if "MaxBoxAcc" in {metric.name for metric in metrics}:
        honest = " BoxAcc is the same at thresholds chosen on other images." if "BoxAcc" in set(table["metric"]) else ""
        said.append("Each method's threshold is the best one for these very images, as MaxBoxAcc is defined." + honest)
    if (table["seconds_per_image"] > 0).any():
        said.append("The time of work that methods share counts for the first of them.")
    return said


def _best(methods: Sequence[Any], metric: Metric, arrays: Mapping[str, np.ndarray]) -> list[str]:
    """The best method, those that share its value, and those that cannot be told from it."""
    best = methods[0]
    ties = [row.method for row in methods if np.isclose(row.value, best.value, rtol=1e-9, atol=0)]
    who = _listed(ties)
    if metric.name == "MaxBoxAcc":
        verb = "localises best: its box meets" if len(ties) == 1 else "localise equally well, best: their boxes meet"
        line = f"{who} {verb} the object in {best.value:.1%} of {best.images} images"
        line += f" (95 % interval {best.low:.1%} to {best.high:.1%})"
    else:
        verb = f"is best by {metric.name}" if len(ties) == 1 else f"are equal and best by {metric.name}"
        line = f"{who} {verb}: {best.value:.3f} on {best.images} images"
        if np.isfinite(best.low):
            line += f" (95 % interval {best.low:.3f} to {best.high:.3f})"
    others = [row.method for row in methods if row.method not in ties]
    if not others:
        return [f"{line}."]
    # Which one is best was seen first, so that it is corrected for every pair that could have been looked at.
    pairs = paired_differences(arrays, metric.name, list(combinations([row.method for row in methods], 2)))
    clear = {(row.method, row.other) for row in pairs.itertuples() if row.p_holm < _ALPHA}
    alike = [name for name in others if (best.method, name) not in clear]
    if not alike:
        return [f"{line}; these images tell it from every other method."]
    return [
        f"{line}. Not told apart from the best by these images: {_names(alike)} (p corrected for {len(pairs)} pairs)."
    ]


def _against(
    methods: Sequence[Any], controls: Sequence[str], metric: Metric, arrays: Mapping[str, np.ndarray]
) -> list[str]:
    """Each method beside what knows nothing of the model."""
    pairs = paired_differences(arrays, metric.name, [(row.method, name) for row in methods for name in controls])
    shown = {(row.method, row.other): row for row in pairs.itertuples()}
    said = []
    for row in methods:
        verdicts = [_verdict(shown[row.method, control], metric) for control in controls]
        said.append(f"{row.method} is {_listed(verdicts)}, in points of {metric.name}.")
    tests = int(pairs["p"].notna().sum())
    if tests > 1:
        said.append(f"These verdicts are corrected for {tests} comparisons (Holm), their intervals are not.")
    images = max(int(row.images) for row in methods)
    if images > 1 and tests * 2.0 ** (1 - images) >= _ALPHA:
        said.append(
            f"{images} images cannot show any difference at 5 %: the smallest p that they can give is "
            f"{2.0 ** (1 - images):.3g}, before it is corrected."
        )
    return said


def _verdict(pair: Any, metric: Metric) -> str:
    if np.isnan(pair.p_holm):
        return f"not tested against {pair.other} (fewer than 2 images)"
    better = (pair.difference > 0) != metric.lower
    verdict = "not distinguishable from" if pair.p_holm >= _ALPHA else "better than" if better else "worse than"
    return f"{verdict} {pair.other} ({pair.low:+.1%} to {pair.high:+.1%})"


def _without_score(table: pd.DataFrame, images: int) -> list[str]:
    """Scores that some image lacks; a share of the images that only chooses thresholds lacks none."""
    lacking = {}
    held_out = [name for name, metric in METRICS.items() if "folds" in metric.needs]
    for metric, rows in table[~table["metric"].isin(held_out)].groupby("metric", sort=False):
        fewest = int(rows["images"].min())
        if fewest < images:
            lacking[metric] = images - fewest
    if not lacking:
        return []
    listed = ", ".join(f"{metric} ({count} of {images} images)" for metric, count in lacking.items())
    return [f"Images without a score, as one whose mask leaves no background, are left out: {listed}."]


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
