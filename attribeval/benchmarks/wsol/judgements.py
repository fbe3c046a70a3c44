"""What WSOL says of methods: each metric's score of each image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from attribeval.benchmarks.wsol.metrics import METRICS
from attribeval.results.judgement import Judgement

if TYPE_CHECKING:
    from attribeval.results.result import Result


def judgements(result: Result) -> list[Judgement]:
    """One per metric; the baselines, which are no maps, are left out."""
    found = []
    for metric, rows in result.table.groupby("metric", sort=False):
        scored = np.array([f"{name}/{metric}/images" in result.arrays for name in rows["method"]])
        rows = rows[scored & (rows["kind"] != "baseline").to_numpy()]
        if rows.empty:
            continue
        better: Literal["high", "low"] = "low" if METRICS[metric].lower else "high"
        values = np.stack([np.asarray(result.arrays[f"{name}/{metric}/images"], float) for name in rows["method"]])
        controls = (rows["kind"] == "control").to_numpy()
        found.append(Judgement(str(metric), "cheap", better, "images", list(rows["method"]), controls, values))
    return found
