"""Relative input stability (Agarwal et al. 2022): relative change of the map per relative change of the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribeval.metrics.card import Card
from attribeval.metrics.robustness.neighbourhood import checked_near
from attribeval.metrics.robustness.stability import Stability, largest_kept, relative_change, same_class
from attribeval.metrics.subject import Subject


def relative_input_stability(
    maps: np.ndarray, neighbour_maps: np.ndarray, images: np.ndarray, neighbours: np.ndarray, kept: np.ndarray,
    floor: float = 0.01, epsilon: float = 1e-6,
) -> np.ndarray:  # fmt: skip
    """RIS: max of ‖(φ − φ′) / φ‖₂ / max(‖(x − x′) / x‖₂, ε) over neighbours of the same class (Agarwal 2022, eq. 2).

    Both divisions are element by element.

    Differs from the paper and from Quantus: the paper does not say what a change relative to 0 is; Quantus divides by
    1e-6 instead, whatever the unit, and one pixel without attribution is then the whole number. Here no element is
    divided by less than `floor` times the largest. Quantus gives NaN as soon as one neighbour changes the class; here
    such neighbours are left out, as the paper's definition of the neighbourhood says.

    Args:
        maps: φ, (N, H, W) or (N, H, W, C), signed as the method gave them.
        neighbour_maps: φ′, (N, S, ...), for the same class and with the same random numbers.
        images: x, raw, (N, H, W, C).
        neighbours: x′, raw, (N, S, H, W, C).
        kept: Whether the model predicts the same class for x′ as for x, bool (N, S).
        floor: See `stability.Stability`.
        epsilon: Smallest divisor.

    Returns:
        float64 (N,), 0 or more, low is stable. NaN where no neighbour is kept, and for a map or an image of zeros.

    Raises:
        AttribevalError: If shapes do not match, or a map is not finite (naming it).
    """
    maps, neighbour_maps = checked_near(maps, neighbour_maps, images, neighbours)
    changes = relative_change(maps, neighbour_maps, floor)
    return largest_kept(changes / np.maximum(relative_change(images, neighbours, floor), epsilon), kept)


@dataclass(frozen=True)
class RelativeInputStability(Stability):
    """RIS on the leaderboard; options: `Stability`. The neighbours' logits are asked for once for all methods."""

    card = Card.of(r"""
        relative_input_stability (robustness): largest element-wise relative change of the map per that of the image,
            class kept; 0 is stable
        better: low
        passes: 4 + 4 maps
        paper: Agarwal et al. 2022, eq. 2
        maths: \max_{x^\prime : \hat y(x^\prime) = \hat y(x)} \frac{D(\varphi, \varphi^\prime)}{\max(D(x, x^\prime),
            \epsilon)}, \qquad D(a, a^\prime) = \left\Vert \frac{a - a^\prime}{\max(|a|, \, \eta \max_i |a_i|)}
            \right\Vert_2
        misleads: Each pixel counts relative to itself: the many with next to no attribution make up the number, not
            those that one sees.
        needs: explain
    """)

    def judge(self, subject: Subject, near: np.ndarray, maps: np.ndarray, near_maps: np.ndarray) -> np.ndarray:
        images, kept = subject.images[: self.images], same_class(*self.logits(subject))
        return relative_input_stability(maps, near_maps, images, near, kept, self.floor, self.epsilon)
