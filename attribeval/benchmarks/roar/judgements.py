"""What ROAR and KAR say of methods: accuracy after retraining, on the mean over fractions, for each repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from attribeval.results.judgement import Judgement

if TYPE_CHECKING:
    from attribeval.results.result import Result

_MODES: dict[str, tuple[str, Literal["high", "low"]]] = {"remove": ("ROAR", "low"), "keep": ("KAR", "high")}


def judgements(result: Result) -> list[Judgement]:
    """ROAR, where low is better, and KAR, where high is; a repeat that lacks a fraction is left out."""
    kinds = dict(zip(result.table["method"], result.table["kind"], strict=True))
    found = []
    for mode, (name, better) in _MODES.items():
        names = [one for one, kind in kinds.items() if kind in ("method", "control")]
        names = [one for one in names if f"{mode}/{one}/accuracy" in result.arrays]
        if names:
            values = np.stack([result.arrays[f"{mode}/{one}/accuracy"].mean(1) for one in names])
            controls = np.array([kinds[one] == "control" for one in names])
            found.append(Judgement(name, "retrained", better, "repeats", names, controls, values))
    return found
