"""What a sanity check says of methods: how alike maps stay, on the mean over its steps, for each image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attribeval.results.judgement import Judgement

if TYPE_CHECKING:
    from attribeval.results.result import Result


def judgements(result: Result) -> list[Judgement]:
    """One per mode and similarity; alike is bad, as the model is another one."""
    kinds = dict(zip(result.table["method"], result.table["kind"], strict=True))
    found = []
    for mode in result.settings["modes"]:
        for similarity in result.settings["similarities"]:
            names = [name for name in kinds if f"{name}|{mode}|{similarity}" in result.arrays]
            if not names:
                continue
            curves = [result.arrays[f"{name}|{mode}|{similarity}"].astype(np.float64) for name in names]
            controls = np.array([kinds[name] == "control" for name in names])
            values = np.stack([curve.mean(0) for curve in curves])
            found.append(Judgement(f"{mode}, {similarity}", "cheap", "low", "images", names, controls, values))
    return found
