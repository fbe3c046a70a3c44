"""A sanity check as people read it: a row per method, what is left when all is random, and when it gives way."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any

from attribeval.metrics.sanity.similarity import SIMILARITIES
from attribeval.report.terminal import text_table
from attribeval.results.numbers import NUMBER, number
from attribeval.runs.failures import failed_rows

if TYPE_CHECKING:
    import pandas as pd

    from attribeval.results.result import Result

_TITLES = {
    "cascading": "All layers random, from the output down (low: the map depends on what was learned)",
    "independent": "One layer random at a time",
    "labels": "A model of permuted labels (low: the map depends on the labels)",
}


def wide_table(result: Result) -> pd.DataFrame:
    """One row per mode and method of a tidy table.

    Columns: method; mode; the first similarity by its title, low, high, the others by theirs: at the last step of the
    cascade (and of "labels"), the mean over the layers for "independent" (no interval); "halved at": of the cascade,
    how many layers are random when the first similarity is no longer above the half between random and Sobel, with its
    whole interval ("never" if it always is; "" without an interval); images (the fewest of those layers);
    seconds_per_image; kind.
    """
    import pandas as pd

    metrics = result.settings["similarities"]
    first, *others = [SIMILARITIES[name].title for name in metrics]
    rows = []
    for (mode, method), own in result.table.groupby(["mode", "method"], sort=False):
        last = own["step"].max()
        shown = own if mode == "independent" else own[own["step"] == last]
        means = shown.groupby("metric", sort=False)["value"].mean()
        of_first = own[own["metric"] == metrics[0]].sort_values("step")
        end = of_first.iloc[-1] if mode != "independent" else {"low": float("nan"), "high": float("nan")}
        rows.append(
            {"method": method, "kind": own["kind"].iloc[0], "mode": mode, first: means[metrics[0]], "low": end["low"],
             "high": end["high"], **dict(zip(others, means[metrics[1:]], strict=True)),
             "halved at": _halved(result.table, own, of_first), "images": int(shown["images"].min()),
             "seconds_per_image": shown.drop_duplicates("step")["seconds_per_image"].mean()}
        )  # fmt: skip
    modes = pd.Index(result.settings["modes"])
    return pd.DataFrame(rows).sort_values("mode", key=modes.get_indexer, kind="stable", ignore_index=True)


def _halved(table: pd.DataFrame, own: pd.DataFrame, curve: pd.DataFrame) -> str:
    """How many layers are random when a method's similarity is no longer above the middle between the controls at the
    last step: noise drawn anew, and edges, which never change."""
    if own["mode"].iloc[0] != "cascading" or not failed_rows(own).empty:
        return ""
    last = curve.iloc[-1]
    ends = table[(table["mode"] == "cascading") & (table["metric"] == last["metric"]) & (table["step"] == last["step"])]
    ends = ends.set_index("method")["value"]
    half = (ends["random"] + ends["sobel"]) / 2
    fallen = curve[~(curve["low"] > half)]
    if fallen.empty:
        return "never"
    at = fallen.iloc[0]
    return "" if isnan(at["low"]) else f"{at['step']} of {last['step']}"  # of one image nothing is known


def sanity_text(result: Result, width: int | None = None) -> str:
    """The same for a terminal: a block per mode."""
    wide = wide_table(result)
    first, *others = [SIMILARITIES[name].title for name in result.settings["similarities"]]
    blocks = []
    for mode in result.settings["modes"]:
        rows = wide[wide["mode"] == mode]
        columns: dict[str, Any] = {name: rows[name] for name in ("method", "kind")} | {first: rows[first].map(number)}
        if mode != "independent":
            ends = zip(rows["low"], rows["high"], strict=True)
            columns["95 % interval"] = ["" if isnan(low) else NUMBER.ends(low, high) for low, high in ends]
        columns |= {title: rows[title].map(number) for title in others}
        if mode == "cascading":
            columns["halved at"] = rows["halved at"]
        columns |= {"images": rows["images"], "ms/image": (1000 * rows["seconds_per_image"]).map(number)}
        cells = list(zip(*columns.values(), strict=True))
        table = text_table(list(columns), cells, right=range(2, len(columns)), width=width)
        blocks.append(f"{_TITLES[mode]}\n\n{table}")
    return "\n\n".join(blocks)
