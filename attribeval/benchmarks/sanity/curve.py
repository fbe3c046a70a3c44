"""What was measured of one method in one mode, step by step, put together from its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from attribeval.runs import failures


@dataclass
class Curve:
    """One method in one mode.

    Attributes:
        label: The method.
        kind: "method" or "control".
        mode: "cascading", "independent" or "labels".
        steps: Place of each layer from the output, 1 first, (S,).
        layers: Their paths, (S,).
        values: Similarity → float64 (S, N); NaN where it is undefined, or failed.
        seconds: Per image, (S,); NaN where no map was made.
        errors: Similarity → why values are missing at a step, (S,); "" where nothing failed.
    """

    label: str
    kind: str
    mode: str
    steps: list[int]
    layers: list[str]
    values: dict[str, np.ndarray] = field(default_factory=dict)
    seconds: np.ndarray | None = None
    errors: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Part:
    """What was measured of some images, with some layers random.

    Attributes:
        images: How many.
        arrays: Similarity → (images,), without what failed; "seconds" of all; "example", a map of the first.
        failed: Similarity → why it is missing.
    """

    images: int
    arrays: dict[str, np.ndarray]
    failed: dict[str, str]


def fill_curve(curve: Curve, points: Sequence[Sequence[Part]], similarities: Sequence[str], kept: bool) -> None:
    """Put a method's measurements into its curve.

    Args:
        curve: Gets values, seconds and errors.
        points: For each step, its parts.
        similarities: Names.
        kept: Whether there is a directory in which a next run can go on.
    """
    for name in similarities:
        curve.values[name] = np.stack(
            [np.concatenate([one.arrays.get(name, np.full(one.images, np.nan)) for one in step]) for step in points]
        )
        reasons = [[one.failed[name] for one in step if name in one.failed] for step in points]
        curve.errors[name] = [
            failures.row_text(some, len(step), kept=kept) for some, step in zip(reasons, points, strict=True)
        ]
    curve.seconds = np.array([_seconds_per_image(step) for step in points])


def _seconds_per_image(parts: Sequence[Part]) -> float:
    made = [one for one in parts if "seconds" in one.arrays]
    return sum(float(one.arrays["seconds"]) for one in made) / sum(one.images for one in made) if made else np.nan
