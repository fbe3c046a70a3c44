"""Local Lipschitz estimate (Alvarez-Melis & Jaakkola 2018): change of the map per change of the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribeval.common.options import check_flag
from attribeval.metrics.card import Card
from attribeval.metrics.robustness.neighbourhood import Neighbourhood, checked_near, distances, norms, ratio, spans
from attribeval.metrics.subject import Subject, checked_maps


def local_lipschitz(
    maps: np.ndarray, neighbour_maps: np.ndarray, images: np.ndarray, neighbours: np.ndarray, relative: bool = False
) -> np.ndarray:
    """max over neighbours of ‖φ(x′) − φ(x)‖₂ / ‖x′ − x‖₂ (Alvarez-Melis & Jaakkola 2018, the discrete estimate).

    As published it has a unit, map per pixel value, so it compares images and models, but not methods. `relative`
    makes it a number: the change of the map as a share of its norm, divided by the root mean square change of the
    pixels as a share of the image's range. 1 means that a change of the pixels by 1 % changes the map by 1 %.

    Differs from Quantus: it divides each of the two maps by its own largest |·|, by which a map that only grows counts
    as unchanged.

    Args:
        maps: φ(x), (N, H, W) or (N, H, W, C), signed as the method gave them.
        neighbour_maps: φ(x′), (N, S, ...), for the same class and with the same random numbers.
        images: x, raw, (N, H, W, C).
        neighbours: x′, raw, (N, S, H, W, C).
        relative: See above.

    Returns:
        float64 (N,), 0 or more, low is robust. NaN where no neighbour differs from its image; if relative also for a
        map of zeros.

    Raises:
        AttribevalError: If shapes do not match, or a map is not finite (naming it).
    """
    maps, neighbour_maps = checked_near(checked_maps(maps, images, channels=True), neighbour_maps, images, neighbours)
    slopes = ratio(distances(maps, neighbour_maps), distances(images, neighbours))
    steepest = np.fmax.reduce(slopes, axis=1)  # NaN counts only where there is nothing else
    if not relative:
        return steepest
    size = np.sqrt(images[0].size)
    return ratio(np.asarray(spans(images), np.float64) * size * steepest, norms(maps))


@dataclass(frozen=True)
class LocalLipschitz(Neighbourhood):
    """The local Lipschitz estimate on the leaderboard; other options and sharing: `Neighbourhood`.

    Attributes:
        relative: As in `local_lipschitz`; True, because a leaderboard compares methods.
    """

    relative: bool = True

    card = Card.of(r"""
        local_lipschitz (robustness): largest relative change of the map per relative change of the image; 0 is robust
        better: low
        passes: 0 + 4 maps
        paper: Alvarez-Melis & Jaakkola 2018, local Lipschitz estimate
        maths: \frac{\sqrt{d} \; (\max x - \min x)}{\Vert \varphi(x) \Vert_2} \; \max_{x^\prime} \frac{\Vert
            \varphi(x^\prime) - \varphi(x) \Vert_2}{\Vert x^\prime - x \Vert_2}, \qquad x \in R^d
        misleads: Uniform noise on many pixels always has nearly the same norm, so that the order of methods is nearly
            that of max_sensitivity.
        needs: explain
    """)

    def __post_init__(self):
        super().__post_init__()
        check_flag("relative", self.relative)

    def judge(self, subject: Subject, near: np.ndarray, maps: np.ndarray, near_maps: np.ndarray) -> np.ndarray:
        return local_lipschitz(maps, near_maps, subject.images[: self.images], near, self.relative)
