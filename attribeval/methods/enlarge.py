"""From the cells of a layer to the pixels of the image: evenly, or where the cells look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval.methods.batch import Batch
from attribeval.models import placement


@dataclass(frozen=True)
class OnLayer:
    """The options of all class activation maps.

    Attributes:
        layer: Name or path of the layer; None takes the last spatial output (`Classifier.target_layer`).
        align: Draw each cell where the middle of what it sees lies, by strides and paddings, not evenly over the image.
    """

    layer: str | None = None
    align: bool = False

    def enlarged(self, batch: Batch, maps: Any) -> Any:
        """Maps of the layer's cells, (B, h, w, c), at the size of the images, float32 (B, H, W, c)."""
        if self.align:
            return placement.enlarge(batch.classifier, maps, batch.size, self.layer)
        return batch.resize(maps)
