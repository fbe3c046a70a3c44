"""Relative output stability (Agarwal et al. 2022): relative change of the map per change of the model's output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribeval.metrics.card import Card
from attribeval.metrics.robustness.neighbourhood import checked_near, distances
from attribeval.metrics.robustness.stability import Stability, largest_kept, relative_change, same_class
from attribeval.metrics.subject import Subject


def relative_output_stability(
    maps: np.ndarray,
    neighbour_maps: np.ndarray,
    logits: np.ndarray,
    neighbour_logits: np.ndarray,
    floor: float = 0.01,
    epsilon: float = 1e-6,
) -> np.ndarray:
    """ROS: max of ‖(φ − φ′) / φ‖₂ / max(‖h(x) − h(x′)‖₂, ε) over neighbours of the same class (Agarwal 2022, eq. 5).

    The division in the numerator is element by element; the logits' distance is not relative.

    Differs from the paper and from Quantus as `relative_input_stability` does.

    Args:
        maps: φ, (N, H, W) or (N, H, W, C), signed as the method gave them.
        neighbour_maps: φ′, (N, S, ...), for the same class and with the same random numbers.
        logits: h(x), (N, classes).
        neighbour_logits: h(x′), (N, S, classes); neighbours with another largest logit are left out.
        floor: See `stability.Stability`.
        epsilon: Smallest divisor, in logits.

    Returns:
        float64 (N,), 0 or more, per logit, low is stable. NaN where no neighbour is kept, and for a map of zeros.

    Raises:
        AttribevalError: If shapes do not match, or a map is not finite (naming it).
    """
    maps, neighbour_maps = checked_near(maps, neighbour_maps, logits, neighbour_logits)
    changes = relative_change(maps, neighbour_maps, floor) / np.maximum(distances(logits, neighbour_logits), epsilon)
    return largest_kept(changes, same_class(logits, neighbour_logits))


@dataclass(frozen=True)
class RelativeOutputStability(Stability):
    """ROS on the leaderboard; options: `Stability`. The neighbours' logits are asked for once for all methods."""

    card = Card.of(r"""
        relative_output_stability (robustness): largest element-wise relative change of the map per change of the
            logits, class kept; 0 is stable
        better: low
        passes: 4 + 4 maps
        paper: Agarwal et al. 2022, eq. 5
        maths: \max_{x^\prime : \hat y(x^\prime) = \hat y(x)} \frac{D(\varphi, \varphi^\prime)}{\max(\Vert h(x) -
            h(x^\prime) \Vert_2, \epsilon)}, \qquad D(a, a^\prime) = \left\Vert \frac{a - a^\prime}{\max(|a|, \, \eta
            \max_i |a_i|)} \right\Vert_2
        misleads: Where the noise leaves the logits as they are, the divisor is almost 0 and the score explodes; it has
            the unit of the logits, so it compares no two models.
        needs: explain
    """)

    def judge(self, subject: Subject, near: np.ndarray, maps: np.ndarray, near_maps: np.ndarray) -> np.ndarray:
        return relative_output_stability(maps, near_maps, *self.logits(subject), self.floor, self.epsilon)
