"""The pointing game (Zhang et al. 2018, "Top-down neural attention by excitation backprop", section 4.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from numbers import Real

import numpy as np

from attribeval.common.options import check_positive
from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError
from attribeval.metrics.card import Card
from attribeval.metrics.localisation.truth import Regions, per_region

TOLERANCE = 15.0


def pointing_hit(heatmap: np.ndarray, region: np.ndarray, tolerance: float = TOLERANCE) -> float:
    """Whether the map's highest pixel lies on the object or at most `tolerance` pixels beside it.

    Args:
        heatmap: Real numbers (H, W).
        region: The object's pixels, bool (H, W), at least one.
        tolerance: In pixels of the map, distance between pixel centres; 15 in the literature, for photographs of some
            500 pixels: the same number is more lenient on a smaller map.

    Returns:
        1 or 0; where several pixels are highest, the share of them that hit (a constant map gets chance).
    """
    rows, columns = np.nonzero(heatmap == heatmap.max())
    if len(rows) == 1:
        y, x = np.nonzero(region)
        return float(((y - rows[0]) ** 2 + (x - columns[0]) ** 2).min() <= tolerance**2)
    from scipy.ndimage import distance_transform_edt

    return float((distance_transform_edt(~region)[rows, columns] <= tolerance).mean())


def hits_by_class(hits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What each image contributes to the mean over classes of the share of hits, as the pointing game reports it.

    The mean M plus N times its derivative by the image's weight: M + N (hit − share of its class) / (classes · images
    of its class). With as many images in every class that is the hit itself, but for how its class differs from M.
    Classes of one image stand together here, or nothing would differ in them: with one image in every class, as where
    labels number the images, it is the hit itself.

    Args:
        hits: (N,) 0..1; NaN: an image without a score, which stays so and does not count.
        labels: Class of each image, ints (N,).

    Returns:
        float64 (N,), whose mean, over the images with a score, is the mean over classes.
    """
    known = ~np.isnan(np.asarray(hits, np.float64))
    found = np.full(len(known), np.nan)
    if not known.any():
        return found
    mine = np.asarray(hits, np.float64)[known]
    _, of_image, images = np.unique(np.asarray(labels)[known], return_inverse=True, return_counts=True)
    shares = np.bincount(of_image, mine) / images
    mean, alone = shares.mean(), images == 1
    if alone.any():
        shares[alone] = shares[alone].mean()
    found[known] = mean + len(mine) / len(images) * (mine - shares[of_image]) / images[of_image]
    return found


def check_tolerance(tolerance: float) -> None:
    """Raise `AttribevalError` unless it is a distance: a finite number, 0 or more."""
    if not isinstance(tolerance, Real) or not 0 <= tolerance < math.inf:
        raise AttribevalError(f"Expected tolerance in pixels, 0 or more. Received: {tolerance!r}.")


def pointing_game(maps: np.ndarray, regions: np.ndarray, tolerance: float = TOLERANCE) -> np.ndarray:
    """Whether each map's highest pixel lies on the object, or at most `tolerance` pixels beside it.

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
        tolerance: In pixels of the map.
    """

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
