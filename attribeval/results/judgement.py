"""What a finished study says of each method, and what that rests on: images, or repeats of a training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from attribeval.errors import AttribevalError


@dataclass(frozen=True, eq=False)
class Judgement:
    """One score of a study, of every method.

    Attributes:
        name: The score: "deletion", "MaxBoxAcc", "ROAR".
        kind: "cheap", of a model as it is; "retrained", of models that were trained without what a method calls
            important; "known answer", of models that were trained so that it is known what is important.
        better: Whether a high or a low score is better.
        units: What a method's score is the mean of: "images", or "repeats" of a training.
        methods: Labels of methods and controls, (M,).
        controls: Which of them are controls, bool (M,).
        values: float64 (M, units); NaN where a method has no score.

    Raises:
        AttribevalError: If the shapes do not fit.
    """

    name: str
    kind: Literal["cheap", "retrained", "known answer"]
    better: Literal["high", "low"]
    units: Literal["images", "repeats"]
    methods: Sequence[str]
    controls: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or not len(self.methods) == len(self.controls) == len(self.values):
            raise AttribevalError(
                f"Expected values (methods, {self.units}) of {len(self.methods)} methods. Received: "
                f"{self.values.shape}, and {len(self.controls)} kinds."
            )

    def goodness(self) -> np.ndarray:
        """The values with the sign at which higher is better, float64 (M, units)."""
        values = np.asarray(self.values, np.float64)
        return values if self.better == "high" else -values
