"""The answer of a ROAR or KAR run as people read it: one row per method, the fractions beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attribeval.report.terminal import text_table
from attribeval.results.numbers import POINTS, p_text, share

if TYPE_CHECKING:
    import pandas as pd

    from attribeval.results.result import Result

GAIN = "gain (points)"
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
        kept; p_holm; repeats; kind. NaN where there is none: a classifier of masks has accuracies alone.
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
    order = wide["mode"].map(list(_TITLES).index).argsort(kind="stable")
    columns = ["method", "mode", *numbers, "verdict", "group", *accuracy.columns, "p_holm", "repeats", "kind"]
    return wide.iloc[order][columns].reset_index(drop=True)


def roar_text(result: Result, width: int | None = None) -> str:
    """The same for a terminal: a block per mode. Methods that share a letter under "group" cannot be told apart."""
    wide = wide_table(result)
    unmodified = result.table["value"][result.table["kind"] == "unmodified"]
    blocks = [f"Unmodified images: {share(unmodified.iloc[0])}"] if len(unmodified) else []
    for mode, title in _TITLES.items():
        of_mode = wide[wide["mode"] == mode]
        if len(of_mode):
            blocks.append(f"{title}\n\n{_block(of_mode, result.settings['level'], width)}")
    return "\n\n".join(blocks)


def _block(wide: pd.DataFrame, level: float, width: int | None) -> str:
    fractions = [name for name in wide.columns if name.endswith("%")]
    fractions = [name for name in fractions if wide[name].notna().any()]
    rows = []
    for row in wide.to_dict("records"):
        chance = row["method"] == "random"
        rows.append(
            [
                row["method"],
                POINTS.text(row[GAIN]),
                "–" if chance or row["low"] != row["low"] else POINTS.ends(row["low"], row["high"]),
                p_text(row["p_holm"]),
                "(this is chance)" if chance else _text(row["verdict"], ""),
                _text(row["group"], "") if isinstance(row["group"], str) else "",
                row["repeats"],
                *[share(row[name]) for name in fractions],
            ]
        )
    header = ["method", "gain", f"{100 * level:g} % interval", "p (Holm)", "verdict", "group", "repeats", *fractions]
    return text_table(header, rows, right=(1, 2, 3, *range(6, len(header))), width=width)


def _text(value: float | str, form: str) -> str:
    return "–" if value != value else format(value, form)
