"""The numbers of a run in arrays: what was measured of each method by each benchmark on each image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from attribeval.methods.card import Method
from attribeval.metrics.card import Benchmark

if TYPE_CHECKING:
    from attribeval.results.result import Result

CENTRE = "centre pixel"  # the row of the pointing game that looks at nothing


class Scores:
    """What a run measured, by method (M), benchmark (B) and image (N); NaN where there is nothing, as at first.

    Attributes:
        methods, benchmarks: By label.
        values: Scores, (M, B, N).
        errors: Why there are none, text by method and benchmark; "" where there is no error.
        seconds, peak_mib: Of explaining, (M, N).
        scoring_seconds, passes: Of each cell, per image, (M, B, N).
        prepare_seconds, prepare_passes: Of each benchmark on all images, (B,).
        correlations: Between the maps of every two methods, (N, M, M).
        predicted: Class, int (N,).
        centre: Scores of the centre pixel, (N,), by the label of a pointing game.
    """

    def __init__(self, methods: Mapping[str, Method], benchmarks: Mapping[str, Benchmark], images: int):
        m, b = len(methods), len(benchmarks)
        self.methods, self.benchmarks = methods, benchmarks
        self.values, self.scoring_seconds, self.passes = np.full((3, m, b, images), np.nan)
        self.errors = [[""] * b for _ in range(m)]
        self.seconds, self.peak_mib = np.full((2, m, images), np.nan)
        self.prepare_seconds, self.prepare_passes = np.zeros((2, b))
        self.correlations = np.full((images, m, m), np.nan, np.float32)
        self.predicted = np.zeros(images, np.int64)
        self.centre: dict[str, np.ndarray] = {}

    @property
    def signs(self) -> np.ndarray:
        """1 where higher is better, −1 where lower is, (B,)."""
        return np.array([1.0 if one.card.better == "high" else -1.0 for one in self.benchmarks.values()])

    @property
    def families(self) -> dict[str, list[int]]:
        """Family → places of its benchmarks."""
        return places(one.card.family for one in self.benchmarks.values())


def places(families: Iterable[str]) -> dict[str, list[int]]:
    """Each one's places, the first of them first."""
    found: dict[str, list[int]] = {}
    for place, family in enumerate(families):
        found.setdefault(family, []).append(place)
    return found


def oriented(result: Result) -> dict[tuple[str, str], np.ndarray]:
    """(method, benchmark) → scores of the images, (N,), larger is better; those of the centre pixel among them."""
    signs = {label: 1 if better == "high" else -1 for label, better in result.settings["better"].items()}
    found = {
        (method, label): sign * result.arrays["scores"][i, j]
        for i, method in enumerate(result.settings["kinds"])
        for j, (label, sign) in enumerate(signs.items())
    }
    centre = {label: result.arrays.get(f"{CENTRE}/{label}") for label in signs}
    return found | {(CENTRE, label): signs[label] * one for label, one in centre.items() if one is not None}
