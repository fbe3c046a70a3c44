"""From the records of finished trainings to the answer: curves, areas, tests against random.

A measurement is one training. Cells of one repeat start from the same weights and see the same order of images, so
that methods are compared within a repeat; intervals and tests are over repeats. Everything is compared with the control
"random", a ranking that knows nothing of model or image: what is meant by chance here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.benchmarks.roar.cells import cells_table
from attribeval.benchmarks.roar.ranks import MODES
from attribeval.results.comparisons import groups, holm, paired_test, t_interval

if TYPE_CHECKING:
    import pandas as pd

CHANCE = "random"
BETTER, WORSE = "better than chance", "worse than chance"
ALIKE, UNTESTED, UNMEASURED = "not distinguishable from chance", "not tested", "not measured"
_RANKED = ("method", "control")  # what the question is about; the other kinds are controls of a method
_COMPARED = (*_RANKED, "max_filter", "recursive")


def curves(records: Iterable[Mapping[str, Any]], level: float = 0.95) -> pd.DataFrame:
    """Accuracy at each fraction, and whether it differs from random's.

    Args:
        records: As for `cells_table`; cells that failed are left out.
        level: Of the intervals, and 1 − α of the verdicts.

    Returns:
        One row per (kind, estimator, mode, fraction) with a finished cell, and columns accuracy, std (n − 1), low, high
        (t interval of the mean over repeats, cut to 0..1), repeats, without_retraining (mean); difference (accuracy −
        random's, over the repeats that both have, `pairs` of them), p (paired t-test over these), p_holm (Holm over all
        methods, controls and fractions of a mode; max filters are a family of their own, and so are recursive rows) and
        verdict. "Better than chance" is lower than random's for "remove" and higher for "keep". No comparison (NaN, "")
        for the unmodified model, random and the classifiers of masks.
    """
    import pandas as pd

    cells = cells_table(records)
    done = cells[cells["status"] == "done"]
    keys = ["kind", "estimator", "mode", "fraction"]
    random = {
        key: part.set_index("repeat")["accuracy"]
        for key, part in done[done["estimator"] == CHANCE].groupby(["mode", "fraction"])
    }
    nothing = pd.Series(dtype=np.float64)
    rows = []
    for (kind, estimator, mode, fraction), part in done.groupby(keys):
        accuracy = part.set_index("repeat")["accuracy"]
        low, high = np.clip(t_interval(accuracy.to_numpy(), level), 0, 1)
        row = {"kind": kind, "estimator": estimator, "mode": mode, "fraction": fraction}
        row |= {"accuracy": accuracy.mean(), "std": accuracy.std(ddof=1), "low": low, "high": high}
        row |= {"repeats": len(accuracy), "without_retraining": part["without_retraining"].mean()}
        compared = kind in _COMPARED and estimator != CHANCE
        chance = random.get((mode, fraction), nothing) if compared else nothing
        both = accuracy.index.intersection(chance.index)
        mine, others = accuracy[both].to_numpy(), chance[both].to_numpy()
        row |= {"difference": (mine - others).mean() if len(both) else np.nan, "pairs": len(both)}
        row |= {"p": paired_test(mine, others), "compared": compared}
        rows.append(row)
    names = [*keys, "accuracy", "std", "low", "high", "repeats", "without_retraining", "difference", "pairs", "p"]
    table = pd.DataFrame(rows, columns=[*names, "compared"])
    gain = np.where(table["mode"] == "keep", table["difference"], -table["difference"])
    return _judge(table, gain, level).drop(columns="compared")


def areas(records: Iterable[Mapping[str, Any]], level: float = 0.95) -> pd.DataFrame:
    """The area between a method's curve and random's: one number per method and mode, positive if better than chance.

    The trapezoid rule over the fractions 0 to 1 of random − method ("remove") or method − random ("keep"). At 0 and 1
    both curves are the same by definition (nothing or everything is removed), so that the difference there is 0 and not
    measured. As the interval has length 1, the area is the mean gain over all fractions: 0.1 means that, on average,
    removing by the method costs 10 points of accuracy more than removing at random.

    Args:
        records: As for `cells_table`. A repeat counts if both the method and random have all fractions of the run.
        level: Of the intervals, and 1 − α of verdicts and groups.

    Returns:
        One row per (mode, estimator) but for classifiers of masks, by mode and then best first, with columns
        kind, estimator, mode, area, low, high (t interval over repeats), repeats (that count), p (paired t-test of the
        area against 0), p_holm (over the methods and controls of a mode; max filters and recursive rows are families
        of their own), verdict, group (letters as of `comparisons.groups`, over methods and controls), and racu: area /
        (area between random's curve and its accuracy with everything removed), Madsen et al. 2022; NaN unless random
        was also trained with everything removed, and the unmodified model was trained. The row of random is 0 by
        definition.
    """
    return areas_of(cells_table(records), level)


def areas_of(cells: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """The same of cells: of `cells_table`, or with another number in the place of their accuracies."""
    import pandas as pd

    compared = cells[cells["mode"].isin(MODES) & cells["kind"].isin(_COMPARED)]
    rows, per_repeat = [], {}
    for mode, of_mode in compared.groupby("mode"):
        fractions = _inner_fractions(of_mode[of_mode["kind"].isin(_RANKED)])
        random = _by_repeat(of_mode[of_mode["estimator"] == CHANCE], fractions)
        scale = _racu_scale(cells, str(mode), random)
        for (kind, estimator), part in of_mode.groupby(["kind", "estimator"]):
            mine, chance = _by_repeat(part, fractions).align(random, join="inner", axis=0)
            gain = (mine - chance) * (1 if mode == "keep" else -1)
            area = pd.Series(trapezoid(fractions, gain.to_numpy()), index=gain.index).dropna()
            is_chance = estimator == CHANCE
            if kind in _RANKED:
                per_repeat[mode, estimator] = area
            low, high = t_interval(area.to_numpy(), level) if len(area) else (np.nan, np.nan)
            shared = area.index.intersection(scale.index)
            p = np.nan if is_chance else paired_test(area.to_numpy(), np.zeros(len(area)))
            racu = area[shared].mean() / scale[shared].mean() if len(shared) else np.nan
            row = {"kind": kind, "estimator": estimator, "mode": mode, "area": area.mean(), "low": low, "high": high}
            rows.append(row | {"repeats": len(area), "p": p, "racu": racu, "compared": not is_chance})
    names = ["kind", "estimator", "mode", "area", "low", "high", "repeats", "p", "racu", "compared"]
    table = pd.DataFrame(rows, columns=names)
    table = _judge(table, table["area"].to_numpy(), level)
    table["place"] = table["mode"].map({mode: place for place, mode in enumerate(MODES)})
    table = table.sort_values(["place", "area", "estimator"], ascending=[True, False, True], ignore_index=True)
    table["group"] = ""
    for mode, part in table[table["kind"].isin(_RANKED) & (table["repeats"] > 0)].groupby("mode"):
        values = pd.DataFrame({name: per_repeat[mode, name] for name in part["estimator"]})
        letters = groups(list(values), {name: values[name].to_numpy() for name in values}, level)
        table.loc[part.index, "group"] = part["estimator"].map(letters)
    return table.drop(columns=["compared", "place"])


def areas_without_retraining(cells: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """`areas` of the model that was not retrained, on the same images; of methods and controls.

    With `fill="linear"` this is what ROAD measures (Rong et al. 2022): most relevant first for "remove", least relevant
    first for "keep".
    """
    ranked = cells[cells["kind"].isin(_RANKED) & cells["without_retraining"].notna()]
    return areas_of(ranked.assign(accuracy=ranked["without_retraining"]), level)


def trapezoid(fractions: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """The area under a gain (..., F) that is 0 at the fractions 0 and 1, (...): the mean over the fractions 0 to 1.

    Fractions (F,) rise inside (0, 1); NaN where a gain is NaN.
    """
    ends = np.zeros((*np.shape(gain)[:-1], 1))
    return np.trapezoid(np.concatenate([ends, gain, ends], axis=-1), [0.0, *fractions, 1.0], axis=-1)


def _inner_fractions(cells: pd.DataFrame) -> np.ndarray:
    """The fractions at which something, but not all, is removed; also those whose cells failed."""
    return np.unique(cells["fraction"][cells["fraction"].between(0, 1, inclusive="neither")])


def _by_repeat(cells: pd.DataFrame, fractions: np.ndarray) -> pd.DataFrame:
    """Accuracies (repeats × fractions) of one estimator in one mode; no row where a fraction is missing."""
    done = cells[cells["status"] == "done"]
    if not len(fractions):
        done = done.iloc[:0]  # without a fraction inside there is no curve
    return done.pivot(index="repeat", columns="fraction", values="accuracy").reindex(columns=fractions).dropna()


def _racu_scale(cells: pd.DataFrame, mode: str, random: pd.DataFrame) -> pd.Series:
    """Per repeat, the area between random's curve and random's accuracy with everything removed; empty if unknown."""
    nothing_left = 1.0 if mode == "remove" else 0.0
    done = cells[cells["status"] == "done"]
    ends = done[(done["estimator"] == CHANCE) & (done["mode"] == mode) & (done["fraction"] == nothing_left)]
    floor = ends.set_index("repeat")["accuracy"]
    whole = done[done["kind"] == "unmodified"].set_index("repeat")["accuracy"]
    curve = random.copy()
    curve[1.0 - nothing_left], curve[nothing_left] = whole, floor
    curve = curve.dropna().sort_index(axis=1)
    above = curve.sub(floor.reindex(curve.index), axis=0)
    area = np.trapezoid(above.to_numpy(), above.columns.to_numpy(dtype=np.float64), axis=1)
    return above.assign(area=area)["area"]


def _judge(table: pd.DataFrame, gain: np.ndarray, level: float) -> pd.DataFrame:
    """Add p_holm and verdict. A family is the methods and controls of a mode, or another kind of row in it."""
    table = table.assign(p_holm=np.nan)
    compared = table["compared"].astype(bool)
    family = table["kind"].where(~table["kind"].isin(_RANKED), "")
    for _, part in table[compared].groupby(["mode", family]):
        table.loc[part.index, "p_holm"] = holm(part["p"].to_numpy())
    gain, p = gain.astype(np.float64), table["p_holm"]
    cases = [~compared, np.isnan(gain), p.isna(), p > 1 - level, gain > 0]
    return table.assign(verdict=np.select(cases, ["", UNMEASURED, UNTESTED, ALIKE, BETTER], WORSE))
