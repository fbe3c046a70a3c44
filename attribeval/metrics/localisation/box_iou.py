"""How well the box that CAM's rule draws round a map (Zhou et al. 2016) fits a true one, image by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from attribeval.common.options import check_choice
from attribeval.metrics.card import Card
from attribeval.metrics.localisation.boxes import iou
from attribeval.metrics.localisation.heuristics import READINGS, cam_box
from attribeval.metrics.localisation.truth import known, per_image
from attribeval.metrics.subject import Explained, Subject


def box_iou(
    maps: np.ndarray, boxes: Sequence[np.ndarray], reading: Literal["maximum", "absolute", "quantile"] = "maximum"
) -> np.ndarray:
    """IoU of the box of the largest component above 20 % with the best of the image's true boxes.

    The threshold is the published one and is chosen on no image; `wsol` has the scores that choose it.

    Args:
        maps: (N, H, W), high where the object is supposed to be.
        boxes: For each image its true boxes (k, 4), edges x0, y0, x1, y1 in pixels of the map; k may be 0.
        reading: What the 20 % are of, see `localisation.heuristics.cam_box`.

    Returns:
        float64 (N,), 0 to 1; 0 where nothing is above the threshold. NaN for an image without a box.

    Raises:
        AttribevalError: If lengths differ, a box is inverted, the reading is unknown, or a map is not finite (naming
            it).
    """
    truths = [true if len(true) else None for true in boxes]
    return per_image(maps, truths, lambda heat, true: iou(cam_box(heat, reading)[None], true).max())


@dataclass(frozen=True)
class BoxIoU:
    """The overlap of boxes on the leaderboard.

    Attributes:
        reading: As in `box_iou`.
    """

    reading: Literal["maximum", "absolute", "quantile"] = "maximum"

    card = Card.of(r"""
        box_iou (localisation): IoU of the box of the map's largest part above 20 % of its maximum with the best true
            box, 0 to 1
        better: high
        passes: 0 + 0
        paper: Zhou et al. 2016, sec. 3.2
        maths: \max_B \frac{|b \cap B|}{|b \cup B|}, \qquad b: \mathrm{the\ box\ of\ the\ largest\ component\ of\ } \{u
            : M(u) > 0.2 \max M\}
        misleads: The threshold suits smooth maps: a sharp map falls into dots, whatever it points at. The box of the
            whole image does well where objects are large.
        needs: boxes
    """)

    def __post_init__(self):
        check_choice("reading", self.reading, READINGS)

    def prepare(self, subject: Subject) -> list[np.ndarray]:
        """The true boxes of each image in pixels, N arrays (k, 4)."""
        return known(subject).boxes_at(subject.images.shape[1:3])

    def score(self, subject: Subject, prepared: list[np.ndarray], explained: Explained) -> np.ndarray:
        """As `box_iou`, (N,)."""
        return box_iou(explained.heat, prepared, self.reading)
