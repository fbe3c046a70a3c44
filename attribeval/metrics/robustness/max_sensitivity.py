"""Max-sensitivity (Yeh et al. 2019): the largest change of the map among images next to the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribeval.metrics.card import Card
from attribeval.metrics.robustness.neighbourhood import Neighbourhood, sensitivities
from attribeval.metrics.subject import Subject


def max_sensitivity(maps: np.ndarray, neighbour_maps: np.ndarray) -> np.ndarray:
    """max over neighbours of ‖φ(x + δ) − φ(x)‖ / ‖φ(x)‖ (Yeh et al. 2019, SENS_MAX, divided by the norm of the map).

    A maximum over few neighbours is a lower bound of the maximum over the ball, and grows with their number: compare
    methods at the same number only.

    Differs from the paper's definition, which does not divide: maps of two methods have two units. From the authors'
    code (`infid_sen_utils.py`): it divides the running maximum anew at every sample. From Quantus: it divides by the
    norm of the *image*, which leaves the unit of the map in. From all: the radius is relative to the image's range
    (`draw_neighbours`).

    Args:
        maps, neighbour_maps: As of `average_sensitivity`.

    Returns:
        float64 (N,), 0 or more, low is robust. NaN for a map of zeros.

    Raises:
        AttribevalError: As `average_sensitivity`.
    """
    return sensitivities(maps, neighbour_maps).max(1)


@dataclass(frozen=True)
class MaxSensitivity(Neighbourhood):
    """Max-sensitivity on the leaderboard; options and sharing: `Neighbourhood`."""

    card = Card.of(r"""
        max_sensitivity (robustness): largest change of the map among 4 images within 2 %, as a share of its norm; 0 is
            robust
        better: low
        passes: 0 + 4 maps
        paper: Yeh et al. 2019, SENS_MAX
        maths: \max_\delta \frac{\Vert \varphi(x + \delta) - \varphi(x) \Vert_2}{\Vert \varphi(x) \Vert_2}, \qquad \Vert
            \delta \Vert_\infty \leq r \, (\max x - \min x)
        misleads: A map that hardly looks at the image, such as noise with a fixed seed, is perfectly robust.
        needs: explain
    """)

    def judge(self, subject: Subject, near: np.ndarray, maps: np.ndarray, near_maps: np.ndarray) -> np.ndarray:
        return max_sensitivity(maps, near_maps)
