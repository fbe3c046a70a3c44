"""Max-sensitivity (Yeh et al. 2019): the largest change of the map among images next to the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from attribeval.metrics.card import Card
from attribeval.metrics.robustness.distances import distances, norms, ratio
from attribeval.metrics.robustness.neighbourhood import Neighbourhood, checked_neighbour_maps
from attribeval.metrics.subject import Explained, Subject, checked_maps


def max_sensitivity(maps: np.ndarray, neighbour_maps: np.ndarray) -> np.ndarray:
    """max over neighbours of ‖φ(x + δ) − φ(x)‖ / ‖φ(x)‖ (Yeh et al. 2019, SENS_MAX, divided by the norm of the map).

    A maximum over few neighbours is a lower bound of the maximum over the ball, and grows with their number: compare
    methods at the same number only.

    Differs from the paper's definition, which does not divide: maps of two methods have two units. From the authors'
    code (`infid_sen_utils.py`): it divides the running maximum anew at every sample. From Quantus: it divides by the
    norm of the *image*, which leaves the unit of the map in. From all: the radius is relative to the image's range
    (`draw_neighbours`).

    Args:
        maps: φ(x), (N, H, W) or (N, H, W, C), signed as the method gave them.
        neighbour_maps: φ(x + δ) for S neighbours of each image, (N, S, ...), for the same class and with the same
            random numbers.

    Returns:
        float64 (N,), 0 or more, low is robust. NaN for a map of zeros, relative to which no change has a size.

    Raises:
        AttribevalError: If shapes do not match, or a map is not finite (naming it).
    """
    maps = checked_maps(maps, channels=True)
    neighbour_maps = checked_neighbour_maps(maps, neighbour_maps)
    return ratio(distances(maps, neighbour_maps).max(1), norms(maps))


@dataclass(frozen=True)
class MaxSensitivity(Neighbourhood):
    """Max-sensitivity on the leaderboard; options and sharing: `Neighbourhood`."""

    card: ClassVar[Card] = Card(
        name="max_sensitivity",
        family="robustness",
        summary="largest change of the map among 4 images within 2 %, as a share of its norm; 0 is robust",
        better="low",
        passes="0 + 4 maps",
        paper="Yeh et al. 2019, SENS_MAX",
        maths=(
            r"\max_\delta \frac{\Vert \varphi(x + \delta) - \varphi(x) \Vert_2}{\Vert \varphi(x) \Vert_2}, "
            r"\qquad \Vert \delta \Vert_\infty \leq r \, (\max x - \min x)"
        ),
        misleads="A map that hardly looks at the image, such as noise with a fixed seed, is perfectly robust.",
        needs=("explain",),
    )

    def score(self, subject: Subject, prepared: Any, explained: Explained) -> np.ndarray:
        """As `max_sensitivity`, (N,); NaN also for images that were not judged or have one value only."""
        maps = self.maps(subject, explained)
        return self.finish(max_sensitivity(explained.values[: self.images], maps), subject)
