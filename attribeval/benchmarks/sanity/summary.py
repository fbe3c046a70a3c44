"""What was measured of methods, step by step: put together from its parts, and as a table with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.benchmarks.sanity.sentences import sentences
from attribeval.results.comparisons import t_interval
from attribeval.results.result import Result
from attribeval.runs import failures

if TYPE_CHECKING:
    import pandas as pd


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
    seconds: np.ndarray | float = np.nan
    errors: dict[str, list[str]] = field(default_factory=dict)

    def fill(self, points: Sequence[Sequence[Part]], similarities: Sequence[str], kept: bool) -> None:
        """Put the parts of each step together; `kept`: there is a directory in which a next run can go on."""
        for name in similarities:
            self.values[name] = np.stack(
                [np.concatenate([one.arrays.get(name, np.full(one.images, np.nan)) for one in step]) for step in points]
            )
            reasons = [[one.failed[name] for one in step if name in one.failed] for step in points]
            self.errors[name] = [
                failures.row_text(some, len(step), kept=kept) for some, step in zip(reasons, points, strict=True)
            ]
        self.seconds = np.array([_seconds_per_image(step) for step in points])


def _seconds_per_image(parts: Sequence[Part]) -> float:
    made = [one for one in parts if "seconds" in one.arrays]
    return sum(float(one.arrays["seconds"]) for one in made) / sum(one.images for one in made) if made else np.nan


def summarise(curves: Sequence[Curve], settings: dict[str, Any], benchmark: str = "sanity") -> Result:
    """The table, methods that changed most first, the sentences, and the curves of every image."""
    import pandas as pd

    table = pd.concat([rows for curve in curves for rows in _rows(curve, settings["similarities"])])
    first = table[(table["mode"] == settings["modes"][0]) & (table["metric"] == settings["similarities"][0])]
    means = first.groupby("method", sort=False)["value"].mean().sort_values(kind="stable", na_position="last")
    table = table.sort_values("method", key=means.index.get_indexer, kind="stable", ignore_index=True)
    arrays = {
        f"{curve.label}|{curve.mode}|{name}": values.astype(np.float32)
        for curve in curves
        for name, values in curve.values.items()
        if np.isfinite(values).any() or not any(curve.errors.get(name, ()))
    }
    return Result(benchmark, table, settings, sentences(table, arrays, settings), arrays)


def interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over images and its 95 % interval (Student's t) of each row of (S, N), images that are NaN left out.

    NaN where no image has a number; low and high also where only one has.
    """
    found = np.full((3, len(values)), np.nan)
    for row, of_images in enumerate(np.asarray(values, np.float64)):
        known = of_images[np.isfinite(of_images)]
        if known.size:
            found[:, row] = known.mean(), *t_interval(known)
    value, low, high = found
    return value, low, high


def _rows(curve: Curve, similarities: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Of each similarity, a row per step."""
    import pandas as pd

    for name in similarities:
        value, low, high = interval(curve.values[name])
        columns: dict[str, Any] = {"method": curve.label, "kind": curve.kind, "mode": curve.mode, "step": curve.steps}
        columns |= {"layer": curve.layers, "metric": name, "value": value, "low": low, "high": high}
        columns |= {"images": np.isfinite(curve.values[name]).sum(1), "seconds_per_image": curve.seconds}
        yield pd.DataFrame(columns | {failures.COLUMN: curve.errors.get(name, "")})
