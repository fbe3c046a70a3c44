"""Average sensitivity (Bhatt et al. 2020): the mean change of the map among images next to the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribeval.metrics.card import Card
from attribeval.metrics.robustness.neighbourhood import Neighbourhood, sensitivities
from attribeval.metrics.subject import Subject


def average_sensitivity(maps: np.ndarray, neighbour_maps: np.ndarray) -> np.ndarray:
    """mean over neighbours of ‖φ(x + δ) − φ(x)‖ / ‖φ(x)‖ (Bhatt et al. 2020, definition 2, divided by the map's norm).

    Other than the maximum it does not grow with the number of neighbours, more of them only make it more exact.

    Differs from Quantus: it divides by the norm of the image, which leaves the unit of the map in. From Xplique, which
    takes the distance undivided.

    Args:
        maps: φ(x), (N, H, W) or (N, H, W, C), signed as the method gave them.
        neighbour_maps: φ(x + δ) for S neighbours of each image, (N, S, ...), for the same class and with the same
            random numbers.

    Returns:
        float64 (N,), 0 or more, low is robust. NaN for a map of zeros, relative to which no change has a size.

    Raises:
        AttribevalError: If shapes do not match, or a map is not finite (naming it).
    """
    return sensitivities(maps, neighbour_maps).mean(1)


@dataclass(frozen=True)
class AverageSensitivity(Neighbourhood):
    """Average sensitivity on the leaderboard; options and sharing: `Neighbourhood`."""

    card = Card.of(r"""
        average_sensitivity (robustness): change of the map, averaged over 4 images within 2 %, as a share of its norm;
            0 is robust
        better: low
        passes: 0 + 4 maps
        paper: Bhatt et al. 2020, def. 2
        maths: E_\delta \left[\frac{\Vert \varphi(x + \delta) - \varphi(x) \Vert_2}{\Vert \varphi(x) \Vert_2}\right],
            \qquad \Vert \delta \Vert_\infty \leq r \, (\max x - \min x)
        misleads: A map that hardly looks at the image, such as noise with a fixed seed, is perfectly robust.
        needs: explain
    """)

    def judge(self, subject: Subject, near: np.ndarray, maps: np.ndarray, near_maps: np.ndarray) -> np.ndarray:
        return average_sensitivity(maps, near_maps)
