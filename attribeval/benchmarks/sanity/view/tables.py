"""A sanity check as people read it: a row per method, what is left when all is random, and when it gives way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attribeval.benchmarks.sanity.summary import halfway, holds_until
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
    """Turn the tidy table into one row per mode and method.

    Args:
        result: Of `Evaluator.sanity` or `run_data_randomisation`.

    Returns:
        Columns: method; mode; the first similarity by its title, low, high, the others by theirs: at the last step of
        the cascade (and of "labels"), the mean over the layers for "independent" (no interval); "halved at": of the
        cascade, how many layers are random when the first similarity is no longer above the half between random and
        Sobel, with its whole interval ("never" if it always is; "" without an interval); images (the fewest of those
        layers); seconds_per_image; kind.
    """
    import pandas as pd

    metrics = result.settings["similarities"]
    titles = [SIMILARITIES[name].title for name in metrics]
    rows = []
    for (mode, method), own in result.table.groupby(["mode", "method"], sort=False):
        last = own["step"].max()
        shown = own if mode == "independent" else own[own["step"] == last]
        means = shown.groupby("metric", sort=False)["value"].mean()
        first = shown[shown["metric"] == metrics[0]].iloc[-1]
        interval = {} if mode == "independent" else {"low": first["low"], "high": first["high"]}
        halved = ""
        if mode == "cascading" and failed_rows(own).empty:
            curve = own[own["metric"] == metrics[0]].sort_values("step")
            steps = holds_until(curve, halfway(result.table, mode, metrics[0]))
            if steps == len(curve):
                halved = "never"
            elif curve["low"].notna().iloc[steps]:  # without an interval, as of one image, nothing is known
                halved = f"{curve['step'].iloc[steps]} of {last}"
        rows.append(
            {"method": method, "kind": first["kind"], "mode": mode, titles[0]: means[metrics[0]], "low": float("nan"),
             "high": float("nan"), **interval, **dict(zip(titles[1:], means[metrics[1:]], strict=True)),
             "halved at": halved, "images": int(shown["images"].min()),
             "seconds_per_image": shown.drop_duplicates("step")["seconds_per_image"].mean()}
        )  # fmt: skip
    wide = pd.DataFrame(rows)
    order = wide["mode"].map(result.settings["modes"].index).argsort(kind="stable")
    return wide.iloc[order].reset_index(drop=True)


def sanity_text(result: Result, width: int | None = None) -> str:
    """The same for a terminal: a block per mode."""
    wide = wide_table(result)
    titles = [SIMILARITIES[name].title for name in result.settings["similarities"]]
    blocks = []
    for mode in result.settings["modes"]:
        rows = []
        for row in wide[wide["mode"] == mode].to_dict("records"):
            interval = "" if row["low"] != row["low"] else NUMBER.ends(row["low"], row["high"])
            numbers = [number(row[titles[0]]), interval, *[number(row[title]) for title in titles[1:]]]
            rows.append([row["method"], row["kind"], *numbers, row["halved at"], row["images"],
                         number(1000 * row["seconds_per_image"])])  # fmt: skip
        header = ["method", "kind", titles[0], "95 % interval", *titles[1:], "halved at", "images", "ms/image"]
        if mode != "cascading":
            header, rows = [h for h in header if h != "halved at"], [[*r[:-3], *r[-2:]] for r in rows]
        if mode == "independent":
            header, rows = [*header[:3], *header[4:]], [[*r[:3], *r[4:]] for r in rows]
        blocks.append(f"{_TITLES[mode]}\n\n{text_table(header, rows, right=range(2, len(header)), width=width)}")
    return "\n\n".join(blocks)
