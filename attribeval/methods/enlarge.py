"""From the cells of a layer to the pixels of the image: evenly, or where the cells look."""

from __future__ import annotations

from typing import Any

from attribeval.methods.batch import Batch
from attribeval.models import placement


def enlarge(batch: Batch, maps: Any, layer: str | None, align: bool) -> Any:
    """Maps at the size of the images.

    Args:
        batch: The images.
        maps: One value per cell, (B, h, w, c).
        layer: Name or path of their layer; None: the classifier's target layer.
        align: Cells lie at the middles of what they see (`placement.enlarge`); else evenly over the image.

    Returns:
        float32 tensor (B, H, W, c).
    """
    if align:
        return placement.enlarge(batch.classifier, maps, batch.size, layer)
    return batch.resize(maps)
