"""The table and the sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from attribeval.methods.given import kind_of
from attribeval.results.numbers import SHARE
from attribeval.results.over_images import mean_interval
from attribeval.results.result import Result


def summarise(
    methods: Mapping[str, Any], scores: Mapping[str, np.ndarray], seconds: Mapping[str, float], settings: dict[str, Any]
) -> Result:
    """A row per method, the one with the most in the middle first."""
    rows = []
    for label, method in methods.items():
        low, high = mean_interval(scores[label], bounds=(0, 1))
        rows.append((label, kind_of(method), "Middle", np.nanmean(scores[label]), low, high, seconds[label]))
    names = ["method", "kind", "metric", "value", "low", "high", "seconds_per_image"]
    table = pd.DataFrame(rows, columns=names).sort_values("value", ascending=False, ignore_index=True)
    said = [f"Most in the middle: {table['method'][0]}, {SHARE.text(table['value'][0])}."]
    arrays = {f"{label}/scores": np.asarray(one) for label, one in scores.items()}
    return Result("middle", table, settings, said, arrays)
