"""The numbers of a run in arrays: what was measured of each method by each benchmark on each image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from attribeval.methods.card import Method
from attribeval.metrics.card import Benchmark


@dataclass(eq=False)
class Scores:
    """What a run measured, by method (M), benchmark (B) and image (N); NaN where there is nothing.

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

    methods: Mapping[str, Method]
    benchmarks: Mapping[str, Benchmark]
    values: np.ndarray
    errors: list[list[str]]
    seconds: np.ndarray
    peak_mib: np.ndarray
    scoring_seconds: np.ndarray
    passes: np.ndarray
    prepare_seconds: np.ndarray
    prepare_passes: np.ndarray
    correlations: np.ndarray
    predicted: np.ndarray
    centre: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def empty(cls, methods: Mapping[str, Method], benchmarks: Mapping[str, Benchmark], images: int) -> Scores:
        """Nothing measured yet."""
        m, b = len(methods), len(benchmarks)
        return cls(
            methods,
            benchmarks,
            values=np.full((m, b, images), np.nan),
            errors=[[""] * b for _ in range(m)],
            seconds=np.full((m, images), np.nan),
            peak_mib=np.full((m, images), np.nan),
            scoring_seconds=np.full((m, b, images), np.nan),
            passes=np.full((m, b, images), np.nan),
            prepare_seconds=np.zeros(b),
            prepare_passes=np.zeros(b),
            correlations=np.full((images, m, m), np.nan, np.float32),
            predicted=np.zeros(images, np.int64),
        )

    @property
    def signs(self) -> np.ndarray:
        """1 where higher is better, −1 where lower is, (B,)."""
        return np.array([1.0 if one.card.better == "high" else -1.0 for one in self.benchmarks.values()])

    @property
    def families(self) -> dict[str, list[int]]:
        """Family → places of its benchmarks."""
        places: dict[str, list[int]] = {}
        for j, one in enumerate(self.benchmarks.values()):
            places.setdefault(one.card.family, []).append(j)
        return places
