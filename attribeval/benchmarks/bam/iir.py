"""Input independence rate: does a patch that the model does not notice leave the map alone? (Section 4.4.)"""

from __future__ import annotations

import numpy as np

from attribeval.benchmarks.bam.mcs import paired
from attribeval.benchmarks.bam.region import PROTOCOLS, Protocol
from attribeval.errors import AttribevalError

THRESHOLD = 0.1


def unchanged(
    g_with: np.ndarray,
    g_without: np.ndarray,
    correct: np.ndarray | None = None,
    threshold: float = THRESHOLD,
    protocol: Protocol = "fixed",
) -> np.ndarray:
    """1(|g_c(f, x + δ) − g_c(f, x)| / g_c(f, x) < t) of the images that count; IIR is their mean.

    Args:
        g_with: Of the patch's region in the image with the patch, (N,).
        g_without: Of the same region in the image without it, (N,).
        correct: Which images are classified correctly, with and without the patch, bool (N,); None: all.
        threshold: t, a share of g_c(f, x).
        protocol: "fixed": no change at all is no change, also where g_c(f, x) is 0. "paper" and "reference": such an
            image counts as changed (0 / 0 is not below t, and 0 is not below 0).

    Returns:
        bool (M,); higher is better.

    Raises:
        AttribevalError: If lengths differ, no image counts, or the threshold is not positive.
    """
    if protocol not in PROTOCOLS:
        raise AttribevalError(f"Expected protocol 'fixed', 'paper' or 'reference'. Received: {protocol!r}.")
    if not threshold > 0:
        raise AttribevalError(f"Expected a threshold above 0, such as .1. Received: {threshold}.")
    g_with, g_without, correct = paired(g_with, g_without, correct)
    change = np.abs(g_with - g_without)[correct]
    small = change < threshold * g_without[correct]
    return small | (change == 0) if protocol == "fixed" else small


def changes(g_with: np.ndarray, g_without: np.ndarray, correct: np.ndarray | None = None) -> np.ndarray:
    """|g_c(f, x + δ) − g_c(f, x)| / g_c(f, x): the article's other measure is their mean (appendix C).

    Args:
        g_with, g_without, correct: As in `unchanged`.

    Returns:
        float64 (M,), 0 or more, lower is better. Infinite where the region had no attribution and got some, 0 where it
        had none and kept none.
    """
    g_with, g_without, correct = paired(g_with, g_without, correct)
    change, before = np.abs(g_with - g_without)[correct], g_without[correct]
    relative = np.full(change.shape, np.inf)
    np.divide(change, before, out=relative, where=before != 0)
    return np.where(change == 0, 0.0, relative)
