"""A WSOL result in words: a difference is claimed only where its corrected p-value is below .05."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.benchmarks.wsol.metrics import METRICS, Metric
from attribeval.results.comparisons import holm
from attribeval.results.numbers import SHARE, gain_text, joined, number, share
from attribeval.results.over_images import FEW, cannot_show, difference_interval, not_told_from, sign_flip_test
from attribeval.runs import failures

if TYPE_CHECKING:
    import pandas as pd

CONTROLS = ("random", "sobel", "centred box")
_ALPHA = 0.05
_UNTESTED = "not tested against"
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
    items = _items(settings)
    rows = table[(table["metric"] == first.name) & table["value"].notna()]
    methods = list(rows[rows["kind"] == "method"].itertuples())
    controls = [name for name in CONTROLS if name in set(rows["method"])]
    said = _best(methods, first, arrays, items) if methods else []
    if methods and controls:
        said += _against(methods, controls, first, arrays, items)
    fewest = int(rows["images"].min()) if len(rows) else 0
    if fewest < FEW:
        few = f"{items[:-1]} is" if fewest == 1 else f"{items} are"
        said.append(
            f"{fewest} {few} few: intervals of scores that are not hits may be too narrow, "
            "and only large differences can show."
        )
    said += failures.sentences(table)
    said += _without_score(table[table[failures.COLUMN] == ""], settings["images"], items)
    if items != "images":
        said.append(
            f"An image of several classes counts once for each: {settings['images']} {items} of "
            f"{settings['photographs']} image{'' if settings['photographs'] == 1 else 's'}."
        )
    if "top1_accuracy" in settings:
        five = f" (top-5: {share(settings['top5_accuracy'])})" if "top5_accuracy" in settings else ""
        right = share(settings["top1_accuracy"])
        said.append(f"The model {settings['model']} is right on {right} of the {items}{five}.")
    skipped = settings.get("skipped", [])
    if skipped:
        of_all = f"{len(skipped)} of {settings['images'] + len(skipped)} {items}"
        said.append(
            f"Left out, without a box or a pixel of the object where it is scored: {of_all} ({_names(skipped)})."
        )
    if "MaxBoxAcc" in {metric.name for metric in metrics}:
        honest = " BoxAcc is the same at thresholds chosen on other images." if "BoxAcc" in set(table["metric"]) else ""
        said.append("Each method's threshold is the best one for these very images, as MaxBoxAcc is defined." + honest)
    if (table["seconds_per_image"] > 0).any():
        said.append("The time of work that methods share counts for the first of them.")
    return said


def _items(settings: Mapping[str, Any]) -> str:
    """What was scored, in words."""
    return "image–class pairs" if settings.get("photographs", settings["images"]) < settings["images"] else "images"


def _best(methods: Sequence[Any], metric: Metric, arrays: Mapping[str, np.ndarray], items: str) -> list[str]:
    """The best method, those that share its value, and those that cannot be told from it; of one image nothing."""
    best = methods[0]
    if max(row.images for row in methods) < 2:
        return [f"One {items[:-1]} shows no difference between methods: none is called best, and nothing is tested."]
    ties = [row.method for row in methods if np.isclose(row.value, best.value, rtol=1e-9, atol=0)]
    who = joined(ties)
    if metric.name == "MaxBoxAcc":
        verb = "localises best: its box meets" if len(ties) == 1 else "localise equally well, best: their boxes meet"
        line = f"{who} {verb} the object in {share(best.value)} of {best.images} {items}"
    else:
        verb = f"is best by {metric.name}" if len(ties) == 1 else f"are equal and best by {metric.name}"
        line = f"{who} {verb}: {metric.unit.text(best.value)} on {best.images} {items}"
    if np.isfinite(best.low):
        line += f" (95 % interval {metric.unit.ends(best.low, best.high)})"
    others = [row.method for row in methods if row.method not in ties]
    if not others:
        return [f"{line}."]
    scores = {row.method: arrays[f"{row.method}/{metric.name}/images"] for row in methods}
    alike = [name for name in not_told_from(best.method, scores) if name in others]
    if not alike:
        return [f"{line}; these {items} tell it from every other method."]
    return [
        f"{line}. Not told apart from the best by these {items}: {_names(alike)} "
        f"(p corrected for {len(methods) * (len(methods) - 1) // 2} pairs of methods)."
    ]


def _against(
    methods: Sequence[Any], controls: Sequence[str], metric: Metric, arrays: Mapping[str, np.ndarray], items: str
) -> list[str]:
    """The methods beside what knows nothing of the model: a sentence for all with the same verdicts."""
    pairs = paired_differences(arrays, metric.name, [(row.method, name) for row in methods for name in controls])
    shown = {(row.method, row.other): row for row in pairs.itertuples()}
    groups: dict[tuple[str, ...], list[str]] = {}
    for row in methods:
        verdicts = tuple(_verdict(shown[row.method, control], metric) for control in controls)
        groups.setdefault(verdicts, []).append(row.method)
    said = [_of_group(names, verdicts, controls, shown, metric) for verdicts, names in groups.items()]
    tests = int(pairs["p"].notna().sum())
    if tests > 1:
        said.append(
            f"These verdicts are corrected for {tests} comparisons (Holm); summary.compare lists them with intervals."
        )
    images = max(int(row.images) for row in methods)
    return said + cannot_show(images, tests, items)


def _verdict(pair: Any, metric: Metric) -> str:
    if np.isnan(pair.p_holm):
        return _UNTESTED
    if pair.p_holm >= _ALPHA:
        return "not distinguishable from"
    return "better than" if (pair.difference > 0) != metric.lower else "worse than"


def _of_group(
    names: Sequence[str], verdicts: Sequence[str], controls: Sequence[str], pairs: Mapping[Any, Any], metric: Metric
) -> str:
    """Methods whose verdicts are the same; by how much, where a difference was shown."""
    parts = []
    for verdict in dict.fromkeys(verdicts):
        others = [control for control, of_it in zip(controls, verdicts, strict=True) if of_it == verdict]
        part = f"{verdict} {joined(others)}"
        if verdict in ("better than", "worse than"):
            sizes = [abs(pairs[name, other].difference) for name in names for other in others]
            part += f" (by {_by(min(sizes), max(sizes), metric)})"
        parts.append(part + (" (fewer than 2 images)" if verdict == _UNTESTED else ""))
    return f"{joined(names)} {'is' if len(names) == 1 else 'are'} {joined(parts)}."


def _by(least: float, most: float, metric: Metric) -> str:
    if metric.unit is not SHARE:
        return number(least) if number(least) == number(most) else f"{number(least)} to {number(most)}"
    ends = list(dict.fromkeys(gain_text(size).lstrip("+").removesuffix(" points") for size in (least, most)))
    return f"{' to '.join(ends)} points of {metric.name}"


def _without_score(table: pd.DataFrame, images: int, items: str) -> list[str]:
    """Scores that some image lacks; a share of the images that only chooses thresholds lacks none."""
    lacking = {}
    held_out = [name for name, metric in METRICS.items() if "folds" in metric.needs]
    for metric, rows in table[~table["metric"].isin(held_out)].groupby("metric", sort=False):
        fewest = int(rows["images"].min())
        if fewest < images:
            lacking[metric] = images - fewest
    if not lacking:
        return []
    listed = ", ".join(f"{metric} ({count} of {images} {items})" for metric, count in lacking.items())
    return [f"{items.capitalize()} without a score, as one whose mask leaves no background, are left out: {listed}."]


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
