"""The outcome of a ROAR or KAR run in words, most important first."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.benchmarks.roar.premise import power, premise
from attribeval.benchmarks.roar.verdict import areas_without_retraining
from attribeval.metrics.correlation import spearman
from attribeval.results.comparisons import holm, letters, paired_test, t_interval
from attribeval.results.numbers import gain_text, number, p_words, points_text, share

if TYPE_CHECKING:
    import pandas as pd

_BETTER = "better than chance"
TITLES = {"remove": "Remove and retrain", "keep": "Keep and retrain"}
_EDGES = "sobel"


def sentences(
    areas: pd.DataFrame,
    curves: pd.DataFrame,
    cells: pd.DataFrame,
    *,
    leaked: Collection[str] = (),
    fill: Any = None,
    planned: Collection[str] = (),
    level: float = 0.95,
) -> list[str]:
    """Say it in words, of `verdict.areas`, `verdict.curves` and `cells.cells_table` of the same records.

    Why the answer says little, if it does; per mode a sentence for the methods of each verdict, then notes: how large
    an effect the repeats could have shown, what retraining changes, the order of methods included, class leakage of the
    masks (`leaked`), the effect of a max filter, what is not trained yet of the `planned` cells.
    """
    said = premise(cells)
    for mode in TITLES:
        if (areas["mode"] == mode).any():
            said += _verdicts(areas[areas["mode"] == mode], mode)
    if areas["kind"].isin(("method", "control")).any():
        said.append(
            "A gain is the area between the curves of a method and of random: how many points of accuracy more the "
            "retrained model loses (remove) or saves (keep) than with random, on average over all fractions. p and "
            "verdict are Holm-corrected over the methods of a mode, intervals are not."
        )
    said += power(areas, level)
    said += _retraining(curves, cells, level) + _same_order(areas, cells, fill)
    said += _recursive(areas, level)
    said += leaked
    said += _max_filter(cells, level)
    return said + _incomplete(cells, planned)


def _verdicts(areas: pd.DataFrame, mode: str) -> list[str]:
    """A sentence for the methods of each verdict, with their gains; intervals and p are in the table."""
    rows = areas[areas["kind"].isin(("method", "control")) & (areas["estimator"] != "random")]
    said = []
    if not (rows["verdict"] == _BETTER).any():
        nobody = "no method is better than chance" if len(rows) else "no method was trained"
        said.append(f"{TITLES[mode]}: {nobody}.")
    for verdict in sorted(dict.fromkeys(rows["verdict"]), key=lambda one: one != _BETTER):
        names = [_with_gain(row) for row in rows[rows["verdict"] == verdict].itertuples()]
        said.append(f"{TITLES[mode]}, {verdict}: {', '.join(names)}.")
    return said + _against_edges(rows, mode)


def _against_edges(rows: pd.DataFrame, mode: str) -> list[str]:
    """Which methods that beat random are not shown to beat Sobel edges, which know nothing of the model either."""
    edges = rows[rows["estimator"] == _EDGES]
    methods = rows[(rows["kind"] == "method") & (rows["verdict"] == _BETTER)]
    if edges.empty or methods.empty:
        return []
    theirs, area = letters(edges["group"].iloc[0]), edges["area"].iloc[0]
    no_better = [row.estimator for row in methods.itertuples() if letters(row.group) & theirs or not row.area > area]
    if not no_better:
        return [f"{TITLES[mode]}: all methods better than chance are better than Sobel edges, too."]
    return [
        f"{TITLES[mode]}, better than chance, but not shown to be better than Sobel edges, which know no model: "
        f"{', '.join(no_better)}."
    ]


def _with_gain(row: Any) -> str:
    control = ", a control" if row.kind == "control" else ""
    if row.repeats == 0:
        return f"{row.estimator} (no repeat in which it and random have every fraction{control})"
    return f"{row.estimator} ({gain_text(row.area)}{control})"


def _recursive(areas: pd.DataFrame, level: float) -> list[str]:
    """Importance computed anew after each fraction: few rows, of one repeat or two, so each with its interval."""
    parts = []
    for row in areas[areas["kind"] == "recursive"].itertuples():
        part = f"{row.estimator} is {row.verdict} ({row.mode}: "
        if row.repeats == 0:
            part += "no repeat in which it and random have every fraction"
        else:
            part += f"gain {gain_text(row.area)}"
            if np.isfinite(row.low):
                part += f", {share(level, 0)} interval {points_text(row.low, row.high)}, {p_words(row.p_holm)}"
            part += f", {_count(row.repeats, 'repeat')}"
        parts.append(part + ")")
    return (
        [f"Importance computed anew on the retrained model after each fraction: {'; '.join(parts)}."] if parts else []
    )


def _retraining(curves: pd.DataFrame, cells: pd.DataFrame, level: float) -> list[str]:
    """The paper's section 4.3.1: how much of the loss without retraining is the modification's own."""
    whole = curves["accuracy"][curves["kind"] == "unmodified"]
    said = [
        f"Trained on unmodified images, the model is right on {share(accuracy)} of the test images."
        for accuracy in whole
    ]
    done = cells[(cells["status"] == "done") & (cells["estimator"] == "random") & (cells["mode"] == "remove")]
    done = done[done["without_retraining"].notna() & done["kind"].isin(("method", "control")) & (done["fraction"] < 1)]
    if not len(done):
        return said
    last = done[done["fraction"] == done["fraction"].max()]
    retrained, untrained = last["accuracy"].to_numpy(), last["without_retraining"].to_numpy()
    sentence = (
        f"With {share(last['fraction'].iloc[0], 0)} removed at random, a retrained model is right on "
        f"{share(retrained.mean())} "
        f"of the test images, the model that was not retrained on {share(untrained.mean())}"
    )
    p = paired_test(retrained, untrained)
    if not np.isfinite(p):
        sentence += " (one repeat: not tested)"
    elif p > 1 - level:
        sentence += f": no difference shown ({p_words(p)})"
    elif untrained.mean() < retrained.mean():
        sentence += (
            f": the difference is due to images of a kind it never saw, not to information that is gone ({p_words(p)})"
        )
    else:
        sentence += f" ({p_words(p)})"
    return [*said, sentence + "."]


def _same_order(areas: pd.DataFrame, cells: pd.DataFrame, fill: Any) -> list[str]:
    """Whether methods stand in another order without retraining (Rong et al. 2022), by their gains over random."""
    untrained = areas_without_retraining(cells)
    said = []
    for mode, title in TITLES.items():
        of_mode = areas[(areas["mode"] == mode) & areas["kind"].isin(("method", "control"))]
        both = of_mode.merge(untrained, on=["kind", "estimator", "mode"], suffixes=("", "_untrained"))
        both = both[(both["estimator"] != "random") & both["area"].notna() & both["area_untrained"].notna()]
        rho = spearman(both["area"].to_numpy(), both["area_untrained"].to_numpy()) if len(both) > 2 else np.nan
        if np.isfinite(rho):
            named = ", which is ROAD where they are not and ROAD-retrained where they are" if fill == "linear" else ""
            said.append(
                f"{title}: gains of {len(both)} methods and controls by models that are retrained, and by the "
                f"model that is not{named}, have Spearman's ρ = {number(float(rho))}."
            )
    return said


def _max_filter(cells: pd.DataFrame, level: float) -> list[str]:
    """The change by the filter, within a repeat, on average over the fractions that both have."""
    done = cells[cells["status"] == "done"]
    said = []
    for mode, of_mode in done[done["kind"] == "max_filter"].groupby("mode"):
        plain = done[(done["mode"] == mode) & done["kind"].isin(("method", "control"))]
        changes = {}
        for name, part in of_mode.groupby("estimator"):
            base = re.sub(r"^max\d+\((.*)\)$", r"\1", str(name))
            both = part.merge(plain[plain["estimator"] == base], on=["repeat", "fraction"], suffixes=("", "_plain"))
            gain = (both["accuracy"] - both["accuracy_plain"]) * (1 if mode == "keep" else -1)
            if len(both):
                changes[name] = gain.groupby(both["repeat"]).mean().to_numpy()
        p_values = holm(np.array([paired_test(gain, np.zeros(len(gain))) for gain in changes.values()]))
        parts = []
        for (name, gain), p in zip(changes.items(), p_values, strict=True):
            low, high = t_interval(gain, level)
            sure = (
                f"{share(level, 0)} interval {points_text(low, high)}, {p_words(p)}" if np.isfinite(p) else "not tested"
            )
            parts.append(f"{name} {gain_text(gain.mean())} ({sure})")
        if parts:
            said.append(
                f"Blur artefact ({mode}): a max filter knows nothing of the model, yet it changes a map's gain, on "
                f"average over the fractions trained: {'; '.join(parts)}. Differences of this size between methods may "
                "be differences of blur."
            )
    return said


def _incomplete(cells: pd.DataFrame, planned: Collection[str]) -> list[str]:
    said = []
    missing = len(set(planned) - set(cells["name"]))
    if missing:
        said.append(
            f"{missing} of {len(set(planned))} cells are not trained yet: this is an answer from part of the run."
        )
    done = cells[(cells["status"] == "done") & (cells["kind"] != "unmodified")]
    if len(done) and done["repeat"].nunique() == 1:
        said.append("There is one repeat: without a second training nothing can be said about chance variation.")
    return said


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"
