"""Maps, and how they were made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from attribeval.attributions import map_file
from attribeval.attributions.outside import checked_classes, checked_maps
from attribeval.errors import AttribevalError

if TYPE_CHECKING:
    import pandas as pd

    from attribeval.datasets.source import Photographs

Reduce = Literal["abs_sum", "abs_max", "sum", "positive_sum"]
_REDUCTIONS = {
    "abs_sum": lambda v: np.abs(v).sum(-1),
    "abs_max": lambda v: np.abs(v).max(-1),
    "sum": lambda v: v.sum(-1),
    "positive_sum": lambda v: np.maximum(v, 0).sum(-1),
}


@dataclass(frozen=True, eq=False)
class Attributions:
    """The maps of one method on N images.

    Attributes:
        values: float32 (N, H, W, C), or (N, H, W, 1) for methods that score places; raw and signed, never normalised;
            channels in the order of the images given.
        targets: Class explained for each image, int32 (N,).
        method: Name of the method.
        options: The method's options.
        seconds: Time spent on this method; shared work counts for the method that came first.
        model: Name of the model.
        seed: The seed of everything random; None where each image was given its own.
        completeness_gap: For methods that promise that the map sums to a score difference: the sum minus that
            difference, float32 (N,), in score units. None for other methods.
        class_names: Names by class index, or None.
        task: What the output was read as: "multiclass", "multilabel", "binary", "regression", "score"; None: not known.
        image_input: Name of the input that is explained, of a model with several; else None.
        versions: Versions of attribeval, tensorflow and keras.
        photographs: The images explained, which `plot` draws beneath the maps; None if they are not known. They are
            not saved.
        ids: Name of each image: of files the file's name, of `Samples` theirs; None: the images had none.
        paths: File of each image; None: they were no files.
        probabilities: What the model said of each image, float32 (N, classes): probabilities, of a regression the
            quantities. None where it was not asked, because all targets were given and the method needs no scores.
        preprocessing: What made the images the model's input, by name; None: not known.
        target_layer: Path of the layer for class activation maps; None: there is none, or it is not known.
    """

    values: np.ndarray
    targets: np.ndarray
    method: str
    options: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    model: str = ""
    seed: int | None = 0
    completeness_gap: np.ndarray | None = None
    class_names: list[str] | None = None
    task: str | None = None
    image_input: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    photographs: Photographs | None = field(default=None, repr=False)
    ids: list[str] | None = None
    paths: list[str] | None = None
    probabilities: np.ndarray | None = None
    preprocessing: str | None = None
    target_layer: str | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 4 or len(self.values) != len(self.targets):
            raise AttribevalError(
                f"Expected values (N, H, W, C) and N targets. Received: {self.values.shape} and {len(self.targets)}."
            )

    def __len__(self) -> int:
        return len(self.values)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.array(self.values, dtype=dtype, copy=copy)

    def __getitem__(self, index: int | slice | Sequence[int]) -> Attributions:
        """The maps of some images; one int gives a set of one."""
        order = np.atleast_1d(np.arange(len(self))[index])
        gap = None if self.completeness_gap is None else self.completeness_gap[order]
        photographs = None if self.photographs is None else self.photographs[order]
        return replace(
            self,
            values=self.values[order],
            targets=self.targets[order],
            completeness_gap=gap,
            photographs=photographs,
            probabilities=None if self.probabilities is None else self.probabilities[order],
            ids=None if self.ids is None else [self.ids[i] for i in order],
            paths=None if self.paths is None else [self.paths[i] for i in order],
        )

    def __repr__(self) -> str:
        image = "" if self.image_input is None else f", input {self.image_input!r}"
        return (
            f"Attributions({self.method!r} of {self.model!r}{image}, values {self.values.shape}, {self.seconds:.1f} s)"
        )

    def _repr_html_(self) -> str:
        from attribeval.report.notebook import attributions_html

        return attributions_html(self)

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.startswith("_")]  # what a user completes

    def heatmap(self, reduce: Reduce = "abs_sum", clip: float | None = None, normalise: bool = False) -> np.ndarray:
        """One number per place.

        Args:
            reduce: How channels become one: "abs_sum" Σ|v|, "abs_max" max|v|, "sum" Σv (signed), "positive_sum"
                Σmax(v, 0).
            clip: Percentile of each map's absolute values at which it is cut (99 is usual); None: not. A map whose
                percentile is 0 is not cut.
            normalise: Divide each map by its largest absolute value, giving [0, 1], or [−1, 1] for "sum". Zeros stay.

        Returns:
            float32 (N, H, W), a new array.

        Example:
            >>> values = np.array([[[[1.0, -1.0], [2.0, 2.0]]]], np.float32)  # one image of 1 × 2 pixels, two channels
            >>> maps = Attributions(values, targets=np.array([0]), method="by hand")
            >>> maps.heatmap().tolist(), maps.heatmap("sum").tolist()
            ([[[2.0, 4.0]]], [[[0.0, 4.0]]])
            >>> maps.heatmap(normalise=True).tolist()
            [[[0.5, 1.0]]]
        """
        if reduce not in _REDUCTIONS:
            raise AttribevalError(f"Expected reduce to be one of {', '.join(_REDUCTIONS)}. Received: {reduce!r}.")
        heat = _REDUCTIONS[reduce](self.values).astype(np.float32)
        if clip is not None:
            if not 0 < clip <= 100:
                raise AttribevalError(f"Expected clip to be a percentile in (0, 100]. Received: {clip}.")
            limit = np.percentile(np.abs(heat), clip, axis=(1, 2), keepdims=True).astype(np.float32)
            limit = np.where(limit > 0, limit, np.inf)  # fewer values than the percentile leaves out: nothing to cut
            heat = np.clip(heat, -limit, limit)
        if normalise:
            largest = np.abs(heat).max(axis=(1, 2), keepdims=True)
            heat = np.divide(heat, largest, out=np.zeros_like(heat), where=largest > 0)
        return heat

    def table(self, top: int = 3) -> pd.DataFrame:
        """What the model said of each image, for people; a row per map.

        Args:
            top: So many of the model's classes, the most probable first.

        Returns:
            Columns: image (id, or number); path, if known; explained, the class by name; and where `probabilities` are
            known, its probability, and "class k", "probability k" for k = 1 … top (of a regression "quantity").

        Example:
            >>> said = {"class_names": ["cat", "dog"], "probabilities": np.array([[0.75, 0.25]], np.float32)}
            >>> maps = Attributions(np.ones((1, 2, 2, 1), np.float32), np.array([1]), "by hand", **said)
            >>> maps.table(top=1).to_dict("records")
            [{'image': '0', 'explained': 'dog', 'probability': 0.25, 'class 1': 'cat', 'probability 1': 0.75}]
        """
        import pandas as pd

        from attribeval.map_rows import map_rows

        return pd.DataFrame(list(map_rows(self, top)))

    def plot(self, images: np.ndarray | None = None, **options: Any):
        """Draw the maps over the images explained, or over others; see `attribeval.plots.overlays`.

        Args:
            images: As in `overlays`. None: those that were explained, read again; the maps alone where these are not
                known, as after `load`.
            **options: Of `overlays`.

        Returns:
            matplotlib Figure.
        """
        from attribeval.plots import overlays

        return overlays(self.photographs if images is None else images, {self.method: self}, **options)

    def save(self, path: str | os.PathLike) -> Path:
        """Write values and description to one `.npz` file (nothing pickled), by way of a temporary name.

        Args:
            path: If it ends in `.npy`, the values alone are written, float32 (N, H, W, C), for other programs; whoever
                reads them back must bring the targets.

        Returns:
            The path, with `.npz` appended if it had neither ending.
        """
        return map_file.write(self, Path(path))

    def arrays(self) -> dict[str, np.ndarray]:
        """All that a file of `save` holds, by name."""
        return map_file.arrays_of(self)

    @classmethod
    def from_array(
        cls, values: Any, targets: int | Sequence[int] | np.ndarray, *,
        method: str = "external", model: str = "", options: dict[str, Any] | None = None, seconds: float = 0.0,
        class_names: Sequence[str] | None = None,
    ) -> Attributions:  # fmt: skip
        """Maps that another program made, to be drawn, saved and scored as ours are.

        Args:
            values: Array or tensor (N, H, W, C), channels last, or (N, H, W), which becomes (N, H, W, 1); raw and
                signed; turned to float32. One map (H, W) or (H, W, C) is (1, …): pass `values[None]`.
            targets: Class that each map explains, N ints, or one int for all.
            method: What tables call it.
            model, options, seconds, class_names: What is known about it.

        Returns:
            The maps; the array is copied.

        Raises:
            AttribevalError: If shapes do not fit, a target is no class index, or a map is not finite (naming it).
        """
        array = checked_maps(values)
        classes = checked_classes(targets, len(array))
        names = None if class_names is None else list(class_names)
        return cls(array, classes, method, options or {}, seconds, model, seed=None, class_names=names)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Attributions:
        """Read what `save` wrote to an `.npz` file.

        A bare `.npy` file does not say which classes its maps explain: `from_array(np.load(path), targets)` reads it.

        Raises:
            AttribevalError: If the file is missing or not one of ours.
        """
        return map_file.read(Path(path), cls)
