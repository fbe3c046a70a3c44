"""The outcome of a ROAR or KAR run in words, most important first."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from attribeval.benchmarks.roar.premise import power, premise
from attribeval.results.comparisons import holm, paired_test, t_interval

if TYPE_CHECKING:
    import pandas as pd

_TITLES = {"remove": "Remove and retrain", "keep": "Keep and retrain"}
_NAMED = 5  # failed cells named, the rest counted


def sentences(
    areas: pd.DataFrame,
    curves: pd.DataFrame,
    cells: pd.DataFrame,
    *,
    planned: Collection[str] = (),
    level: float = 0.95,
) -> list[str]:
    """Say it in words.

    Args:
        areas, curves, cells: Of `verdict.areas`, `verdict.curves` and `verdict.cells_table`, of the same records.
        planned: Names of all cells of the run.
        level: Of the intervals.

    Returns:
        Why the answer says little, if it does; per mode who is better than chance, then a sentence per method, then
        notes: how large an effect the repeats could have shown, what retraining changes, class leakage of the masks,
        the effect of a max filter, what failed or is missing.
    """
    said = premise(cells)
    said += [_headline(areas[areas["mode"] == mode], mode) for mode in _TITLES if (areas["mode"] == mode).any()]
    methods = areas[areas["kind"].isin(("method", "control")) & (areas["estimator"] != "random")]
    said += [_of_method(methods[methods["estimator"] == name], level) for name in dict.fromkeys(methods["estimator"])]
    if len(methods):
        said.append(
            "A gain is the area between the curves of a method and of random: how many points of accuracy more the "
            "retrained model loses (remove) or saves (keep) than with random, on average over all fractions. p and "
            "verdict are Holm-corrected over the methods of a mode, intervals are not."
        )
    said += power(areas, level)
    said += _retraining(curves, cells, level)
    said += _recursive(areas, level)
    said += _leakage(cells, level)
    said += _max_filter(cells, level)
    return said + _incomplete(cells, planned)


def _headline(areas: pd.DataFrame, mode: str) -> str:
    methods = areas[areas["kind"] == "method"]
    said = []
    for verdict in dict.fromkeys(["better than chance", "not distinguishable from chance", *methods["verdict"]]):
        names = list(methods["estimator"][methods["verdict"] == verdict])
        if names:
            said.append(f"{verdict.capitalize()}: {', '.join(names)}.")
        elif verdict == "better than chance":
            said.append("No method is better than chance." if len(methods) else "No method was trained.")
    return f"{_TITLES[mode]}. {' '.join(said)}"


def _of_method(rows: pd.DataFrame, level: float) -> str:
    parts = []
    for row in rows.itertuples():
        part = f"{row.verdict} ({row.mode}: "
        if row.repeats == 0:
            part += "no repeat in which it and random have every fraction"
        else:
            part += f"gain {_points(row.area)}"
            if np.isfinite(row.low):
                part += f", {level:.0%} interval {100 * row.low:+.1f} to {100 * row.high:+.1f}, {_p(row.p_holm)}"
            part += f", {_count(row.repeats, 'repeat')}"
        parts.append(part + ")")
    return f"{rows['estimator'].iloc[0]} is {' and '.join(parts)}."


def _recursive(areas: pd.DataFrame, level: float) -> list[str]:
    rows = areas[areas["kind"] == "recursive"]
    if not len(rows):
        return []
    parts = [_of_method(rows[rows["estimator"] == name], level)[:-1] for name in rows["estimator"]]
    return [f"Importance computed anew on the retrained model after each fraction: {'; '.join(parts)}."]


def _retraining(curves: pd.DataFrame, cells: pd.DataFrame, level: float) -> list[str]:
    """The paper's section 4.3.1: how much of the loss without retraining is the modification's own."""
    whole = curves["accuracy"][curves["kind"] == "unmodified"]
    said = [f"Trained on unmodified images, the model is right on {share:.1%} of the test images." for share in whole]
    done = cells[(cells["status"] == "done") & (cells["estimator"] == "random") & (cells["mode"] == "remove")]
    done = done[done["without_retraining"].notna() & done["kind"].isin(("method", "control")) & (done["fraction"] < 1)]
    if not len(done):
        return said
    last = done[done["fraction"] == done["fraction"].max()]
    retrained, untrained = last["accuracy"].to_numpy(), last["without_retraining"].to_numpy()
    sentence = (
        f"With {last['fraction'].iloc[0]:.0%} removed at random, a retrained model is right on {retrained.mean():.1%} "
        f"of the test images, the model that was not retrained on {untrained.mean():.1%}"
    )
    p = paired_test(retrained, untrained)
    if not np.isfinite(p):
        sentence += " (one repeat: not tested)"
    elif p > 1 - level:
        sentence += f": no difference shown ({_p(p)})"
    elif untrained.mean() < retrained.mean():
        sentence += (
            f": the difference is due to images of a kind it never saw, not to information that is gone ({_p(p)})"
        )
    else:
        sentence += f" ({_p(p)})"
    return [*said, sentence + "."]


def _leakage(cells: pd.DataFrame, level: float) -> list[str]:
    """How much of the class the masks give away, at the fraction where each estimator's give away most.

    The masks of random hold nothing of the class, and are what to compare with, within a repeat; without them it is one
    in as many as there are classes. Tests are corrected over estimators and fractions.
    """
    masks = cells[(cells["kind"] == "leakage") & (cells["status"] == "done")]
    said = []
    for mode, of_mode in masks.groupby("mode"):
        is_random = of_mode["estimator"] == "mask of random"
        random = of_mode[is_random].set_index(["fraction", "repeat"])["accuracy"]
        against = "the masks of random" if len(random) else "one in as many as there are classes"
        tested = []
        for (estimator, fraction), part in of_mode[~is_random].groupby(["estimator", "fraction"]):
            accuracy = part.set_index(["fraction", "repeat"])["accuracy"]
            guessed = random.reindex(accuracy.index) if len(random) else accuracy * 0 + 1 / part["classes"].iloc[0]
            accuracy, guessed = accuracy[guessed.notna()], guessed.dropna()
            if len(accuracy):
                p = paired_test(accuracy, guessed)
                tested.append((accuracy.mean(), guessed.mean(), p, estimator, fraction))
        corrected = holm(np.array([p for _, _, p, _, _ in tested]))
        worst: dict[str, tuple[float, str]] = {}
        for (accuracy, guessed, _, estimator, fraction), p in zip(tested, corrected, strict=True):
            if not np.isfinite(p):
                found = "not tested"
            elif p <= 1 - level and accuracy > guessed:
                found = f"a leak, {_p(p)}"
            else:
                found = f"no leak found, {_p(p)}"
            text = f"{estimator} {accuracy:.1%} against {guessed:.1%} at {fraction:.0%} ({found})"
            worst[estimator] = max(worst.get(estimator, (-1.0, "")), (accuracy - guessed, text))
        if worst:
            said.append(
                f"Class leakage ({mode}): a model trained on nothing but the shape of the masks is right on these "
                f"shares of the test images, against {against}, at the fraction that leaks most: "
                f"{'; '.join(text for _, text in sorted(worst.values(), reverse=True))}. A retrained model can use "
                "what leaks."
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
                f"{level:.0%} interval {100 * low:+.1f} to {100 * high:+.1f}, {_p(p)}"
                if np.isfinite(p)
                else "not tested"
            )
            parts.append(f"{name} {_points(gain.mean())} ({sure})")
        if parts:
            said.append(
                f"Blur artefact ({mode}): a max filter knows nothing of the model, yet it changes a map's gain, on "
                f"average over the fractions trained: {'; '.join(parts)}. Differences of this size between methods may "
                "be differences of blur."
            )
    return said


def _incomplete(cells: pd.DataFrame, planned: Collection[str]) -> list[str]:
    said = []
    failed = cells[cells["status"] == "failed"]
    if len(failed):
        named = [f"{row.name}: {row.error}" for row in failed[["name", "error"]].head(_NAMED).itertuples(index=False)]
        more = f"; and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
        said.append(
            f"{_count(len(failed), 'cell')} failed and {'is' if len(failed) == 1 else 'are'} left out "
            f"({'; '.join(named)}{more})."
        )
    missing = len(set(planned) - set(cells["name"]))
    if missing:
        said.append(
            f"{missing} of {len(set(planned))} cells are not trained yet: this is an answer from part of the run."
        )
    done = cells[(cells["status"] == "done") & (cells["kind"] != "unmodified")]
    if len(done) and done["repeat"].nunique() == 1:
        said.append("There is one repeat: without a second training nothing can be said about chance variation.")
    return said


def _points(gain: float) -> str:
    return f"{100 * gain:+.1f} points"


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"
