"""Results of studies, made by hand, with names that try to break a page."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from attribeval.results.result import Result

HOSTILE = "</td><script>alert('x')</script><img src=x onerror=alert(1)>\"'&amp; $x_^ {bad"


def wsol() -> Result:
    table = pd.DataFrame(
        {
            "method": ["gradcam", HOSTILE, "vargrad(guided_backprop)", "center box", "random"],
            "kind": ["method", "method", "method", "baseline", "control"],
            "metric": "MaxBoxAcc",
            "value": [0.66125, 0.6049, 0.5, 0.46281, 0.1],
            "low": [0.6301, 0.57, 0.4666, np.nan, 0.08],
            "high": [0.6917, 0.64, 0.5334, np.nan, 0.12],
            "threshold": [31.0, 40.0, 9.0, np.nan, 128.0],
            "images": 1234,
            "seconds_per_image": [0.0125, 2.0, 0.25, 0.0, 0.00001],
        }
    )
    settings = {
        "model": "resnet50",
        "data": HOSTILE,
        "options": {"gradcam": {"layer": None}, "ids": ["a", "b"]},
        "versions": {"attribeval": "9.8.7", "keras": "3.15.1"},
        "seed": 4711,
    }
    summary = ["Grad-CAM localises best.", f"It beats {HOSTILE}."]
    return Result("wsol", table, settings, summary, {"gradcam/curve": np.linspace(0.66, 0, 256)})


def other() -> Result:
    table = pd.DataFrame({"method": ["a", "b"], "metric": "correlation", "value": [0.25, 123456.789]})
    table = table.assign(fine=[True, False], steps=[7, 8])
    return Result("homemade", table, {}, [])


def picture() -> Figure:
    figure = Figure(figsize=(3, 2))
    figure.subplots().plot([1, 2, 1])
    return figure


def many_metrics() -> Result:
    rows = []
    for metric, values in {
        "MaxBoxAcc": (0.7, 0.5), "BoxAcc": (0.65, 0.45), "PxAP": (0.5, 0.3), "SaliencyMetric": (-0.5, None),
        "PixelAUC": (0.9, 0.8),
    }.items():  # fmt: skip
        for method, kind, value in zip(("gradcam", "centred box"), ("method", "baseline"), values, strict=True):
            if value is not None:
                rows.append((method, kind, metric, value, value - 0.125, value + 0.125, 31.0, 100, 0.25))
    columns = ["method", "kind", "metric", "value", "low", "high", "threshold", "images", "seconds_per_image"]
    table = pd.DataFrame(rows, columns=columns)
    table.loc[table["kind"] == "baseline", "threshold"] = np.nan
    return Result("wsol", table, {}, ["x"])
