"""Whether a ROAR or KAR run can answer at all: what it relies on, and how large an effect its repeats could show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attribeval.results.numbers import share

if TYPE_CHECKING:
    import pandas as pd

_NEAR = 0.1  # of the way from chance to perfect
_REPEATS = 3  # at least, for a comparison
_POWER = 0.8


def premise(cells: pd.DataFrame) -> list[str]:
    """What the answer relies on and does not have, in one sentence or none: a model that learns the task, and repeats.

    Chance is one in as many as there are classes; a model is near it within a tenth of the way to perfect.
    """
    done = cells[cells["status"] == "done"]
    whole, repeats = done[done["kind"] == "unmodified"], done[done["kind"] != "unmodified"]["repeat"].nunique()
    broken = []
    if len(whole) and (whole["classes"] > 1).all():
        chance, right = 1 / whole["classes"].iloc[0], whole["accuracy"].mean()
        if right < chance + _NEAR * (1 - chance):
            broken.append(
                f"the model is near chance before anything is removed ({share(right)} of the test images right, one "
                f"in as many as there are classes is {share(chance)}), so that there is nothing to lose"
            )
    if 0 < repeats < _REPEATS:
        broken.append(f"there {'is 1 repeat' if repeats == 1 else f'are {repeats} repeats'}, fewer than {_REPEATS}")
    if not broken:
        return []
    return [f"The premise of retraining does NOT hold, so that what follows says little: {'; '.join(broken)}."]


def power(areas: pd.DataFrame, level: float) -> list[str]:
    """The gain that the repeats would have shown in four of five such runs, by the spread that they had.

    The power of Student's test by the noncentral t distribution (Cohen 1988, chapter 2), at the level that Holm's first
    step leaves; a method's standard error is that of its t interval. No sentence where no method has two repeats that
    differ.
    """
    from scipy.stats import t

    rows = areas[areas["kind"].isin(("method", "control")) & (areas["estimator"] != "random")]
    rows = rows[(rows["repeats"] > 1) & (rows["high"] > rows["low"])]
    if not len(rows):
        return []
    tests = int(rows.groupby("mode").size().max())
    free = rows["repeats"].to_numpy(np.float64) - 1
    errors = (rows["high"] - rows["low"]).to_numpy() / 2 / t.ppf((1 + level) / 2, free)
    needed = errors * np.array([_shown(df, (1 - level) / tests) for df in free])
    return [
        f"With {int(rows['repeats'].min())} repeats that vary as these do, a gain must be about "
        f"{_points(np.median(needed))} to be shown in four of five runs (median over methods, corrected for {tests} "
        f"{'test' if tests == 1 else 'tests'}; from {_points(needed.min())} to {_points(needed.max())}): smaller ones "
        "are easily missed."
    ]


def _shown(free: float, alpha: float) -> float:
    """The effect, in standard errors, that Student's test at alpha finds with the power; the noncentral t distribution
    as a mean over the quantiles of chi-square, which holds for few degrees of freedom and large effects, too."""
    from scipy.optimize import brentq
    from scipy.stats import chi2, norm, t

    bars = t.isf(alpha / 2, free) * np.sqrt(chi2.ppf((np.arange(4000) + 0.5) / 4000, free) / free)
    return float(brentq(lambda effect: norm.cdf(effect - bars).mean() - _POWER, 0, bars.max() + 10))


def _points(gain: float) -> str:
    return f"{100 * gain:.1f} points" if gain < 1 else "more than 100 points"
