"""The article's error bars: the standard deviation over 10 trials of 100 image pairs."""

from __future__ import annotations

import numpy as np

from attribeval.errors import AttribevalError


def deviation_of_trials(values: np.ndarray, *, trials: int = 10, pairs: int = 100, seed: int = 0) -> float:
    """How much the mean over 100 images varies from trial to trial.

    The article draws from 10,000 images. Here there may be few more than 100, and trials of nearly the same images
    would agree by construction: so images are drawn with replacement, as if from many. It tells of samples of that
    size, not of the mean over all images: `results.over_images.mean_interval` does that.

    Args:
        values: One number or bool per image, (N,).
        trials: At least 2.
        pairs: Images per trial.
        seed: Of the draws; the same for methods on the same images.

    Returns:
        The standard deviation (n − 1) of the means; NaN for fewer than `pairs` images.

    Raises:
        AttribevalError: If there are fewer than two trials or no pair.
    """
    if trials < 2 or pairs < 1:
        raise AttribevalError(f"Expected at least two trials of at least one pair. Received: {trials}, {pairs}.")
    values = np.asarray(values, np.float64)
    if len(values) < pairs:
        return float("nan")
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(len(values), size=pairs)].mean() for _ in range(trials)]
    return float(np.std(means, ddof=1))
