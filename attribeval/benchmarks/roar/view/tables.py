"""The answer of a ROAR or KAR run as people read it: one row per method, the fractions beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attribeval.benchmarks.roar.grid import MASK_OF
from attribeval.benchmarks.roar.leakage import DEBIASED, LEAKAGE
from attribeval.report.terminal import text_table
from attribeval.results.numbers import NONE, POINTS, p_text, share

if TYPE_CHECKING:
    import pandas as pd

    from attribeval.results.result import Result

GAIN = "gain (points)"
MASKS, WITHOUT = "masks tell (points)", "debiased gain (points)"
_TITLES = {
    "remove": "Removed and retrained (ROAR): the lower the accuracy, the better",
    "keep": "Kept and retrained (KAR): the higher the accuracy, the better",
}


def wide_table(result: Result) -> pd.DataFrame:
    """Turn the tidy table into one row per mode and method, best first.

    Args:
        result: Of `Evaluator.roar`.

    Returns:
        Columns: method; mode; gain (points): area between the curves of the method and random, times 100; low, high:
        its interval, times 100; verdict; group; "30 %" and so on: accuracies, 0 to 1, with so many per cent removed or
        kept; p_holm; repeats; kind. Where masks were asked, behind the group: masks tell (points), debiased gain
        (points), see `leakage`. NaN where there is none: a classifier of masks has accuracies alone.
    """
    table = result.table[result.table["mode"].isin(list(_TITLES))]
    keys = ["mode", "method", "kind"]
    accuracy = table[table["metric"] == "accuracy"].pivot(index=keys, columns="fraction", values="value")
    accuracy.columns = [f"{100 * fraction:g} %" for fraction in accuracy.columns]
    wide = table.drop_duplicates(keys).set_index(keys)  # the row of the area, where there is one, comes first
    wide = wide.rename(columns={"value": GAIN})
    numbers = [GAIN, "low", "high"]
    wide[numbers] = (100 * wide[numbers]).where(wide["metric"] == "area vs random")
    wide = wide.join(accuracy).reset_index()
    told = _told(table, wide)
    order = wide["mode"].map(list(_TITLES).index).argsort(kind="stable")
    columns = ["method", "mode", *numbers, "verdict", "group", *told, *accuracy.columns, "p_holm", "repeats", "kind"]
    return wide.assign(**told).iloc[order][columns].reset_index(drop=True)


def _told(table: pd.DataFrame, wide: pd.DataFrame) -> dict[str, pd.Series]:
    """What each method's masks tell, and its gain without that; nothing where no masks were asked."""
    if not (table["metric"] == LEAKAGE).any():
        return {}
    leaks = table[table["metric"] == LEAKAGE].set_index("method")["value"]
    without = table[table["metric"] == DEBIASED].set_index(["mode", "method"])["value"]
    keys = list(zip(wide["mode"], wide["method"], strict=True))
    return {
        MASKS: 100 * (MASK_OF + wide["method"]).map(leaks),
        WITHOUT: 100 * without.reindex(keys).set_axis(wide.index),
    }


_LEAKAGE = "Class leakage: what the masks alone tell, points above random's masks or chance (the lower, the better)"


def roar_text(result: Result, width: int | None = None) -> str:
    """The same for a terminal: a block per mode. Methods that share a letter under "group" cannot be told apart."""
    wide = wide_table(result)
    unmodified = result.table["value"][result.table["kind"] == "unmodified"]
    blocks = [f"Unmodified images: {share(unmodified.iloc[0])}"] if len(unmodified) else []
    for mode, title in _TITLES.items():
        of_mode = wide[(wide["mode"] == mode) & (wide["kind"] != "leakage")]
        if len(of_mode):
            blocks.append(f"{title}\n\n{_block(of_mode, result.settings['level'], width)}")
    if MASKS in wide:
        blocks.append(f"{_LEAKAGE}\n\n{_masks_block(result, width)}")
    return "\n\n".join(blocks)


def _block(wide: pd.DataFrame, level: float, width: int | None) -> str:
    fractions = [name for name in wide.columns if name.endswith("%")]
    fractions = [name for name in fractions if wide[name].notna().any()]
    rows = []
    for row in wide.fillna({"verdict": NONE, "group": ""}).to_dict("records"):
        chance = row["method"] == "random"
        rows.append(
            [
                row["method"],
                POINTS.text(row[GAIN]),
                NONE if chance or row["low"] != row["low"] else POINTS.ends(row["low"], row["high"]),
                p_text(row["p_holm"]),
                "(this is chance)" if chance else row["verdict"],
                row["group"],
                row["repeats"],
                *[share(row[name]) for name in fractions],
            ]
        )
    header = ["method", "gain", f"{100 * level:g} % interval", "p (Holm)", "verdict", "group", "repeats", *fractions]
    return text_table(header, rows, right=(1, 2, 3, *range(6, len(header))), width=width)


def _masks_block(result: Result, width: int | None) -> str:
    """A row per estimator: its leakage, and its gains without that."""
    table, level = result.table, f"{100 * result.settings['level']:g} %"
    leaks = table[table["metric"] == LEAKAGE]
    without = table[table["metric"] == DEBIASED].set_index(["mode", "method"])
    modes = [mode for mode in _TITLES if mode in without.index]
    accuracy = table[(table["kind"] == "leakage") & (table["metric"] == "accuracy")]
    accuracy = accuracy.pivot(index="method", columns="fraction", values="value")
    rows = []
    for row in leaks.to_dict("records"):
        told = [POINTS.text(100 * row["value"]), POINTS.ends(100 * row["low"], 100 * row["high"])]
        cells = [row["method"], *told, p_text(row["p_holm"]), row["verdict"]]
        for mode in modes:
            key = (mode, row["method"].removeprefix(MASK_OF))
            one = without.loc[key] if key in without.index else dict.fromkeys(("value", "low", "high"), float("nan"))
            cells += [POINTS.text(100 * one["value"]), POINTS.ends(100 * one["low"], 100 * one["high"])]
        rows.append(cells + [share(value) for value in accuracy.loc[row["method"]]])
    for method in accuracy.index.difference(leaks["method"]):
        nothing = ["–", "–", "–", "(this is chance)"] + ["–"] * 2 * len(modes)
        rows.append([method, *nothing, *[share(value) for value in accuracy.loc[method]]])
    header = ["masks", "they tell", f"{level} interval", "p (Holm)", "verdict"]
    header += [title for mode in modes for title in (f"debiased gain, {mode}", f"{level} interval")]
    header += [f"{100 * fraction:g} %" for fraction in accuracy.columns]
    return text_table(header, rows, right=(1, 2, 3, *range(5, len(header))), width=width)
