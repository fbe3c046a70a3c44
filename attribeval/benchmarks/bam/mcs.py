"""Model contrast score: is a region attributed more by the model to which it matters more? (Section 4.2.)"""

from __future__ import annotations

import numpy as np

from attribeval.errors import AttribevalError


def contrast(g_more: np.ndarray, g_less: np.ndarray, correct: np.ndarray | None = None) -> np.ndarray:
    """g_c(f₁, x) − g_c(f₂, x) of the images that count; MCS is their mean.

    Args:
        g_more: Of the model to which the region matters more, (N,), 0 to 1.
        g_less: Of the other, on the same images, (N,).
        correct: Which images both models classify correctly, bool (N,); None: all.

    Returns:
        float64 (M,), −1 to 1; higher is better. The mean is 0 for a model against itself.

    Raises:
        AttribevalError: If lengths differ, or no image counts.
    """
    g_more, g_less, correct = paired(g_more, g_less, correct)
    return g_more[correct] - g_less[correct]


def paired(
    first: np.ndarray, second: np.ndarray, correct: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Check that two sets of g belong to the same images, of which some count."""
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    correct = np.ones(first.shape, bool) if correct is None else np.asarray(correct)
    if first.ndim != 1 or first.shape != second.shape or correct.shape != first.shape or correct.dtype != bool:
        raise AttribevalError(
            f"Expected two averages and a bool for each image, (N,). Received: {first.shape}, {second.shape} and "
            f"{correct.dtype} {correct.shape}."
        )
    if not correct.any():
        raise AttribevalError(
            "Expected images that are classified correctly. Received none: train the models longer, or check that "
            "their classes are those of the labels."
        )
    return first, second, correct


def correlation(scores: np.ndarray, drops: np.ndarray) -> float:
    """Pearson's ρ between the contrast scores over k and the accuracy drops upon removal (figure 6).

    Args:
        scores: MCS between the model of each k and that of k = 1, (K,).
        drops: Accuracy with the common feature minus accuracy without it, of the same models, (K,).

    Returns:
        −1 to 1; NaN if either does not vary.

    Raises:
        AttribevalError: If there are fewer than three, or lengths differ.
    """
    scores, drops = np.asarray(scores, np.float64), np.asarray(drops, np.float64)
    if scores.shape != drops.shape or scores.ndim != 1 or len(scores) < 3:
        raise AttribevalError(
            f"Expected a score and a drop for each of at least three k. Received: {scores.shape} and {drops.shape}."
        )
    a, b = scores - scores.mean(), drops - drops.mean()
    norm = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / norm) if norm > 0 else float("nan")
