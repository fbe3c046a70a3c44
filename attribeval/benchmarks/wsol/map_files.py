"""Scores of maps that lie in files."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import Any

from attribeval.benchmarks.wsol.evaluate import evaluate
from attribeval.benchmarks.wsol.reference import drawn_mask
from attribeval.datasets.geometry import scale_boxes
from attribeval.datasets.samples import Samples
from attribeval.datasets.wsol_layout import wsol_maps
from attribeval.results.result import Result


def evaluate_files(folder: str, dataset: Samples, options: dict[str, Any]) -> Result:
    """Score map files, whose pixels the boxes are scaled to.

    Args:
        folder: Of the files, `<id>.npy` each.
        dataset: Images with boxes or masks.
        options: Fields of `WsolOptions`; those that are about a model's maps are not looked at.

    Returns:
        See `evaluate`; the method is called as the folder is.
    """
    maps = wsol_maps(folder, dataset.ids)
    sizes = [heatmap.shape for heatmap in maps]
    boxes = None
    masks: Any = None
    if dataset.boxes is not None:
        boxes = [scale_boxes(of_one, (1, 1), size) for of_one, size in zip(dataset.boxes, sizes, strict=True)]
    if dataset.masks is not None:
        masks = _Drawn(dataset, sizes, options["protocol"])
    name = Path(folder).resolve().name
    return evaluate(
        {name: maps}, boxes=boxes, masks=masks, labels=dataset.labels, ids=dataset.ids,
        photographs=dataset.images if isinstance(dataset.images, list) else None,
        **{one: value for one, value in options.items() if one in signature(evaluate).parameters},
    )  # fmt: skip


class _Drawn:
    """Masks of the maps' sizes (for the reference code those that it makes), drawn when they are indexed."""

    def __init__(self, dataset: Any, sizes: list[tuple[int, int]], protocol: str):
        self._dataset, self._sizes, self._protocol = dataset, sizes, protocol

    def __len__(self) -> int:
        return len(self._sizes)

    def __getitem__(self, item: int) -> Any:
        if self._protocol == "reference":
            return drawn_mask(self._dataset, item)
        return self._dataset.mask_at(item, self._sizes[item])
