"""What BAM says of methods, of models whose answer is known: each metric's score of each image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attribeval.results.judgement import Judgement

if TYPE_CHECKING:
    from attribeval.results.result import Result

_METRICS = ("MCS", "IDR", "IIR")  # high is better in each (Yang & Kim 2019, section 4)


def judgements(result: Result) -> list[Judgement]:
    """One per metric of maps; TCAV, which has none, is left out."""
    kinds = dict(zip(result.table["method"], result.table["kind"], strict=True))
    found = []
    for metric in _METRICS:
        names = [name for name in kinds if f"{name}/{metric}" in result.arrays]
        if names:
            values = np.stack([result.arrays[f"{name}/{metric}"] for name in names])
            controls = np.array([kinds[name] == "control" for name in names])
            found.append(Judgement(metric, "known answer", "high", "images", names, controls, values))
    return found
