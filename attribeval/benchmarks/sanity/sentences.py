"""A sanity check in words: a difference is claimed only where its p-value, corrected over the methods, is below .05."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.metrics.sanity.similarity import SIMILARITIES
from attribeval.results.comparisons import all_pairs
from attribeval.results.numbers import NUMBER, joined, number, p_words
from attribeval.results.over_images import FEW, cannot_show, gains, sign_flip_test
from attribeval.runs import failures

if TYPE_CHECKING:
    import pandas as pd

_ALPHA = 0.05
Arrays = Mapping[str, np.ndarray]


def sentences(table: pd.DataFrame, arrays: Arrays, settings: Mapping[str, Any]) -> list[str]:
    """Which methods do not notice that the model is random, which do, and which could not be asked.

    Arrays are "<method>|<mode>|<similarity>", (S, N).
    """
    metric, images = settings["similarities"][0], settings["images"]
    found = []
    if "cascading" in settings["modes"]:
        steps = table["step"][table["mode"] == "cascading"].max()
        found += against_noise(table, arrays, "cascading", metric, f"With all {steps} layers random", images)
        for name in settings["similarities"]:
            if SIMILARITIES[name].zero:  # half of the way to noise means little where flat maps are alike anyway
                found += _of_stubborn_methods(table, arrays, name, images)
    if "independent" in settings["modes"]:
        found += _of_single_layers(table, arrays, metric)
    found += _of_constant_maps(table, metric, images)
    found += failures.sentences(table)
    if settings["left_out"]:
        names = ", ".join(SIMILARITIES[name].title for name in settings["left_out"])
        found.append(f"Not measured, as the maps are too small: {names}.")
    if settings["unchanged_layers"]:
        found.append(
            f"{len(settings['unchanged_layers'])} layers have weights but no initialiser and nothing to train, and "
            f"stayed as they are: {', '.join(settings['unchanged_layers'])}."
        )
    if images < FEW:
        few = "1 image is" if images == 1 else f"{images} images are"
        found.append(f"{few} few: intervals may be too narrow, and only large differences can show.")
    return found


def against_noise(table: pd.DataFrame, arrays: Arrays, mode: str, metric: str, when: str, images: int) -> list[str]:
    """The methods at the last step beside noise that is drawn anew, image by image; corrected over methods (Holm).

    A method with a number for less than half of the run's images is not judged. The sentences begin with `when`.
    """
    if f"random|{mode}|{metric}" not in arrays:  # the control failed
        return []
    rows = table[(table["mode"] == mode) & (table["metric"] == metric)]
    rows = rows[(rows["step"] == rows["step"].max()) & (rows["kind"] == "method") & (2 * rows["images"] > images)]
    noise = np.asarray(arrays[f"random|{mode}|{metric}"][-1], np.float64)
    found = gains({method: arrays[f"{method}|{mode}|{metric}"][-1] for method in rows["method"]}, noise)
    gain, p = np.array(list(found.values())).reshape(-1, 2).T
    tests = int(np.isfinite(p).sum())
    corrected = f", p corrected for {tests} methods" if tests > 1 else ""
    title = SIMILARITIES[metric].title
    said = []
    for chosen, text in (
        ((p < _ALPHA) & (gain > 0), f"still more alike than noise ({title}{corrected})"),
        ((p < _ALPHA) & (gain < 0), f"less alike than noise ({title}{corrected})"),
        (p >= _ALPHA, f"not told from noise ({title}{corrected})"),
        (np.isnan(p), f"not tested against noise, with fewer than 2 images ({title})"),
    ):
        if chosen.any():
            said.append(f"{when} {text}: {_with_numbers(rows[chosen])}.")
    return said + cannot_show(int(rows["images"].max()) if len(rows) else 0, tests)


def _of_stubborn_methods(table: pd.DataFrame, arrays: Arrays, metric: str, images: int) -> list[str]:
    """Methods that stay nearer to Sobel than to noise for half of the layers, or to the end.

    Layers are tested in their order until one fails, which needs no correction within a method; Bonferroni's over
    methods.
    """
    rows = table[(table["mode"] == "cascading") & (table["metric"] == metric) & (table["kind"] == "method")]
    if any(f"{control}|cascading|{metric}" not in arrays for control in ("random", "sobel")):  # a control failed
        return []
    rows = rows[rows["method"].map(lambda name: f"{name}|cascading|{metric}" in arrays).astype(bool)]
    ends = [np.asarray(arrays[f"{control}|cascading|{metric}"][-1], np.float64) for control in ("random", "sobel")]
    half, total, methods = (ends[0] + ends[1]) / 2, rows["step"].max(), rows["method"].nunique()
    late = []
    for method, own in rows.groupby("method", sort=False):
        own = own.sort_values("step")
        steps = 0
        for values in np.asarray(arrays[f"{method}|cascading|{metric}"], np.float64):
            above = (values - half)[np.isfinite(values - half)]
            if not (len(above) and above.mean() > 0 and methods * sign_flip_test(values, half) < _ALPHA):
                break
            steps += 1
        if steps and 2 * own["step"].iloc[steps - 1] >= total and (2 * own["images"] > images).all():
            last = own.iloc[steps - 1]
            until = "to the end" if steps == len(own) else f"until {last['layer']}, {last['step']} of {total}"
            late.append((steps, f"{method} ({until})"))
    if not late:
        return []
    names = joined([text for _, text in sorted(late, key=lambda one: -one[0])])
    return [
        f"Nearer to Sobel, which looks at no model, than to noise, though most layers are random "
        f"({SIMILARITIES[metric].title}): {names}."
    ]


def _of_single_layers(table: pd.DataFrame, arrays: Arrays, metric: str) -> list[str]:
    """Who reacts most and least, and whether these two are told apart, corrected for every pair of methods."""
    rows = table[(table["mode"] == "independent") & (table["metric"] == metric)]
    rows = rows[~rows["method"].isin(failures.failed_rows(rows)["method"])]  # means of all layers, or of none
    means = rows[rows["kind"] == "method"].groupby("method", sort=False)["value"].mean().dropna().sort_values()
    if means.empty or rows["step"].nunique() < 2:
        return []
    title = SIMILARITIES[metric].title
    if len(means) == 1 or rows["images"].max() < 2:
        untested = "; not tested, with fewer than 2 images" if len(means) > 1 else ""
        named = joined([f"{name} {number(mean)}" for name, mean in means.items()])
        return [f"To one random layer at a time: {named} on average ({title}{untested})."]
    if np.isclose(means.iloc[0], means.iloc[-1], rtol=1e-9, atol=1e-12):
        return [
            f"To one random layer at a time, all methods react alike ({number(means.iloc[0])} on average; {title})."
        ]
    # NaN where one layer is: means over other layers are no comparison.
    of_images = {name: np.asarray(arrays[f"{name}|independent|{metric}"], np.float64).mean(0) for name in means.index}
    most, least = means.index[0], means.index[-1]
    p_ends, pairs = all_pairs(of_images, sign_flip_test)[most, least], len(means) * (len(means) - 1) // 2
    if np.isnan(p_ends):
        verdict = "not tested, with fewer than 2 images"
    else:
        verdict = f"{p_words(p_ends)}, corrected for {pairs} pairs" if pairs > 1 else p_words(p_ends)
        verdict = verdict if p_ends < _ALPHA else f"no difference shown, {verdict}"
    return [
        f"To one random layer at a time, {most} reacts most ({number(means.iloc[0])} on average), {least} least "
        f"({number(means.iloc[-1])}; {verdict}; {title})."
    ]


def _of_constant_maps(table: pd.DataFrame, metric: str, images: int) -> list[str]:
    rows = table[(table["metric"] == metric) & (table[failures.COLUMN] == "")]
    least = rows.groupby("method", sort=False)["images"].min()
    least = least[least < images].sort_values(kind="stable")
    if least.empty:
        return []
    names = ", ".join(f"{method} {number}" for method, number in least.items())
    return [
        f"A constant map (of the trained or of a random model) can be compared with none, and is left out. Of {images} "
        f"images there remained, at the layer with the fewest: {names}."
    ]


def _with_numbers(rows: pd.DataFrame) -> str:
    rows = rows.sort_values("value", ascending=False)
    return joined([f"{r.method} {number(r.value)} ({NUMBER.ends(r.low, r.high)})" for r in rows.itertuples()])
