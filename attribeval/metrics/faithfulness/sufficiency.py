"""Sufficiency (Dasgupta et al. 2022): do images with similar maps have the same prediction?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribeval.common.options import check_positive
from attribeval.errors import AttribevalError
from attribeval.metrics.card import Card, OfMaps
from attribeval.metrics.subject import Explained, Subject, checked_maps

THRESHOLD = 0.6


def sufficiency(maps: np.ndarray, predicted: np.ndarray, *, threshold: float = THRESHOLD) -> np.ndarray:
    """Of the other images with a similar map, the share with the same predicted class, as Quantus defines it.

    |Maps| are divided by their own maximum, and each pixel by its standard deviation over the images. Two maps are
    similar if their Euclidean distance is at most `threshold` times the largest distance between any two.

    Differs from Quantus: an image whose map is similar to no other has no such share: NaN here, 0 there. Pixels with
    the same value in all maps say nothing and are left out, where there the distances become NaN. The paper defines the
    measure for explanations that apply to an image or not; similar maps are Quantus' reading of it.

    Args:
        maps: Real numbers (N, H, W).
        predicted: Class that the model predicts for each clean image, ints (N,).
        threshold: Above 0; from 1 on, all maps are similar.

    Returns:
        float64 (N,), 0 to 1, higher is better; NaN where no other map is similar. A share depends on the other images.

    Raises:
        AttribevalError: If arrays do not match, a map is not finite (which one), or the threshold is bad.
    """
    maps = np.abs(checked_maps(maps))
    predicted = np.asarray(predicted)
    check_positive("threshold", threshold)
    if predicted.shape != (len(maps),):
        raise AttribevalError(f"Expected a predicted class per map, ({len(maps)},). Received: {predicted.shape}.")
    distances = _distances(maps.reshape(len(maps), -1))
    similar = distances <= threshold * distances.max()
    np.fill_diagonal(similar, False)
    same = predicted[:, None] == predicted
    with np.errstate(invalid="ignore"):
        return (similar & same).sum(axis=1) / similar.sum(axis=1)


def _distances(rows: np.ndarray) -> np.ndarray:
    """Euclidean distances (N, N) of rows (N, V) scaled as above."""
    from scipy.spatial.distance import pdist, squareform

    largest = rows.max(axis=1, keepdims=True)
    rows = rows / np.where(largest > 0, largest, 1)
    varied = np.ptp(rows, axis=0) > 0
    if not varied.any():
        return np.zeros((len(rows), len(rows)))
    rows = rows[:, varied]
    return squareform(pdist(rows / rows.std(axis=0)))


@dataclass(frozen=True)
class Sufficiency(OfMaps):
    """Sufficiency as a benchmark.

    Attributes:
        threshold: See `sufficiency`.
    """

    card = Card.of(r"""
        sufficiency (faithfulness): Of the images with a similar map, the share with the same prediction, 0 to 1
        better: high
        passes: 0 + 0
        paper: Dasgupta et al. 2022, as Quantus defines it
        maths: \frac{|\{j \in S_i : \hat y_j = \hat y_i\}|}{|S_i|}, \qquad S_i = \{j \neq i : d_{ij} \leq \tau \max_{k,
            l} d_{kl}\} \\ d_{ij} = \Vert (m_i - m_j) / \sigma \Vert_2, \qquad m_i = \frac{|M_i|}{\max |M_i|}, \quad
            \sigma = \mathrm{std}_i \, m_i
        misleads: With many classes and few images of each it is near 0 for every map: maps say where, not what.
    """)
    threshold: float = THRESHOLD

    def __post_init__(self) -> None:
        check_positive("threshold", self.threshold)

    def score(self, subject: Subject, prepared: None, explained: Explained) -> np.ndarray:
        return sufficiency(explained.heat, subject.logits.argmax(axis=1), threshold=self.threshold)
