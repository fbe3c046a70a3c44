"""The pointing game (Zhang et al. 2018), image by image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from attribeval.common.options import check_positive
from attribeval.datasets.samples import Samples
from attribeval.metrics.card import Card
from attribeval.metrics.localisation.pointing import TOLERANCE, pointing_hit
from attribeval.metrics.localisation.truth import Regions, Truth, per_region


def pointing_game(maps: np.ndarray, regions: np.ndarray, tolerance: float = TOLERANCE) -> np.ndarray:
    """Whether each map's highest pixel lies on the object, or at most `tolerance` pixels beside it.

    See `localisation.pointing.pointing_hit`, which decides.

    Args:
        maps: (N, H, W), high where the object is supposed to be.
        regions: The objects' pixels, bool (N, H, W).
        tolerance: In pixels of the map.

    Returns:
        float64 (N,), 1 or 0; of several highest pixels the share that hits. NaN for an image without object pixels.

    Raises:
        AttribevalError: If shapes do not match, or a map is not finite (naming it).
    """
    return per_region(maps, regions, partial(pointing_hit, tolerance=tolerance))


@dataclass(frozen=True)
class PointingGame(Regions):
    """The pointing game on the leaderboard: the mean over the classes of the data, as it is published, of their hits.

    Attributes:
        truth: "either": masks where the data have them, which say best where the object is, else its boxes. "boxes" or
            "masks" ask for one of the two.
        tolerance: In pixels of the map.
    """

    truth: Truth = "either"
    tolerance: float = TOLERANCE

    card = Card.of(r"""
        pointing_game (localisation): share of images, mean of classes, whose strongest pixel is on the object or 15
            pixels beside it
        better: high
        passes: 0 + 0
        paper: Zhang et al. 2018, sec. 4.2
        maths: 1\left[\min_{v \in B} \Vert \hat u - v \Vert_2 \leq t\right], \qquad \hat u = \arg\max_u M(u)
        misleads: The centre of a photograph often hits; and a model may rightly look at something else.
        needs: boxes, masks
    """)

    def __post_init__(self):
        super().__post_init__()
        check_positive("tolerance", self.tolerance)

    def measure(self, heat: np.ndarray, region: np.ndarray) -> float:
        return pointing_hit(heat, region, self.tolerance)

    def centre(self, samples: Samples, size: tuple[int, int]) -> np.ndarray:
        """What a map scores that is highest in the middle of each image, whatever the image and the model.

        Args:
            samples: Images with boxes or masks.
            size: (height, width) at which they are scored.

        Returns:
            As `pointing_game`, (N,). Where a side is even, two pixels are in the middle, of which each counts half.
        """
        heat = np.zeros((1, *size))
        heat[:, (size[0] - 1) // 2 : size[0] // 2 + 1, (size[1] - 1) // 2 : size[1] // 2 + 1] = 1
        each = (samples[item : item + 1] for item in range(len(samples)))
        return np.concatenate([pointing_game(heat, self.regions(one, size), self.tolerance) for one in each])
