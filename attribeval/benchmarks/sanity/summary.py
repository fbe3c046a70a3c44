"""Curves of similarity over layers, as a table with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.benchmarks.sanity.curve import Curve
from attribeval.benchmarks.sanity.sentences import sentences
from attribeval.results.comparisons import t_interval
from attribeval.results.result import Result
from attribeval.runs import failures

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["method", "kind", "mode", "step", "layer", "metric", "value", "low", "high", "images", "seconds_per_image",
           failures.COLUMN]  # fmt: skip


def summarise(curves: Sequence[Curve], settings: dict[str, Any], benchmark: str = "sanity") -> Result:
    """The table, methods that changed most first, the sentences, and the curves of every image."""
    import pandas as pd

    table = pd.DataFrame([row for curve in curves for row in _rows(curve, settings["similarities"])])[COLUMNS]
    order = _order(table, settings["modes"][0], settings["similarities"][0])
    table["rank"] = table["method"].map(order)
    table = table.sort_values("rank", kind="stable").drop(columns="rank").reset_index(drop=True)
    arrays = {
        f"{curve.label}|{curve.mode}|{name}": values.astype(np.float32)
        for curve in curves
        for name, values in curve.values.items()
        if np.isfinite(values).any() or not any(curve.errors.get(name, ()))
    }
    return Result(benchmark, table, settings, sentences(table, arrays, settings), arrays)


def interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over images and its 95 % interval (Student's t) of each row, images that are NaN left out.

    Args:
        values: float64 (S, N).

    Returns:
        value, low, high, each (S,); NaN where no image has a number, and low and high where only one has.
    """
    found = np.full((3, len(values)), np.nan)
    for row, of_images in enumerate(np.asarray(values, np.float64)):
        known = of_images[np.isfinite(of_images)]
        if known.size:
            found[:, row] = known.mean(), *t_interval(known)
    value, low, high = found
    return value, low, high


def _rows(curve: Curve, similarities: Sequence[str]) -> list[dict[str, Any]]:
    rows = []
    for name in similarities:
        about = {"method": curve.label, "kind": curve.kind, "mode": curve.mode, "metric": name}
        errors = curve.errors.get(name) or [""] * len(curve.steps)
        value, low, high = interval(curve.values[name])
        images = np.isfinite(curve.values[name]).sum(1)
        seconds = np.full(len(curve.steps), np.nan) if curve.seconds is None else curve.seconds
        for i, (step, path) in enumerate(zip(curve.steps, curve.layers, strict=True)):
            rows.append(
                about
                | {"step": step, "layer": path, "value": value[i], "low": low[i], "high": high[i]}
                | {"images": int(images[i]), "seconds_per_image": seconds[i], failures.COLUMN: errors[i]}
            )
    return rows


def _order(table: pd.DataFrame, mode: str, metric: str) -> dict[str, int]:
    """Methods by their mean similarity over the steps, lowest first; those without one last."""
    rows = table[(table["mode"] == mode) & (table["metric"] == metric)]
    means = rows.groupby("method", sort=False)["value"].mean().sort_values(kind="stable", na_position="last")
    return {method: place for place, method in enumerate(means.index)}


def halfway(table: pd.DataFrame, mode: str, metric: str) -> float:
    """Half of the way between the controls at the last step: noise drawn anew, and edges, which never change."""
    last = _last(table, mode, metric).set_index("method")["value"]
    return float((last["random"] + last["sobel"]) / 2)


def holds_until(rows: pd.DataFrame, half: float) -> int:
    """How many steps in a row, from the first, a method's similarity stays above `half` with its whole interval."""
    above = (rows.sort_values("step")["low"] > half).to_numpy()
    return int(above.argmin()) if not above.all() else len(above)


def _last(table: pd.DataFrame, mode: str, metric: str) -> pd.DataFrame:
    rows = table[(table["mode"] == mode) & (table["metric"] == metric)]
    return rows[rows["step"] == rows["step"].max()]
