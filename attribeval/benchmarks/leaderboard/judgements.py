"""What a leaderboard says of methods: each benchmark's score of each image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attribeval.results.judgement import Judgement

if TYPE_CHECKING:
    from attribeval.results.result import Result


def judgements(result: Result) -> list[Judgement]:
    """One per benchmark of the board."""
    kinds = result.settings["kinds"]
    controls = np.array([kind == "control" for kind in kinds.values()])
    return [
        Judgement(label, "cheap", better, "images", list(kinds), controls, result.arrays["scores"][:, j])
        for j, (label, better) in enumerate(result.settings["better"].items())
    ]
